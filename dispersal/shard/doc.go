// Package shard cuts a batch into erasure-coded shards, one share of them for
// each validator by its stake, and puts them together again.
//
// In come a validator set and a batch; out go the shards, one root that all of
// them are proven against, and from enough shards the batch again. The package
// is pure: no I/O, no clock, no goroutine, integers only. What it computes is the
// same on every machine, and docs/spec/shards.md says how, to the byte.
//
// # Who can rebuild
//
// Validator i with stake s_i of S in total is assigned c_i = ceil(N*s_i/S) shards.
// There are T = sum of c_i shards, any k = floor(N/3)+1 of which give the batch.
// Holders H of more than a third of the stake can always rebuild it, because
//
//	sum over H of c_i  >=  N * sum over H of s_i / S  >  N/3,
//
// and an integer above N/3 is at least floor(N/3)+1 = k. The ceilings make T
// greater than N, which costs traffic and storage, T/k bytes for each byte of a
// batch, but never this guarantee. NewLayout chooses the N for which that price
// is low and shards are few.
//
// # Why there is one answer
//
// The root binds every shard to its index (Merkle tree), and with them the
// layout, the batch's length and the shards' size. So under one root at most one
// value can be shown for each index, unless BLAKE3 or SHA-256 is broken. Call what the root
// commits to v_0 .. v_{T-1}; who made it may have put anything there.
//
// The code is maximum distance separable: any k shards lie on exactly one
// codeword. Rebuilding takes k verified shards, computes that codeword and compares
// its root with the given one.
//
//   - If v is a codeword, every choice of k shards of it gives v, the root agrees,
//     and everyone gets the same batch.
//   - If v is not, no choice does: the computed codeword differs from v, hence
//     so does its root. Everyone gets ErrVoid.
//
// Bytes after the batch in the last data shards are zero; a codeword in which
// they are not is void as well, and this depends on v alone. So which shards
// arrived, from whom and in which order never decides what a batch is.
package shard
