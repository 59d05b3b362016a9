// Package ethclients runs Ethereum's real execution clients on one machine, for devnets
// and tests: geth, and the OP Stack's op-geth.
//
// In come options, a genesis and a binary that `make geth-bin` or `make opgeth-bin`
// built; out goes a process that answers the Engine API and JSON-RPC on loopback. What
// always holds: the client has no peers, and a process does not outlive its parent (on
// Linux, however that ends). Ending one with Kill is what a crash is: the client
// then falls back to the last block that had reached the disk.
package ethclients
