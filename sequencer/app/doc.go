// Package app is the application of the sequencer chain: modules of the Cosmos SDK
// for what any proof-of-stake network needs, and module ordering for what Ordo is
// there for.
//
// In come CometBFT's calls, and from dispersal the certificates of lanes. Out go blocks
// whose first two transactions are the ordering header and the manifest, which is
// certificates and the votes that say who holds which, and whose others are ordinary
// transactions. What holds always: PrepareProposal, ProcessProposal and FinalizeBlock
// evaluate a manifest by the same function on the same state, so that what this node
// proposes every honest node accepts, and what a node accepted it can execute; a block
// that it would not accept, it refuses to execute.
//
// All that the function reads is in the block or in the state before it: the block's
// own last commit says which validators voted for the block before, with which power,
// and the state has their keys. So the signatures of vote extensions, the inclusion
// rule and the certificates are checked as well where a node replays blocks that it
// has, or gets them from peers long after. What a node that only follows cannot tell
// is whether a proposer could have had other votes than those in the commit.
package app
