package store

import (
	"bytes"
	"encoding/binary"
	"io"

	"github.com/ordo-network/ordo/internal/direct"
)

// scanned is what a segment without an index holds.
type scanned struct {
	records []indexed
	// torn bytes belong to records that were being written at a crash: no Put had
	// returned for them, unless the disk damaged the last sync's records.
	torn int64
	// lost bytes were on disk once and are no longer records; whose, they do not say.
	lost int64
}

// scanner reads a segment from start to end. What cannot be read counts as
// damaged: zeroes, which match no checksum.
type scanner struct {
	file io.ReaderAt
	size int64
	buf  []byte
}

const scanBytes = 1 << 20

func (s *scanner) at(offset int64, n int) []byte {
	b := s.buf[:min(int64(n), s.size-offset)]
	if got, err := s.file.ReadAt(b, offset); err != nil {
		clear(b[got:])
	}
	return b
}

// scan finds every record of the segment, also behind damage.
func scan(file io.ReaderAt, size int64, mark uint64) scanned {
	s := &scanner{file: file, size: size, buf: make([]byte, scanBytes)}
	type gap struct{ from, to int64 }
	var out scanned
	var gaps []gap
	var synced int64
	for pos := int64(0); pos < size; {
		h, err := decodeHeader(s.at(pos, headerBytes), mark, uint32(pos))
		if err != nil {
			if direct.Filled(s.at(pos, direct.Block)) {
				break
			}
			next := s.find(pos+1, mark)
			gaps = append(gaps, gap{pos, next})
			pos = next
			continue
		}
		synced = max(synced, int64(h.synced))
		next := pos + headerBytes + int64(h.length)
		r := indexed{offset: uint32(pos), header: h}
		r.damaged = next > size || s.digest(pos+headerBytes, &h) != h.digest
		out.records = append(out.records, r)
		pos = next
	}
	for _, g := range gaps {
		if g.from < synced {
			out.lost += g.to - g.from
		} else {
			out.torn += g.to - g.from
		}
	}
	return out
}

// find returns where the mark stands next, or the size.
func (s *scanner) find(from int64, mark uint64) int64 {
	want := binary.BigEndian.AppendUint64(nil, mark)
	// Small steps first: where damage is dense, marks are near and headers many.
	for n := 4 << 10; from+int64(len(want)) <= s.size; n = min(2*n, scanBytes) {
		b := s.at(from, n)
		if i := bytes.Index(b, want); i >= 0 {
			return from + int64(i)
		}
		from += int64(len(b) - len(want) + 1)
	}
	return s.size
}

func (s *scanner) digest(offset int64, h *header) digest {
	sum, n := newDigester(h.head), int64(h.length)
	for n > 0 {
		b := s.at(offset, int(min(n, scanBytes)))
		sum.write(b)
		offset, n = offset+int64(len(b)), n-int64(len(b))
	}
	return sum.digest()
}
