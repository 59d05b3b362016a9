// Package ordering is the chain module that decides what a block orders.
//
// In comes the batch that a proposer carries in its block, out goes which
// bundles are ordered, which are dropped and why, and what each payer owes. One
// function decides it, Rules.Evaluate, and the same one runs where a block is
// built, checked and executed, so a proposer has no say beyond which bundles to
// carry. What it reads of the state is the parameters, the balances and the
// window of bundles carried before; what the block leaves behind is its fees
// in the fee collector and one record of its bundles in the window.
//
// The layout of a block is here too: transaction 0 is the ordering header,
// transaction 1 the batch, ordinary transactions of the Cosmos SDK follow.
package ordering
