// Package ordering is the chain module that decides what a block orders.
//
// In come the certificates that a proposer carries in its block, out goes which
// bundles are ordered, which are dropped and why, and what each payer owes. One
// function decides it, Rules.Evaluate, and the same one runs where a block is
// built, checked and executed, so a proposer has no say. What it reads of the state
// is the parameters, the balances, where the lanes stand, the committees of the
// block's epoch and the one before, and the window of bundles carried before; what
// the block leaves behind is its fees in the fee collector, its lanes further on, and
// one record of its bundles in the window.
//
// The module also says who may take part: validators register attestation keys and
// addresses (MsgSetAttester), the last block of each epoch makes the bonded ones the
// next committee (BeginEpoch), and who signs two batches for one position of a lane is
// slashed and out for good (MsgSubmitEquivocation). The committee of an epoch never
// changes once the epoch has begun, and an attestation key belongs to one validator
// for ever, so that a signature always says who made it.
//
// The layout of a block is here too: transaction 0 is the ordering header,
// transaction 1 the certificates, ordinary transactions of the Cosmos SDK follow.
package ordering
