// Package store keeps on disk what a validator attests: one record, a batch's
// header with the validator's share of it, for each position of each lane.
//
// In come records by key; out go the same bytes, or an error that says they are
// not there or damaged. What always holds:
//
//   - When Put has returned nil, the record outlives a kill and a power loss. So a
//     validator signs an attestation after Put, never before.
//   - Get never returns bytes other than those that were put.
//   - A key that is held, damaged or not, refuses other bytes, so a restart or a bad
//     disk does not make a validator attest two batches for one lane position.
//
// # Files
//
// Records are appended to segments, <number>-<mark>.seg, past the system's page cache, and many
// share one sync. Zeroes fill the last block of each (package internal/direct). The
// mark is 8 random bytes that start every record of the segment. Whoever writes to a
// lane chooses a record's bytes but does not know the mark, so a scan that lost its
// way in damage finds the next record by its mark and is not led to a forged one.
//
// A record is a header of 128 bytes and the body:
//
//	mark 8 | synced 4 | length 4 | tag 8 | session 8 | sequence 8 | digest 16 |
//	owner's length 1 | owner, zero padded 64 | head's length 3 | CRC-32C 4
//
// The checksum covers the header's place in the file too. The digest is a SHA-256, cut to 16
// bytes, because it has a second use: when the record is damaged it still tells the batch that was
// attested from every other one, which must not be attested. It covers the head of the record, the
// batch's header, and of what follows from it, the share, only a CRC-32C. A head's length of 0
// says that all of the record is its head. synced is how
// much of the segment was on disk when the record was written: it tells, after a
// crash, what was torn while being written from what was damaged later.
//
// A full segment gets an index, <number>-<mark>.idx: the headers again, each with
// its offset, and a CRC-32C over all. The index is a copy. One that is missing or
// damaged is made anew from the segment, and a segment is never written again once
// it has one. Therefore the segment that was open at a crash is scanned, given an
// index, and left: new records go to a new segment.
//
// A key is forgotten only where its header is damaged in both places, or in the
// segment before there is an index: by a bad disk and a crash together. Open counts
// these bytes as lost, or as torn in the last sync's group. A validator attests in
// sequence, so a position below Lane.Last that is not held was pruned or is such a
// loss, and is not for attesting again.
//
// # Memory
//
// From 70 to 120 bytes for each record, whatever its size, besides the queue of Put and
// a write buffer of 1 MiB. Segments are dropped whole by Prune.
package store
