// Package rollup is a rollup node: the door for wallets, the gateway behind it,
// the follower of the order, the embedded EVM, and the reader of the DA layer, in
// one process. In comes a home directory; the package wires the stages:
//
//	wallet -> ethrpc -> gateway -> sequencers
//	sequencers -> certified --> overlay -> EVM    pending
//	sequencers -> follower ---> driver -> EVM     latest
//	DA layer -> firm reader --> driver -> EVM     safe, finalized
//
// The overlay tries out, in memory, what is certified and not ordered yet: what it
// hears is a hint, and no other stage listens to it.
//
// The driver executes each block of the order once, from whichever source has it
// first, and what DA gives must equal what the sequencers gave.
package rollup
