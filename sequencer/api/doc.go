// Package api serves ordo.sequencer.v1.SequencerService: bundles come in and go
// to the node's pool, the order goes out with everything that is needed to verify
// it.
//
// The chain orders summaries; the data of a batch is where its committee keeps it. So
// what a height serves comes in two parts. Headers, records and proofs are made from
// the node's own block store once and shared by all who ask; they are all that status
// and index need. The legs' data is rebuilt from shards, batch by batch, when somebody
// asks for a rollup that has a leg there. A block never goes out without its data:
// a leg comes with its transactions, or with the proof that its batch does not hold
// them; where neither can be had now, a stream waits and a single call is told so.
//
// A stream makes a few blocks ahead of the one that it sends, so that heights do not
// add up their waits; what that may hold in memory is bounded for all together. A
// block is served as soon as consensus has both its commit and its results on disk
// (see Server.Advance): the results say which of its bundles were dropped, and a
// reader that has seen a block never sees it change.
package api
