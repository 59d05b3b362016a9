// Package devnet runs a whole Ordo network on one machine: validators, a relayer
// with its embedded DA layer, and EVM rollups, each a child process of this
// binary with the same subcommand that an operator would use.
//
// In come Options and a directory; out go a network that answers, a list of its
// endpoints, and events for whoever shows them. What always holds: one devnet
// per directory; a directory is complete or is made anew; the network in it goes
// on where it stopped; a child that dies is started again; no child outlives the
// devnet, however the devnet ends.
package devnet
