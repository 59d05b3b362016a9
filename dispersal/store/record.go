package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"

	"github.com/ordo-network/ordo/dispersal/shard"
)

const (
	// MaxOwnerBytes bounds the owner of a lane.
	MaxOwnerBytes = shard.MaxKeyBytes
	// MaxRecordBytes bounds a record: a share, and 160 KiB for the batch's header.
	MaxRecordBytes = shard.MaxShareBytes + 160<<10

	headerBytes  = 128
	maxHeadBytes = 1<<24 - 1 // what the header has room for
)

// Key is a position in a lane.
type Key struct {
	// Owner is who the lane belongs to, 1 to MaxOwnerBytes bytes, as shard.Holder
	// has it.
	Owner    []byte
	Session  uint64
	Sequence uint64
}

func (k Key) check() error {
	if len(k.Owner) == 0 || len(k.Owner) > MaxOwnerBytes {
		return fmt.Errorf("lane owner of %d bytes, want 1 to %d", len(k.Owner), MaxOwnerBytes)
	}
	return nil
}

func (k Key) equal(o Key) bool {
	return bytes.Equal(k.Owner, o.Owner) && k.Session == o.Session && k.Sequence == o.Sequence
}

// String names the position for people.
func (k Key) String() string { return fmt.Sprintf("%x/%d/%d", k.Owner, k.Session, k.Sequence) }

// digest is the start of the SHA-256 over a record's head and, where there is one, its
// body's checksum.
type digest [16]byte

func digestOf(head, body []byte) digest {
	sum := newDigester(uint32(len(head)))
	sum.write(head)
	sum.write(body)
	return sum.digest()
}

// digester is given a record piece by piece, of any size.
type digester struct {
	sha  hash.Hash
	head uint32 // bytes of it to come
	body uint32 // checksum of what came behind it
	more bool   // something did
}

func newDigester(head uint32) *digester { return &digester{sha: sha256.New(), head: head} }

func (d *digester) write(b []byte) {
	n := min(int(d.head), len(b))
	d.sha.Write(b[:n])
	d.head -= uint32(n)
	if n < len(b) {
		d.body, d.more = crc32.Update(d.body, castagnoli, b[n:]), true
	}
}

func (d *digester) digest() digest {
	if d.more {
		d.sha.Write(binary.BigEndian.AppendUint32(nil, d.body))
	}
	return digest(d.sha.Sum(nil)[:len(digest{})])
}

// header is what stands before a record's body; the package comment shows it.
type header struct {
	key    Key
	tag    uint64
	synced uint32
	length uint32
	head   uint32 // bytes of the record that are its head; all of them in one without a body
	digest digest
}

// headEnds is where the owner's field ends and the head's length stands.
const headEnds = 57 + MaxOwnerBytes

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errHeader  = errors.New("not a record's header")
)

// headerSum covers the place too: a record that the disk put elsewhere is damage.
func headerSum(raw []byte, offset uint32) uint32 {
	var place [4]byte
	binary.BigEndian.PutUint32(place[:], offset)
	return crc32.Update(crc32.Checksum(place[:], castagnoli), castagnoli, raw[:headerBytes-4])
}

func (h *header) append(b []byte, mark uint64, offset uint32) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint64(b, mark)
	b = binary.BigEndian.AppendUint32(b, h.synced)
	b = binary.BigEndian.AppendUint32(b, h.length)
	b = binary.BigEndian.AppendUint64(b, h.tag)
	b = binary.BigEndian.AppendUint64(b, h.key.Session)
	b = binary.BigEndian.AppendUint64(b, h.key.Sequence)
	b = append(b, h.digest[:]...)
	b = append(b, byte(len(h.key.Owner)))
	b = append(b, h.key.Owner...)
	b = append(b, make([]byte, headEnds-(len(b)-start))...)
	head := h.head
	if head == h.length {
		head = 0 // as it was written before records had bodies
	}
	b = append(b, byte(head>>16), byte(head>>8), byte(head))
	return binary.BigEndian.AppendUint32(b, headerSum(b[start:], offset))
}

// decodeHeader reads the header that stands at the offset. It keeps nothing of raw.
func decodeHeader(raw []byte, mark uint64, offset uint32) (header, error) {
	if len(raw) < headerBytes || binary.BigEndian.Uint64(raw) != mark ||
		binary.BigEndian.Uint32(raw[headerBytes-4:]) != headerSum(raw, offset) {
		return header{}, errHeader
	}
	h := header{
		synced: binary.BigEndian.Uint32(raw[8:]),
		length: binary.BigEndian.Uint32(raw[12:]),
		tag:    binary.BigEndian.Uint64(raw[16:]),
		head:   uint32(raw[headEnds])<<16 | uint32(raw[headEnds+1])<<8 | uint32(raw[headEnds+2]),
		digest: digest(raw[40:56]),
	}
	if h.head >= h.length && h.head > 0 {
		return header{}, errHeader
	}
	if h.head == 0 {
		h.head = h.length
	}
	owner := int(raw[56])
	if owner == 0 || owner > MaxOwnerBytes || h.length > MaxRecordBytes || h.synced > offset {
		return header{}, errHeader
	}
	for _, b := range raw[57+owner : headEnds] {
		if b != 0 {
			return header{}, errHeader
		}
	}
	h.key = Key{
		Owner:    append([]byte(nil), raw[57:57+owner]...),
		Session:  binary.BigEndian.Uint64(raw[24:]),
		Sequence: binary.BigEndian.Uint64(raw[32:]),
	}
	return h, nil
}
