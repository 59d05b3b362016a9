// Package crossclient runs the same order on every kind of execution client, the real
// programs: the embedded EVM, geth over the Engine API, op-geth by payload attributes, and
// a server of the gRPC API in another process. It holds tests alone. What they show: one
// state root, whatever is ordered and whoever is killed on the way.
//
// Programs that are not built (`make geth-bin opgeth-bin`) are left out, and the tests say
// so. `make test-engine` runs a thousand blocks where `go test` runs a few dozen.
package crossclient
