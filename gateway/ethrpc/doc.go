// Package ethrpc is the door that wallets know: Ethereum's JSON-RPC over HTTP and
// WebSocket on one port. In come requests from anybody; out go the answers of the
// embedded geth, except that transactions are checked here by geth's own rules and
// handed to the gateway, and that whatever geth would say of its pool is said of the
// gateway's queue.
//
// What always holds: a transaction hash is returned only once the transaction is on
// disk; one sender's transactions are judged one after another, each by all that were
// accepted before; nothing that a client does, or fails to read, holds up the
// execution of blocks.
package ethrpc
