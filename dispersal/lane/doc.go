// Package lane is the protocol of dispersal lanes as state machines: how a validator
// gets its batches certified, attests those of others, and knows which certificates
// the chain has to order.
//
// In come what the network, the disk, the chain and the clock said; out goes what is
// to be sent and stored. The package does no I/O, starts no goroutine and reads no
// clock: times are arguments, in milliseconds. The machines are not for several
// goroutines at once; only Verifier and what has no state is. So the same inputs give
// the same outputs, and the tests run whole networks, with their crashes, from a seed.
//
//   - Disperser owns this node's lane: it signs batches, gives each member of the
//     committee its share, collects attestations, and makes certificates.
//   - Keeper decides which batches of others this node stores and attests.
//   - Book holds certificates until the chain has ordered them.
//   - Verifier checks a certificate's signatures once, whoever asks for it.
//
// What always holds, whatever peers do, while less than a third of the stake is faulty
// and disks keep what they acknowledged:
//
//   - A node never signs two batches, nor two attestations, for one position. What
//     it signs is on its disk first, or follows from what is.
//   - A certificate is on its owner's disk before anybody else sees it, and those
//     before it in the lane are as well. So the lane's next session, after a restart,
//     goes on where the certificates end, and no certificate that anybody has seen
//     is left behind by its owner.
//   - Memory is bounded for each lane, so an owner can waste only what is its own.
//
// # Sessions
//
// A position is (owner, session, sequence). An owner numbers its batches from 1 in
// each session and begins a new session where it cannot know what it signed before: at
// a restart, or when batches in flight can no longer be ordered. The first batch of
// a session names the position that it comes after, so that the chain of positions
// never has a gap:
//
//	(5,1) (5,2) (5,3)            (5,4) signed, not certified: given up
//	                 \
//	                  (6,1, after 5,3) (6,2) ...
package lane
