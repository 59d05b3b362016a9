// Package ordorpc is what a rollup of any virtual machine answers over JSON-RPC: the
// namespace ordo, which tells how far a transaction or a bundle has come, proves that
// it was ordered, and takes bundles; and a plain door that serves it over HTTP and
// WebSocket where no other door does, and passes other methods on to the client that
// executes the rollup.
//
// What always holds: the hash of a transaction or the reference of a bundle is returned
// only once it is on disk; nothing that a client does, or fails to read, holds up the
// execution of blocks; what is passed on to the rollup's client is of the namespaces
// that the operator named, and never a transaction, which would get past the order.
package ordorpc
