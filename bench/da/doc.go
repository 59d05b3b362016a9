// Package da measures the way of the order onto a data availability layer and back.
// In come options; out goes a report: how small blobs get, how fast the relayer posts
// them, how long after it is ordered a block is safe, how fast a new node rebuilds from
// the layer alone, and what memory a relayer of many rollups takes.
//
// Validators, relayer and node are processes of their own, started as an operator
// would start them. What is ordered are transactions of an EVM rollup, transfers and
// calls of an ERC-20 token, signed by many accounts; the node executes them all.
package da
