// Package pool holds what waits on this node: bundles that its clients gave it, until
// they are ordered, and ordinary transactions of the Cosmos SDK.
//
// In come bundles from the node's API, signed for its lane, which are on disk when
// Submit returns, and transactions from clients and peers, which are in memory only. Out
// go bundles, in order of arrival, into the batches of this node's lane, and
// transactions into its proposals and to peers. Bundles do not go to peers: their data
// travels in shards. What a block carried or what has expired leaves the pool when that
// block is committed; what was in a batch that came to nothing goes into another one.
// Beside what it finds on disk the pool never holds more than its limits, one payer never
// more than its share of them, and no payer more fees than it could pay at the last commit.
package pool
