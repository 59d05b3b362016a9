// Package ethrpc is the door that wallets know: Ethereum's JSON-RPC over HTTP and
// WebSocket on one port. In come requests from anybody; out go the answers of the
// embedded geth, except that transactions are checked here by geth's own rules and
// handed to the gateway, and that whatever geth would say of its pool is said of the
// gateway's queue.
//
// The tag latest is what is ordered, and so are receipts. pending is the block that
// may come next: what is certified, tried out on top of latest. Its state, its
// transactions and calls on it are answered from there; its nonces count what was
// accepted here besides. Who sends a transaction may wait for either.
//
// Searchers find the methods that they know from Flashbots. A bundle of theirs is handed
// to the gateway as one, with its conditions in front as terms, which every node keeps;
// what became of it is told by its hash.
//
// What always holds: a transaction hash is returned only once the transaction is on
// disk; one sender's transactions are judged one after another, each by all that were
// accepted before; nothing that a client does, or fails to read, holds up the
// execution of blocks.
package ethrpc
