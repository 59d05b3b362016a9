// Package dispersal runs a validator's lane and its part in those of others: it puts
// disks, network and clock around the state machines of dispersal/lane.
//
//	Source ─bundles→ batcher ─coded batch→ owner ─offers→ peers' attesters
//	                                         ↑ ↓                │
//	                       certificates ←────┘ └──attestations──┘
//	                            ↓
//	       library: verified, on disk, told to the chain, to peers and to subscribers
//
// In come bundles, the chain's state after each block, and what peers say; out go
// certificates for the chain to order, shares for whoever asks, and batches rebuilt from
// them. What always holds:
//
//   - The chain's side never waits: what it calls takes no disk and no network.
//   - An attestation leaves after its record is on disk; a certificate of the own lane is
//     announced, and counts as certified, after it is on disk.
//   - Where the window of batches in flight is full nothing is taken from the source.
//   - Signatures and shares are checked outside of locks, by a bounded number of workers.
//
// A full node has no lane and no peers here; it runs a Retriever by itself.
package dispersal
