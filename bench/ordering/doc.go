// Package ordering measures how a network of validators orders data, and the same
// with CometBFT carrying the data in its blocks. In come options; out goes a report.
//
// Every validator is a process of its own, started as an operator would start it.
// Load comes in at all of them and is open-loop: each payload has its time of
// sending fixed beforehand, and latency counts from that time. What counts as
// ordered is what a reader has fetched and verified, each payload once.
package ordering
