package follower

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

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

// errPassed marks what comes of looking at blocks that are passed over.
var errPassed = errors.New("block read before")

// A blob is what a relayer puts on a DA layer: consecutive blocks of one rollup.
//
//	magic    4 bytes  "ordb"
//	version  1 byte   1
//	first    8 bytes  height of the first block, big endian
//	count    4 bytes  number of blocks, big endian
//	form     1 byte   0: the body as it is, 1: zstd
//	body              for each block its length (uvarint) and its RollupBlock
//
// First and count stand outside the compression so that a reader passes over
// blobs that it does not need at the cost of 18 bytes. The first block carries
// its validator set, others do where it differs from the block before. A body
// that zstd would shrink more than blobMaxRatio times stays as it is, so that
// what a blob can cost its readers is bounded by its own size.
const (
	blobMagic      = "ordb"
	blobVersion    = 1
	blobHeaderSize = len(blobMagic) + 1 + 8 + 4 + 1
	blobStored     = 0
	blobZstd       = 1
	blobWindow     = 8 << 20
	blobMaxRatio   = 32
)

// BlobLimits bound what a blob may unpack to.
type BlobLimits struct {
	MaxBytes  int // all of its blocks, decompressed
	MaxBlocks int
}

// maxEncoded is the most bytes that a blob may have itself.
func (l BlobLimits) maxEncoded() int { return l.MaxBytes + 1<<20 }

// DefaultBlobLimits are the limits within which EncodeBlob stays.
var DefaultBlobLimits = BlobLimits{MaxBytes: MaxBlockBytes + 1<<20, MaxBlocks: 4096}

// EncodeBlob packs consecutive blocks of one rollup; the same blocks always give
// the same bytes. The first must carry its validator set, others may: a set that
// repeats is left out. The blocks are not changed.
// Errors: ErrBlobTooLarge where the blocks are over DefaultBlobLimits (pack fewer).
func EncodeBlob(blocks []*orderv1.RollupBlock) ([]byte, error) {
	if len(blocks) == 0 {
		return nil, errors.New("encode blob: no blocks")
	}
	if len(blocks) > DefaultBlobLimits.MaxBlocks {
		return nil, fmt.Errorf("encode blob: %d blocks, at most %d: %w", len(blocks), DefaultBlobLimits.MaxBlocks, ErrBlobTooLarge)
	}
	if len(blocks[0].GetValidators()) == 0 {
		return nil, errors.New("encode blob: the first block lacks its validator set")
	}
	first := claimedHeight(blocks[0].GetSignedHeader())
	var body []byte
	var known []byte // validators hash of the block before
	for i, rb := range blocks {
		if got, want := claimedHeight(rb.GetSignedHeader()), first+uint64(i); got != want {
			return nil, fmt.Errorf("encode blob: block %d has height %d, want %d", i, got, want)
		}
		if !bytes.Equal(rb.GetRollupId(), blocks[0].GetRollupId()) {
			return nil, fmt.Errorf("encode blob: block %d is of rollup %x, the first of %x", i, rb.GetRollupId(), blocks[0].GetRollupId())
		}
		hash := claimedValidatorsHash(rb.GetSignedHeader())
		if i > 0 && bytes.Equal(hash, known) && len(rb.GetValidators()) > 0 {
			rb = withoutValidators(rb)
		}
		known = hash
		size := proto.Size(rb)
		if size > MaxBlockBytes || len(body)+binary.MaxVarintLen64+size > DefaultBlobLimits.MaxBytes {
			return nil, fmt.Errorf("encode blob: block %d of %d bytes after %d, at most %d together: %w",
				i, size, len(body), DefaultBlobLimits.MaxBytes, ErrBlobTooLarge)
		}
		body = binary.AppendUvarint(body, uint64(size))
		var err error
		if body, err = (proto.MarshalOptions{Deterministic: true}).MarshalAppend(body, rb); err != nil {
			return nil, fmt.Errorf("encode blob: block %d: %w", i, err)
		}
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(blobWindow))
	if err != nil {
		return nil, fmt.Errorf("encode blob: %w", err)
	}
	out := make([]byte, 0, blobHeaderSize+len(body)/2)
	out = append(out, blobMagic...)
	out = append(out, blobVersion)
	out = binary.BigEndian.AppendUint64(out, first)
	out = binary.BigEndian.AppendUint32(out, uint32(len(blocks)))
	if packed := enc.EncodeAll(body, append(out, blobZstd)); len(body) <= (len(packed)-blobHeaderSize)*blobMaxRatio {
		return packed, nil
	}
	return append(append(out, blobStored), body...), nil
}

// DecodeBlob unpacks a blob within the limits. It verifies nothing but form: the
// blocks carry consecutive heights, as claimed.
// Errors: ErrBlob, ErrBlobTooLarge, ErrMalformed.
func DecodeBlob(raw []byte, limits BlobLimits) ([]*orderv1.RollupBlock, error) {
	h, err := parseBlobHeader(raw, limits)
	if err != nil {
		return nil, err
	}
	dec, err := newBlobDecoder(limits)
	if err != nil {
		return nil, err
	}
	defer dec.close()
	if err := dec.open(raw, h); err != nil {
		return nil, err
	}
	var blocks []*orderv1.RollupBlock
	for {
		rb, err := dec.next(0)
		if errors.Is(err, io.EOF) {
			return blocks, nil
		}
		if err != nil {
			return nil, err
		}
		blocks = append(blocks, rb)
	}
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

// blobDecoder unpacks blobs block by block, so that a reader stops at the first
// block that does not verify and a hostile blob costs no more than one block.
type blobDecoder struct {
	zstd   *zstd.Decoder
	limit  int // decompressed bytes of one blob
	body   *bufio.Reader
	header blobHeader
	read   uint32 // blocks
	left   int    // decompressed bytes that may still come

	validators []byte // last set seen in blocks that were passed over
	// passed, where set, is shown each block that is passed over, with that set.
	passed func(height uint64, raw, validators []byte) error
}

func newBlobDecoder(limits BlobLimits) (*blobDecoder, error) {
	// One goroutine, the caller's: nothing runs on behind a blob that is given up.
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(blobWindow), zstd.WithDecoderMaxMemory(uint64(limits.MaxBytes)))
	if err != nil {
		return nil, fmt.Errorf("blob decoder: %w", err)
	}
	return &blobDecoder{zstd: dec, limit: limits.MaxBytes, body: bufio.NewReader(nil)}, nil
}

func (d *blobDecoder) close() { d.zstd.Close() }

// open starts on a blob whose header has been parsed.
func (d *blobDecoder) open(raw []byte, h blobHeader) error {
	body := raw[blobHeaderSize:]
	d.header, d.read, d.left, d.validators = h, 0, d.limit, nil
	if !h.packed {
		d.body.Reset(bytes.NewReader(body))
		return nil
	}
	d.left = min(d.left, len(body)*blobMaxRatio)
	if err := d.zstd.Reset(bytes.NewReader(body)); err != nil {
		return fmt.Errorf("open blob: %w: %w", err, ErrBlob)
	}
	d.body.Reset(d.zstd)
	return nil
}

// next returns the next block from a height on, io.EOF after the last. Blocks
// below are passed over undecoded; if one of them carries the validator set that
// is in force at the height, the block returned carries it too.
func (d *blobDecoder) next(from uint64) (*orderv1.RollupBlock, error) {
	for {
		raw, err := d.nextRaw()
		if err != nil {
			return nil, err
		}
		height := d.header.first + uint64(d.read) - 1
		if height < from {
			if set := bytesField(raw, fieldBlockValidators); len(set) > 0 {
				d.validators = set
			}
			if d.passed != nil {
				if err := d.passed(height, raw, d.validators); err != nil {
					return nil, fmt.Errorf("%w: %w", errPassed, err)
				}
			}
			continue
		}
		rb, err := DecodeBlock(raw)
		if err != nil {
			return nil, fmt.Errorf("block %d: %w", d.read-1, err)
		}
		if got := claimedHeight(rb.GetSignedHeader()); got != height {
			return nil, fmt.Errorf("block %d has height %d, want %d: %w", d.read-1, got, height, ErrBlob)
		}
		if len(rb.Validators) == 0 {
			rb.Validators = d.validators
		}
		d.validators = nil
		return rb, nil
	}
}

func (d *blobDecoder) nextRaw() ([]byte, error) {
	if d.read == d.header.count {
		if _, err := d.body.ReadByte(); !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("more than the %d blocks of its header: %w", d.header.count, ErrBlob)
		}
		return nil, io.EOF
	}
	size, err := binary.ReadUvarint(d.body)
	if err != nil {
		return nil, fmt.Errorf("length of block %d: %w", d.read, bodyError(err))
	}
	if size > MaxBlockBytes || size > uint64(d.left) {
		return nil, fmt.Errorf("block %d of %d bytes, at most %d: %w", d.read, size, min(MaxBlockBytes, d.left), ErrBlobTooLarge)
	}
	d.left -= int(size)
	// The buffer grows with what is really there, not with what the length says.
	var buf bytes.Buffer
	if n, err := io.CopyN(&buf, d.body, int64(size)); err != nil {
		return nil, fmt.Errorf("block %d: %d of %d bytes: %w", d.read, n, size, bodyError(err))
	}
	d.read++
	return buf.Bytes(), nil
}

// bodyError classes what reading a blob's body returned. A blob that ends early
// must not pass for one that ends.
func bodyError(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, ErrBlob)
	case errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded):
		return fmt.Errorf("%w: %w", err, ErrBlobTooLarge)
	default:
		return fmt.Errorf("%w: %w", err, ErrBlob)
	}
}

// withoutValidators returns the block without its validator set. It shares all
// else with rb, which stays as it is.
func withoutValidators(rb *orderv1.RollupBlock) *orderv1.RollupBlock {
	return &orderv1.RollupBlock{
		RollupId: rb.RollupId, SignedHeader: rb.SignedHeader, OrderingHeader: rb.OrderingHeader,
		OrderingHeaderProof: rb.OrderingHeaderProof, NamespaceProof: rb.NamespaceProof, Legs: rb.Legs,
		VoidBatches: rb.VoidBatches,
	}
}
