// Package exec measures how fast a rollup is executed. In come options; out goes a
// report: gas and transactions a second of the embedded EVM alone, and the share of
// them that is left when a network feeds it.
//
// Alone means package execution/evm with the blocks at hand. Fed means an operator's
// rollup node, which fetches each block, verifies it, keeps its journals and serves its
// door meanwhile. All execute the same transactions in the same blocks, and end with the
// same block hash.
package exec
