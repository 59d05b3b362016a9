// Package testnet starts networks for benchmarks: every node a process of its own,
// started by the commands that an operator would use. In come a program and what
// the network is to be like; out go the processes, and what it takes to put bundles
// into the order. What a group started is stopped, and its data removed, at its end.
package testnet
