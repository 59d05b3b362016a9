// Package pool holds what waits for a block: bundles, and ordinary transactions
// of the Cosmos SDK.
//
// In come bundles from the node's API, which are on disk when Submit returns, and
// bundles and transactions from peers, which are in memory only: the node that
// took them in has them on its disk. Out go batches for proposals, in the order of
// arrival, and whatever is new, to peers. What a block carried or what has expired
// leaves the pool when that block is committed. The pool never holds more than its
// limits, one payer never more than its share of them, and no payer more fees than
// it could pay at the last commit.
package pool
