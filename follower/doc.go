// Package follower reads the order for rollups and believes nobody.
//
// In comes what anyone says of the order: sequencer nodes, of one rollup (Follower) or of
// many over one stream (Group), which is the soft head, and blobs of data availability layers, whole
// or in parts (FirmReader), which is the firm head. Out come verified Blocks, one for each
// height, without gap or repeat. What always holds:
// a Block was signed by more than two thirds of the stake that the chain had at
// its height, reached from a trusted genesis or header, and its legs are exactly
// those that the block orders for the rollup, each with the data that the commitment
// names. A leg without data is void: the batch that should hold it, rebuilt here from its
// shards, does not.
//
// EncodeBlob and SplitBlob make what relayers put on a layer, and CheckBlob is what
// validators look at before they confirm that it is there (docs/spec/blobs.md).
//
// Verifier is the pure part, with no I/O, clock or goroutine; the rest moves bytes
// to it and verified blocks away from it.
package follower
