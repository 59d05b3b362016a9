// Package astria lets a rollup's virtual machine run in another process, behind the
// gRPC service astria.execution.v2, both ways round: Client is an execution.Client
// that speaks to such a service, and Server is such a service in front of any
// execution.Client.
//
// What always holds: sequencer block = StartHeight + (rollup block - StartNumber), so
// each sequencer block becomes one rollup block, empty ones too (execution.Pace.Every);
// but where the Client has a directory, for services that take no two blocks of one
// second, and an order whose blocks come faster. A block counts as executed once the
// service has both executed it and moved its soft block there. Where the service stands,
// it says itself, at each session.
//
// docs/spec/execution.md is the contract in words.
package astria
