// Package engine drives unmodified Ethereum clients over the Engine API, so that a rollup
// may run on geth, op-geth and their kin.
//
// There are two ways. A Mirror builds each block with the embedded EVM and hands it over:
// the client checks all of it by itself, keeps its own database and serves its own RPC. An
// OP lets an OP Stack client build, by payload attributes that hold the block's
// transactions; what the client refuses is found and skipped.
//
// In come ordered blocks, as to any execution.Client; out go heads. What always holds: the
// client has no block that the order does not give; a client that was killed and fell
// back is given what it lost, so there is never a gap; one that does not answer is waited
// for; and one that disagrees stops everything (execution.ErrDisagree). Whatever a client
// answers is bounded and checked. Its blocks rise in time by whole seconds
// (execution.ErrTime), see execution.Pace.
package engine
