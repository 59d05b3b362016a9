// Package rollup is a rollup node: the door for users, the gateway behind it, the
// follower of the order, what executes it, and the reader of the DA layer, in one
// process. In comes a home directory; the package wires the stages:
//
//	user -> door -> gateway -> sequencers
//	sequencers -> certified --> overlay -> machine    pending
//	sequencers -> follower ---> driver --> machine    latest
//	DA layer -> firm reader --> driver --> machine    safe, finalized
//
// The machine is the EVM in this process, which may hand its blocks to an Ethereum client;
// an op-geth; a client of astria.execution.v2; or a Go program's own. Only the EVM tries
// out, in memory, what is certified and not ordered yet: what the overlay hears is a hint,
// and no other stage listens to it.
//
// The driver executes each block of the order once, from whichever source has it
// first, and what DA gives must equal what the sequencers gave. Where the rollup has a
// block time it gathers blocks of the order, on disk, until a block of the rollup is due.
package rollup
