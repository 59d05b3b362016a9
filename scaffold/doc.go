// Package scaffold makes the directory of a new rollup's project. In go the rollup's name, a
// template and where Ordo is on this machine; out comes a directory with the virtual
// machine's code, a Makefile that runs a node of it on a devnet, and a README.
//
// The code is that of the examples, byte for byte: what is tested there is what people begin
// with. What always holds: a directory appears complete or not at all, and one that exists
// is never written to.
package scaffold
