// Package order holds what the network agrees on: bundles and their legs, the
// batches that carry them, certificates of the lanes and the rules by which a block
// takes them in, and the commitment over everything that a block
// orders.
//
// In come transactions and keys, out go canonical encodings, IDs, sign bytes,
// roots and proofs. The package is pure: no I/O, no clock, no goroutine, and no
// import of another package of the project but its wire types. The same input
// gives the same bytes on every machine, and every decoder refuses whatever it
// would not itself have encoded, within the bounds of limits.go.
package order
