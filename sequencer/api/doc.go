// Package api serves ordo.sequencer.v1.SequencerService: bundles come in and go
// to the node's pool, the order goes out with everything that is needed to verify
// it.
//
// What a height serves is made from the node's own block store once and shared by
// all who ask for it. A stream pulls height after height and waits for the head
// when it has caught up, so that a slow reader costs one goroutine and holds up
// nobody. A block is served as soon as consensus has both its commit and its
// results on disk (see Server.Advance): the results say which of its bundles were
// dropped, and a reader that has seen a block never sees it change.
package api
