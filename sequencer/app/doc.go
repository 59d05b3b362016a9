// Package app is the application of the sequencer chain: modules of the Cosmos SDK
// for what any proof-of-stake network needs, and module ordering for what Ordo is
// there for.
//
// In come CometBFT's calls, out go blocks whose first two transactions are the
// ordering header and the batch, and whose others are ordinary transactions. What
// holds always: PrepareProposal, ProcessProposal and FinalizeBlock evaluate a batch
// by the same function on the same state, so that what this node proposes every
// honest node accepts, and what a node accepted it can execute; a block that it
// would not accept, it refuses to execute.
package app
