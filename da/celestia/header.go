package celestia

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"sync"

	"github.com/celestiaorg/go-square/v3/share"
	"github.com/cometbft/cometbft/crypto/merkle"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/remote"
)

const (
	// maxSquare is the widest square that Celestia's protocol allows.
	maxSquare = 512
	// rootSize is a root of a namespaced Merkle tree: the least and the greatest
	// namespace under it, and a hash.
	rootSize = 2*share.NamespaceSize + 32
	// keptSquares bounds the headers that are remembered, 46 kB each at most: the
	// rollups of one process read the same heights at about the same time.
	keptSquares = 128
)

// header is what is read of celestia-node's ExtendedHeader.
type header struct {
	Header struct {
		ChainID  string  `json:"chain_id"`
		Height   decimal `json:"height"`
		DataHash string  `json:"data_hash"` // upper-case hex
	} `json:"header"`
	DAH struct {
		Rows    roots `json:"row_roots"`
		Columns roots `json:"column_roots"`
	} `json:"dah"`
}

// roots are those of the rows or columns of the widest square, parity included.
type roots [][]byte

// UnmarshalJSON implements json.Unmarshaler.
func (r *roots) UnmarshalJSON(raw []byte) error {
	return remote.DecodeList(raw, 2*maxSquare, (*[][]byte)(r))
}

// decimal is a number that comes as a string.
type decimal uint64

func (d *decimal) UnmarshalText(b []byte) error {
	v, err := strconv.ParseUint(string(b), 10, 63)
	*d = decimal(v)
	return err
}

// square is what a header says of the data in its block: the roots of the rows that
// hold data, verified against the data hash. The rows below them hold parity alone.
type square struct {
	rows [][]byte
}

// square verifies the roots of a header.
func (h *header) square() (*square, error) {
	rows, columns := h.DAH.Rows, h.DAH.Columns
	width := len(rows) / 2
	if len(rows) != len(columns) || len(rows) != 2*width || width == 0 || width > maxSquare || width&(width-1) != 0 {
		return nil, fmt.Errorf("square has %d rows and %d columns, want twice a power of two, at most %d", len(rows), len(columns), 2*maxSquare)
	}
	all := make([][]byte, 0, len(rows)+len(columns))
	all = append(append(all, rows...), columns...)
	for _, root := range all {
		if len(root) != rootSize {
			return nil, fmt.Errorf("a root of the square has %d bytes, want %d", len(root), rootSize)
		}
	}
	want, err := hex.DecodeString(h.Header.DataHash)
	if err != nil {
		return nil, fmt.Errorf("data hash: %w", err)
	}
	if got := merkle.HashFromByteSlices(all); !bytes.Equal(got, want) {
		return nil, fmt.Errorf("roots of the square hash to %x, but the header's data hash is %x", got, want)
	}
	return &square{rows: rows[:width:width]}, nil
}

// rowsOf returns the rows whose range of namespaces takes in ns: what the
// namespace holds is in these. Leaves are sorted by namespace, so they are neighbours.
func (s *square) rowsOf(ns namespace) [][]byte {
	var out [][]byte
	for _, root := range s.rows {
		least, greatest := root[:len(ns)], root[len(ns):2*len(ns)]
		if bytes.Compare(least, ns[:]) <= 0 && bytes.Compare(ns[:], greatest) <= 0 {
			out = append(out, root)
		}
	}
	return out
}

// squares remembers the last ones that were read.
type squares struct {
	mu     sync.Mutex
	known  map[uint64]*square
	oldest []uint64
}

func (s *squares) get(height uint64) *square {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[height]
}

func (s *squares) put(height uint64, sq *square) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = make(map[uint64]*square)
	}
	if s.known[height] != nil {
		return
	}
	if len(s.oldest) == keptSquares {
		delete(s.known, s.oldest[0])
		s.oldest = s.oldest[1:]
	}
	s.known[height] = sq
	s.oldest = append(s.oldest, height)
}

// squareAt returns the square at a height that lies at or below the head.
func (c *Client) squareAt(ctx context.Context, height uint64) (*square, error) {
	if sq := c.squares.get(height); sq != nil {
		return sq, nil
	}
	h, err := c.header(ctx, "header.GetByHeight", height)
	if err != nil {
		return nil, err
	}
	if got := uint64(h.Header.Height); got != height {
		return nil, fmt.Errorf("header.GetByHeight: asked for height %d, got %d: %w", height, got, da.ErrUnavailable)
	}
	sq, err := h.square()
	if err != nil {
		return nil, fmt.Errorf("header at height %d is false: %w: %w", height, err, da.ErrUnavailable)
	}
	c.squares.put(height, sq)
	return sq, nil
}

// header calls a method that answers with a header.
func (c *Client) header(ctx context.Context, method string, params ...any) (*header, error) {
	h, err := read[header](ctx, c, smallAnswer, method, params...)
	if err != nil {
		return nil, err
	}
	return &h, c.checkHeader(method, &h)
}

// checkHeader refuses headers of another network, and notes the head.
func (c *Client) checkHeader(method string, h *header) error {
	if h.Header.ChainID == "" {
		return fmt.Errorf("%s: answer is no header: %w", method, da.ErrUnavailable)
	}
	c.chainID.CompareAndSwap(nil, &h.Header.ChainID)
	if want := *c.chainID.Load(); h.Header.ChainID != want {
		return fmt.Errorf("%s: the node is of network %q, want %q: %w", method, remote.Excerpt([]byte(h.Header.ChainID)), want, da.ErrRejected)
	}
	for height := uint64(h.Header.Height); ; {
		known := c.head.Load()
		if height <= known || c.head.CompareAndSwap(known, height) {
			return nil
		}
	}
}
