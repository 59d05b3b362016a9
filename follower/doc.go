// Package follower reads the order for one rollup and believes nobody.
//
// In come RollupBlocks from anyone: sequencer nodes (Follower, the soft head) and
// blobs of a data availability layer (FirmReader, the firm head). Out come
// verified Blocks, one for each height, without gap or repeat. What always holds:
// a Block was signed by more than two thirds of the stake that the chain had at
// its height, reached from a trusted genesis or header, and its legs are exactly
// those that the block orders for the rollup, each with the data that the commitment
// names. A leg without data is void: the batch that should hold it, rebuilt here from its
// shards, does not.
//
// Verifier is the pure part, with no I/O, clock or goroutine; the rest moves bytes
// to it and verified blocks away from it.
package follower
