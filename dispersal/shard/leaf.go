package shard

import (
	"math/bits"

	"lukechampine.com/blake3/guts"
)

// group is as many bytes as are hashed side by side, in chunks of 1 KiB.
const group = guts.MaxSIMD * guts.ChunkSize

// leaf is the hash of a shard: BLAKE3, which with AVX-512 is 2.5 times as fast as a
// processor's own SHA-256, and hashing takes more of lanes' time than anything else.
// Nodes above are SHA-256 (tree.go). No leaf passes for a node, nor the other way round:
// the root names the number of shards, so how far down leaves are is fixed.
//
// The library's own call starts a goroutine for each group of 16 KiB. This goes through
// them one after the other, as processors are busy with other shards.
func leaf(shard []byte) Hash {
	root := subtree(shard, 0)
	root.Flags |= guts.FlagRoot
	sum := guts.WordsToBytes(guts.CompressNode(root))
	return Hash(sum[:len(Hash{})])
}

// subtree is the node of BLAKE3's tree over b, which begins with that chunk. The left
// side of a node is complete: the largest power of two of chunks that leaves some for the right.
func subtree(b []byte, chunk uint64) guts.Node {
	switch {
	case len(b) == group:
		return guts.CompressBuffer((*[group]byte)(b), len(b), &guts.IV, chunk, 0)
	case len(b) < group:
		return part(b, chunk)
	}
	left := 1 << (bits.Len(uint(len(b)-1)) - 1)
	l := guts.ChainingValue(subtree(b[:left], chunk))
	r := guts.ChainingValue(subtree(b[left:], chunk+uint64(left/guts.ChunkSize)))
	return guts.ParentNode(l, r, &guts.IV, 0)
}

// part is the node over less than a group. Its copy would else be on the stack once for
// each level of the tree.
//
//go:noinline
func part(b []byte, chunk uint64) guts.Node {
	var last [group]byte
	return guts.CompressBuffer(&last, copy(last[:], b), &guts.IV, chunk, 0)
}
