package follower

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/ordo-network/ordo/order"
)

// blobDecoder unpacks blobs item by item, so that a reader stops at the first that does
// not verify, and a hostile blob costs no more than the headers of a run and one block.
type blobDecoder struct {
	zstd  *zstd.Decoder
	limit int // decompressed bytes of one blob
	body  *bufio.Reader
	most  int // decompressed bytes that this blob may have
	left  int // those that may still come

	header     blobHeader
	rollup     order.RollupID
	runs       uint32 // blocks of the runs that were read
	validators []byte // of the last run
}

// packedRun is a run as it stands in a blob, but for what it says of each block.
type packedRun struct {
	first      uint64
	headers    [][]byte
	commit     []byte
	validators []byte // those of the run before where it carries none
	read       int    // blocks that were read

	chain *run // its headers, once they were wanted
}

func (r *packedRun) last() uint64 { return r.first + uint64(len(r.headers)) - 1 }

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

// unpacked is how many bytes were read of the blob.
func (d *blobDecoder) unpacked() int { return d.most - d.left }

// open starts on a blob whose header has been parsed. Errors: ErrBlob, ErrBlobTooLarge.
func (d *blobDecoder) open(raw []byte, h blobHeader) error {
	body := raw[blobHeaderSize:]
	d.header, d.runs, d.most, d.validators = h, 0, d.limit, nil
	if h.packed {
		d.most = min(d.most, len(body)*blobMaxRatio)
	}
	d.left = d.most
	if !h.packed {
		d.body.Reset(bytes.NewReader(body))
	} else {
		if err := d.zstd.Reset(bytes.NewReader(body)); err != nil {
			return fmt.Errorf("open blob: %w: %w", err, ErrBlob)
		}
		d.body.Reset(d.zstd)
	}
	if _, err := io.ReadFull(d.body, d.rollup[:]); err != nil {
		return fmt.Errorf("rollup ID of a blob: %w", bodyError(err))
	}
	return nil
}

// run returns the next run, once all blocks of the one before were read; io.EOF after the
// last. Errors: ErrBlob, ErrBlobTooLarge.
func (d *blobDecoder) run() (*packedRun, error) {
	if d.runs == d.header.count {
		if _, err := d.body.ReadByte(); !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("more than the %d blocks of its header: %w", d.header.count, ErrBlob)
		}
		return nil, io.EOF
	}
	n, err := binary.ReadUvarint(d.body)
	if err != nil {
		return nil, fmt.Errorf("length of a run: %w", bodyError(err))
	}
	if n == 0 || n > maxRun || n > uint64(d.header.count-d.runs) {
		return nil, fmt.Errorf("run of %d blocks, at most %d of %d: %w", n, maxRun, d.header.count-d.runs, ErrBlob)
	}
	r := &packedRun{first: d.header.first + uint64(d.runs)}
	for range n {
		raw, err := d.item("header", maxHeaderBytes)
		if err != nil {
			return nil, err
		}
		r.headers = append(r.headers, raw)
	}
	if r.commit, err = d.item("commit", maxSignedHeaderBytes); err != nil {
		return nil, err
	}
	if r.validators, err = d.item("validator set", maxValidatorsBytes); err != nil {
		return nil, err
	}
	if len(r.validators) == 0 {
		r.validators = d.validators
	}
	if len(r.validators) == 0 {
		return nil, fmt.Errorf("the first run has no validator set: %w", ErrBlob)
	}
	d.validators, d.runs = r.validators, d.runs+uint32(n)
	return r, nil
}

// block returns what the run says of its next block, of which there must be one.
func (d *blobDecoder) block(r *packedRun) (height uint64, raw []byte, err error) {
	if raw, err = d.item("block", MaxBlockBytes); err != nil {
		return 0, nil, err
	}
	r.read++
	return r.first + uint64(r.read) - 1, raw, nil
}

func (d *blobDecoder) item(what string, limit int) ([]byte, error) {
	size, err := binary.ReadUvarint(d.body)
	if err != nil {
		return nil, fmt.Errorf("length of a %s: %w", what, bodyError(err))
	}
	if size > uint64(limit) || size > uint64(d.left) {
		return nil, fmt.Errorf("%s of %d bytes, at most %d: %w", what, size, min(limit, d.left), ErrBlobTooLarge)
	}
	d.left -= int(size)
	if size <= smallItem {
		out := make([]byte, size)
		if _, err := io.ReadFull(d.body, out); err != nil {
			return nil, fmt.Errorf("%s: %w", what, bodyError(err))
		}
		return out, nil
	}
	// The buffer grows with what is really there, not with what the length says.
	var buf bytes.Buffer
	if n, err := io.CopyN(&buf, d.body, int64(size)); err != nil {
		return nil, fmt.Errorf("%s: %d of %d bytes: %w", what, n, size, bodyError(err))
	}
	return buf.Bytes(), nil
}

// smallItem is what is taken from memory before it is there.
const smallItem = 4 << 10

// bodyError classes what reading a blob's body returned. A blob that ends early
// must not pass for one that ends.
func bodyError(err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, ErrBlob)
	case errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded):
		return fmt.Errorf("%w: %w", err, ErrBlobTooLarge)
	default:
		return fmt.Errorf("%w: %w", err, ErrBlob)
	}
}
