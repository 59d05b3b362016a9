// Package availability is the chain module that records up to where rollups' blocks are on
// DA layers.
//
// In come the claims of relayers, as messages, and with each block what the validators of
// the block before say of those that wait: which they found to be true, and which to be
// false. Out goes, for each rollup, which runs of blocks validators with more than two
// thirds of the power confirm to be available, and for each relayer how often it spoke
// the truth. Whether a claim is true is decided by validators, outside of the chain;
// what their votes mean is decided here, in Settle, from one extended commit and the state
// alone.
//
// What always holds: a run of blocks is confirmed only by a commit in which validators
// with more than two thirds of the power confirmed one claim for each of its blocks; what
// waits is bounded, whoever makes claims, and no claim gives way to another one of its
// relayer; and a claim that the chain took stands in the events of its block, where readers
// find it, whatever becomes of it.
package availability
