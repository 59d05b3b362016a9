package follower

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cometbft/cometbft/crypto/merkle"

	"github.com/ordo-network/ordo/da"
)

// A blob that is over a layer's limit is split. A part is
//
//	magic    4 bytes  "ordp"
//	version  1 byte   1
//	first    8 bytes  of the blob, as in its header
//	count    4 bytes  of the blob, as in its header
//	length   4 bytes  of the blob
//	parts    2 bytes  number of parts, 2 to 256
//	index    2 bytes  of this one, from 0
//	root    32 bytes  of the tree over all parts' data
//	path              32 bytes each, from the sibling of the part's leaf upwards
//	data              the part of the blob
//
// with numbers in big endian. All parts have ceil(length/parts) bytes of the blob, but
// the last, which has what is left: less by fewer bytes than there are parts. They have
// at least 64 KiB, so that what a reader remembers of sets costs those bytes who make
// them up. The tree is that of RFC 6962, with the parts' data as leaves, and
//
//	set = SHA-256("ordo/blob-parts/v1" || 0x00 || first || count || length || parts || root)
//
// so that a stranger can add nothing to a set: no other data stands at an index.
const (
	partMagic      = "ordp"
	partVersion    = 1
	partHeaderSize = len(partMagic) + 1 + 8 + 4 + 4 + 2 + 2 + sha256.Size
	partDomain     = "ordo/blob-parts/v1\x00"

	// MaxParts bounds the parts of a blob.
	MaxParts = da.MaxClaimParts
	// minPartBytes is the least that the parts of a blob have of it.
	minPartBytes = 64 << 10
	// maxPartPath is the longest path in a tree of MaxParts leaves.
	maxPartPath = 8
	// MinBlobLimit is the least limit of a layer that any blob can be split for.
	MinBlobLimit = 512 << 10
)

// ErrParts is returned for parts that are not those of one blob.
var ErrParts = errors.New("not the parts of a blob")

// Range is what a blob, or a part of one, says of itself. It is unverified.
type Range struct {
	From, To    uint64   // heights of the sequencer chain
	Part, Parts int      // 0 of 1 where it is a whole blob
	Set         [32]byte // zero where it is a whole blob
}

// SplitBlob returns the blob in parts of at most limit bytes, or as it is where it has no
// more than that. The same blob and limit always give the same parts.
// Errors: ErrBlob, ErrBlobTooLarge where no parts are that small.
func SplitBlob(blob []byte, limit int) ([][]byte, error) {
	if len(blob) <= limit {
		return [][]byte{blob}, nil
	}
	h, err := parseBlobHeader(blob, DefaultBlobLimits)
	if err != nil {
		return nil, fmt.Errorf("split blob: %w", err)
	}
	return splitAs(h, blob, limit)
}

func splitAs(h blobHeader, blob []byte, limit int) ([][]byte, error) {
	room := limit - partHeaderSize - maxPartPath*sha256.Size
	if room < minPartBytes || (len(blob)+room-1)/room > MaxParts {
		return nil, fmt.Errorf("split blob of %d bytes: parts of at most %d bytes are too small, at least %d always do: %w",
			len(blob), limit, MinBlobLimit, ErrBlobTooLarge)
	}
	n := (len(blob) + room - 1) / room
	p := partHeader{first: h.first, count: h.count, length: uint32(len(blob)), parts: uint16(n)}
	if p.size() < minPartBytes {
		return nil, fmt.Errorf("split blob of %d bytes: %d parts have less than %d bytes each; a limit of %d or more always does: %w",
			len(blob), n, minPartBytes, MinBlobLimit, ErrBlobTooLarge)
	}
	data := make([][]byte, n)
	for i := range data {
		from, to := p.bounds(i)
		data[i] = blob[from:to]
	}
	root, paths := merkle.ProofsFromByteSlices(data)
	p.root = [sha256.Size]byte(root)
	out := make([][]byte, n)
	for i := range out {
		p.index = uint16(i)
		out[i] = p.append(make([]byte, 0, partHeaderSize+len(paths[i].Aunts)*sha256.Size+len(data[i])))
		for _, node := range paths[i].Aunts {
			out[i] = append(out[i], node...)
		}
		out[i] = append(out[i], data[i]...)
	}
	return out, nil
}

// BlobRange reads the header of a blob or of a part. Errors: ErrBlob, ErrBlobTooLarge, ErrParts.
func BlobRange(data []byte) (Range, error) {
	if !isPart(data) {
		h, err := parseBlobHeader(data, DefaultBlobLimits)
		if err != nil {
			return Range{}, err
		}
		return Range{From: h.first, To: h.last(), Parts: 1}, nil
	}
	p, err := parsePartHeader(data, DefaultBlobLimits)
	if err != nil {
		return Range{}, err
	}
	return Range{From: p.first, To: p.last(), Part: int(p.index), Parts: int(p.parts), Set: p.set()}, nil
}

// VerifyPart is BlobRange for one who has not fetched the other parts: that a part belongs to
// its set is verified. Of a whole blob, as with BlobRange, only the header is read. Errors: ErrBlob,
// ErrBlobTooLarge, ErrParts.
func VerifyPart(data []byte) (Range, error) {
	if isPart(data) {
		if _, _, err := openPart(data, DefaultBlobLimits); err != nil {
			return Range{}, err
		}
	}
	return BlobRange(data)
}

// JoinBlob puts the parts of a blob together, in any order; a whole blob is returned as
// it is. Each part is verified. What the blob says of its range is that of the parts; nothing
// else of it is looked at. Errors: ErrBlob, ErrBlobTooLarge, ErrParts.
func JoinBlob(parts [][]byte) ([]byte, error) {
	if len(parts) == 1 && !isPart(parts[0]) {
		if _, err := parseBlobHeader(parts[0], DefaultBlobLimits); err != nil {
			return nil, err
		}
		return parts[0], nil
	}
	var whole partHeader
	var data [MaxParts][]byte
	for i, raw := range parts {
		p, content, err := openPart(raw, DefaultBlobLimits)
		if err != nil {
			return nil, fmt.Errorf("part %d: %w", i, err)
		}
		switch {
		case i == 0:
			whole = p
		case p.set() != whole.set():
			return nil, fmt.Errorf("part %d is not of the set of the first: %w", i, ErrParts)
		case data[p.index] != nil:
			return nil, fmt.Errorf("part %d has index %d again: %w", i, p.index, ErrParts)
		}
		data[p.index] = content
	}
	if len(parts) == 0 || len(parts) != int(whole.parts) {
		return nil, fmt.Errorf("%d parts of %d: %w", len(parts), whole.parts, ErrParts)
	}
	blob := make([]byte, 0, whole.length)
	for _, d := range data[:whole.parts] {
		blob = append(blob, d...)
	}
	h, err := parseBlobHeader(blob, DefaultBlobLimits)
	if err != nil {
		return nil, err
	}
	if h.first != whole.first || h.count != whole.count {
		return nil, fmt.Errorf("blob of %d blocks from %d, its parts say %d from %d: %w", h.count, h.first, whole.count, whole.first, ErrParts)
	}
	return blob, nil
}

// partHeader is what a part says of itself. Parts with the same set have the same header
// but for the index, once they are verified.
type partHeader struct {
	first         uint64
	count, length uint32
	parts, index  uint16
	root          [sha256.Size]byte
}

func (p partHeader) last() uint64 { return p.first + uint64(p.count) - 1 }

// size is how many bytes of the blob each part has but the last.
func (p partHeader) size() int { return (int(p.length) + int(p.parts) - 1) / int(p.parts) }

// bounds is where the part's data stands in the blob.
func (p partHeader) bounds(index int) (from, to int) {
	return min(index*p.size(), int(p.length)), min((index+1)*p.size(), int(p.length))
}

// set is what all parts of the blob, and no others, have in common.
func (p partHeader) set() [sha256.Size]byte {
	doc := binary.BigEndian.AppendUint64([]byte(partDomain), p.first)
	doc = binary.BigEndian.AppendUint32(doc, p.count)
	doc = binary.BigEndian.AppendUint32(doc, p.length)
	doc = binary.BigEndian.AppendUint16(doc, p.parts)
	return sha256.Sum256(append(doc, p.root[:]...))
}

func (p partHeader) append(out []byte) []byte {
	out = append(append(out, partMagic...), partVersion)
	out = binary.BigEndian.AppendUint64(out, p.first)
	out = binary.BigEndian.AppendUint32(out, p.count)
	out = binary.BigEndian.AppendUint32(out, p.length)
	out = binary.BigEndian.AppendUint16(out, p.parts)
	out = binary.BigEndian.AppendUint16(out, p.index)
	return append(out, p.root[:]...)
}

func isPart(raw []byte) bool {
	return len(raw) >= len(partMagic) && string(raw[:len(partMagic)]) == partMagic
}

func parsePartHeader(raw []byte, limits BlobLimits) (partHeader, error) {
	if !isPart(raw) || len(raw) < partHeaderSize {
		return partHeader{}, fmt.Errorf("%d bytes without the header of a part: %w", len(raw), ErrParts)
	}
	b := raw[len(partMagic):]
	if b[0] != partVersion {
		return partHeader{}, fmt.Errorf("part of version %d, want %d: %w", b[0], partVersion, ErrParts)
	}
	p := partHeader{
		first: binary.BigEndian.Uint64(b[1:]), count: binary.BigEndian.Uint32(b[9:]), length: binary.BigEndian.Uint32(b[13:]),
		parts: binary.BigEndian.Uint16(b[17:]), index: binary.BigEndian.Uint16(b[19:]), root: [sha256.Size]byte(b[21:]),
	}
	switch {
	case p.first == 0 || p.first > maxHeight || p.count == 0:
		return partHeader{}, fmt.Errorf("%d blocks from height %d: %w", p.count, p.first, ErrParts)
	case uint64(p.count) > uint64(limits.MaxBlocks):
		return partHeader{}, fmt.Errorf("%d blocks, at most %d: %w", p.count, limits.MaxBlocks, ErrBlobTooLarge)
	case int64(p.length) > int64(limits.maxEncoded()):
		return partHeader{}, fmt.Errorf("blob of %d bytes, at most %d: %w", p.length, limits.maxEncoded(), ErrBlobTooLarge)
	case p.parts < 2 || p.parts > MaxParts || p.index >= p.parts:
		return partHeader{}, fmt.Errorf("part %d of %d, at most %d: %w", p.index, p.parts, MaxParts, ErrParts)
	case p.size() < minPartBytes:
		return partHeader{}, fmt.Errorf("%d parts of a blob of %d bytes, each must have %d or more: %w", p.parts, p.length, minPartBytes, ErrParts)
	}
	return p, nil
}

// openPart verifies a part and returns what it has of the blob.
func openPart(raw []byte, limits BlobLimits) (partHeader, []byte, error) {
	p, err := parsePartHeader(raw, limits)
	if err != nil {
		return p, nil, err
	}
	from, to := p.bounds(int(p.index))
	path := len(raw) - partHeaderSize - (to - from)
	if path < 0 || path%sha256.Size != 0 || path/sha256.Size > maxPartPath {
		return p, nil, fmt.Errorf("part %d has %d bytes, %d of them the blob's: %w", p.index, len(raw), to-from, ErrParts)
	}
	nodes, data := raw[partHeaderSize:partHeaderSize+path], raw[partHeaderSize+path:]
	proof := merkle.Proof{Total: int64(p.parts), Index: int64(p.index), LeafHash: leafHash(data)}
	for ; len(nodes) > 0; nodes = nodes[sha256.Size:] {
		proof.Aunts = append(proof.Aunts, nodes[:sha256.Size])
	}
	if err := proof.Verify(p.root[:], data); err != nil {
		return p, nil, fmt.Errorf("part %d does not belong to its set: %w: %w", p.index, err, ErrParts)
	}
	return p, data, nil
}

// leafHash is that of RFC 6962.
func leafHash(data []byte) []byte {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(data)
	return h.Sum(nil)
}
