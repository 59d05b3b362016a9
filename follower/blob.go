package follower

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmttypes "github.com/cometbft/cometbft/types"
	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/proto"

	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// Errors of blobs, told apart by errors.Is.
var (
	// ErrBlob is returned for bytes that are not a blob of this format.
	ErrBlob = errors.New("not a blob of rollup blocks")
	// ErrBlobTooLarge is returned where a blob is, or would be, over its limits.
	ErrBlobTooLarge = errors.New("blob is over its limits")
)

// A blob is what a relayer puts on a DA layer: consecutive blocks of one rollup
// (docs/spec/blobs.md).
//
//	magic    4 bytes  "ordb"
//	version  1 byte   2
//	first    8 bytes  height of the first block, big endian
//	count    4 bytes  number of blocks, big endian
//	form     1 byte   0: the body as it is, 1: zstd
//	body              the rollup ID, 32 bytes, and runs of blocks
//
// First and count stand outside the compression so that a reader passes over
// blobs that it does not need at the cost of 18 bytes. A body unpacks to at most
// blobMaxRatio times its size, so that what a blob can cost its readers is bounded by its
// own size; where zstd would do better, a skippable frame of zeros fills it up.
//
// A run is up to 256 blocks in a row that have one validator set. With each item preceded by its
// length, as an uvarint, it is
//
//	the number of its blocks, an uvarint
//	the CometBFT header of each; all but the first leave out the hash of the block before
//	the commit of the last
//	the validator set; nothing where the run before has the same
//	of each block, a RollupBlock of what the headers do not say
//
// The validators signed the last header, it names the one before, and so on: one commit
// does for all. The hash that a header leaves out is computed of the header before it, so
// what a reader has is a chain. A set that changes ends a run, for who signs next stands in
// the last header of those that are known: no reader goes by signatures of validators
// that it does not know yet.
const (
	blobMagic      = "ordb"
	blobVersion    = 2
	blobHeaderSize = len(blobMagic) + 1 + 8 + 4 + 1
	blobStored     = 0
	blobZstd       = 1
	blobWindow     = 8 << 20
	blobMaxRatio   = 32
	zstdSkippable  = 0x184D2A50 // begins a frame that decoders skip (RFC 8878, section 3.1.2)

	// maxRun bounds the headers that must be hashed before the first block can be believed.
	maxRun = 256
	// maxHeaderBytes is far above the size of any CometBFT header.
	maxHeaderBytes = 2 << 10
)

// BlobLimits bound what a blob may unpack to.
type BlobLimits struct {
	MaxBytes  int // all of its body, decompressed
	MaxBlocks int
}

// maxEncoded is the most bytes that a blob may have itself.
func (l BlobLimits) maxEncoded() int { return l.MaxBytes + 1<<20 }

// DefaultBlobLimits are the limits within which EncodeBlob stays.
var DefaultBlobLimits = BlobLimits{MaxBytes: MaxBlockBytes + 1<<20, MaxBlocks: 4096}

// EncodeBlob packs consecutive blocks of one rollup, each with its signed header and
// its validator set; the same blocks always give the same bytes. The blocks are not changed.
// Errors: ErrBlobTooLarge where the blocks are over DefaultBlobLimits (pack fewer).
func EncodeBlob(blocks []*orderv1.RollupBlock) ([]byte, error) {
	if len(blocks) == 0 {
		return nil, errors.New("encode blob: no blocks")
	}
	if len(blocks) > DefaultBlobLimits.MaxBlocks {
		return nil, fmt.Errorf("encode blob: %d blocks, at most %d: %w", len(blocks), DefaultBlobLimits.MaxBlocks, ErrBlobTooLarge)
	}
	signed := make([]*signedBlock, len(blocks))
	for i, rb := range blocks {
		var err error
		if signed[i], err = openSigned(rb); err != nil {
			return nil, fmt.Errorf("encode blob: block %d: %w", i, err)
		}
		if i == 0 {
			continue
		}
		if before := signed[i-1].header; signed[i].header.Height != before.Height+1 || !bytes.Equal(signed[i].header.LastBlockID.Hash, before.Hash()) {
			return nil, fmt.Errorf("encode blob: block %d, of height %d, does not follow the one before, of %d", i, signed[i].header.Height, before.Height)
		}
		if !bytes.Equal(rb.GetRollupId(), blocks[0].GetRollupId()) {
			return nil, fmt.Errorf("encode blob: block %d is of rollup %x, the first of %x", i, rb.GetRollupId(), blocks[0].GetRollupId())
		}
	}
	body := bytes.Clone(blocks[0].GetRollupId())
	var known []byte // hash of the validator set of the run before
	for at := 0; at < len(signed); {
		n := runLength(signed[at:])
		var err error
		if body, err = appendRun(body, signed[at:at+n], known); err != nil {
			return nil, fmt.Errorf("encode blob: blocks %d to %d: %w", at, at+n-1, err)
		}
		known, at = signed[at].header.ValidatorsHash, at+n
	}
	return packBlob(uint64(signed[0].header.Height), uint32(len(blocks)), body)
}

// encoder is one for all blobs: making one takes megabytes, and small blobs come by the
// thousand. EncodeAll keeps nothing of the body before.
var encoder = sync.OnceValues(func() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(blobWindow))
})

// packBlob puts the header before a body, and compresses the body where that is of use.
func packBlob(first uint64, count uint32, body []byte) ([]byte, error) {
	enc, err := encoder()
	if err != nil {
		return nil, fmt.Errorf("encode blob: %w", err)
	}
	out := make([]byte, 0, blobHeaderSize+len(body)/2)
	out = append(append(out, blobMagic...), blobVersion)
	out = binary.BigEndian.AppendUint64(out, first)
	out = binary.BigEndian.AppendUint32(out, count)
	packed := enc.EncodeAll(body, append(out, blobZstd))
	size := len(packed) - blobHeaderSize
	if size >= len(body) {
		return append(append(out, blobStored), body...), nil
	}
	if least := (len(body) + blobMaxRatio - 1) / blobMaxRatio; size < least {
		filler := max(0, least-size-8)
		packed = binary.LittleEndian.AppendUint32(packed, zstdSkippable)
		packed = binary.LittleEndian.AppendUint32(packed, uint32(filler))
		packed = append(packed, make([]byte, filler)...)
	}
	return packed, nil
}

// signedBlock is a block that is to be packed, with its header.
type signedBlock struct {
	*orderv1.RollupBlock
	header *cmttypes.Header
	commit *cmtproto.Commit
}

func openSigned(rb *orderv1.RollupBlock) (*signedBlock, error) {
	var pb cmtproto.SignedHeader
	if err := pb.Unmarshal(rb.GetSignedHeader()); err != nil {
		return nil, fmt.Errorf("decode signed header: %w", err)
	}
	if pb.Header == nil || pb.Commit == nil {
		return nil, errors.New("signed header lacks its header or its commit")
	}
	if len(rb.GetValidators()) == 0 {
		return nil, errors.New("it lacks its validator set")
	}
	header, err := cmttypes.HeaderFromProto(pb.Header)
	if err != nil {
		return nil, fmt.Errorf("decode header: %w", err)
	}
	return &signedBlock{rb, &header, pb.Commit}, nil
}

// runLength is how many of the blocks make a run.
func runLength(blocks []*signedBlock) int {
	for i := 1; i < min(len(blocks), maxRun); i++ {
		if !bytes.Equal(blocks[i].header.ValidatorsHash, blocks[0].header.ValidatorsHash) {
			return i
		}
	}
	return min(len(blocks), maxRun)
}

// appendRun encodes a run; known is the hash of the validator set that needs not be said.
func appendRun(body []byte, run []*signedBlock, known []byte) ([]byte, error) {
	body = binary.AppendUvarint(body, uint64(len(run)))
	for i, b := range run {
		pb := b.header.ToProto()
		if i > 0 {
			pb.LastBlockId.Hash = nil
		}
		raw, err := pb.Marshal()
		if err != nil {
			return nil, fmt.Errorf("encode header: %w", err)
		}
		body = appendItem(body, raw)
	}
	commit, err := run[len(run)-1].commit.Marshal()
	if err != nil {
		return nil, fmt.Errorf("encode commit: %w", err)
	}
	body = appendItem(body, commit)
	var set []byte
	if !bytes.Equal(run[0].header.ValidatorsHash, known) {
		set = run[0].GetValidators()
	}
	body = appendItem(body, set)
	for _, b := range run {
		content := &orderv1.RollupBlock{
			OrderingHeader: b.GetOrderingHeader(), OrderingHeaderProof: b.GetOrderingHeaderProof(),
			NamespaceProof: b.GetNamespaceProof(), Legs: b.GetLegs(), VoidBatches: b.GetVoidBatches(),
		}
		size := proto.Size(content)
		if size > MaxBlockBytes || len(body)+binary.MaxVarintLen64+size > DefaultBlobLimits.MaxBytes {
			return nil, fmt.Errorf("block %d of %d bytes after %d, at most %d together: %w",
				b.header.Height, size, len(body), DefaultBlobLimits.MaxBytes, ErrBlobTooLarge)
		}
		body = binary.AppendUvarint(body, uint64(size))
		if body, err = (proto.MarshalOptions{Deterministic: true}).MarshalAppend(body, content); err != nil {
			return nil, fmt.Errorf("block %d: %w", b.header.Height, err)
		}
	}
	return body, nil
}

func appendItem(body, item []byte) []byte {
	return append(binary.AppendUvarint(body, uint64(len(item))), item...)
}

// blobHeader is what a blob says of itself, uncompressed and unverified.
type blobHeader struct {
	first  uint64
	count  uint32
	packed bool
}

// last is the height of the blob's last block.
func (h blobHeader) last() uint64 { return h.first + uint64(h.count) - 1 }

func parseBlobHeader(raw []byte, limits BlobLimits) (blobHeader, error) {
	if len(raw) < blobHeaderSize || string(raw[:len(blobMagic)]) != blobMagic {
		return blobHeader{}, fmt.Errorf("%d bytes without the header of a blob: %w", len(raw), ErrBlob)
	}
	b := raw[len(blobMagic):]
	if b[0] != blobVersion {
		return blobHeader{}, fmt.Errorf("version %d, want %d: %w", b[0], blobVersion, ErrBlob)
	}
	h := blobHeader{first: binary.BigEndian.Uint64(b[1:]), count: binary.BigEndian.Uint32(b[9:])}
	switch b[13] {
	case blobStored:
	case blobZstd:
		h.packed = true
	default:
		return blobHeader{}, fmt.Errorf("body of form %d, want %d or %d: %w", b[13], blobStored, blobZstd, ErrBlob)
	}
	if h.first == 0 || h.first > maxHeight || h.count == 0 {
		return blobHeader{}, fmt.Errorf("%d blocks from height %d: %w", h.count, h.first, ErrBlob)
	}
	if uint64(h.count) > uint64(limits.MaxBlocks) {
		return blobHeader{}, fmt.Errorf("%d blocks, at most %d: %w", h.count, limits.MaxBlocks, ErrBlobTooLarge)
	}
	return h, nil
}
