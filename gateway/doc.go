// Package gateway brings a rollup's transactions into the order. In come opaque
// transactions, each on disk before Submit returns; every few milliseconds they
// are bundled, signed by the gateway's payer for the lane of a sequencer, and sent to it
// or to others, signed for theirs, until they are ordered. What became of them comes back through Observe.
//
// The life of a transaction:
//
//	queued     on disk, waits for a bundle; a gap before its nonce holds it back
//	in flight  in one bundle that may still be ordered
//	executed   in a block of the rollup; forgotten after a while
//	dropped    ended otherwise, with a reason that is kept for a while
//
// In flight, it is certified as soon as a sequencer says so: from then on it is nearly
// certain to be ordered soon. That is a hint for those who ask, and no more.
//
// A bundle is live from the moment its record is on disk until it is ordered or
// the chain has passed its expiry without it; nothing else ends it, whatever
// sequencers answer. It is sent again, always the same bundle, to one sequencer
// after another until then; only the signature is for the lane that it goes to. The
// chain takes an ID once. A transaction is in at
// most one live bundle at any time, crashes included, and goes back to the queue
// when its bundle expires, or is ordered where the transaction before it was not.
//
// Users hand in bundles too (Bundle). One is a leg of transactions for this rollup and perhaps legs
// for others, which the gateway sends as one bundle that holds nothing else, in which it
// changes nothing. It is held until its block and its time have come, received while it is
// being sent, and ends ordered or dropped:
//
//	held       on disk, waits for its block or its time; it can be cancelled or replaced
//	received   is sent, or next to be
//	certified  so a sequencer says
//	ordered    with what became of each of its transactions
//	dropped    cancelled, replaced, or past its last block or time
//
// One that expired before it was ordered is sent again, under another ID, only where each
// height that could have ordered it was observed: it may do harm a second time, as legs
// for other rollups may, of which nobody here knows the rules. Where that is in doubt it
// is dropped with that for a reason.
//
// What always holds: a transaction that Submit accepted ends as executed or with
// a reason that can be asked for; a bundle lists a sender's transactions by nonce,
// without gap; bundles go to one sequencer in the order of their making, and to
// the next one only when that fails; a user's bundle that AdmitBundle accepted is ordered
// as it was handed in, at most once, or ends with a reason.
//
// The core (core.go, cut.go, send.go, parcel.go, release.go) is a state machine without clock, disk or
// network; the journal writes what it changes; run.go is the loop around both.
package gateway
