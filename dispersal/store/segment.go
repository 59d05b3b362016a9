package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	segmentSuffix = ".seg"
	indexSuffix   = ".idx"
	partSuffix    = ".part" // of an index that is being written
	diskCategory  = vfs.DiskWriteCategory("shard-store")

	// maxSegmentRecords ends a segment of small records, and so bounds its index.
	maxSegmentRecords = 1 << 16

	indexMagic      = "ordoidx1"
	indexHeadBytes  = len(indexMagic) + 8
	indexEntryBytes = 4 + 1 + headerBytes
	maxIndexBytes   = indexHeadBytes + (maxSegmentRecords+maxGroupRecords)*indexEntryBytes + 4
)

var errIndex = errors.New("not a segment's index")

// segment is a file of records. Number and mark are its name.
type segment struct {
	number uint32
	mark   uint64
	bytes  int64
	tag    uint64 // the highest of its records
}

func (g *segment) name() string { return fmt.Sprintf("%08x-%016x", g.number, g.mark) }

// parseSegment reads a name without its suffix.
func parseSegment(name string) (*segment, bool) {
	g := new(segment)
	if _, err := fmt.Sscanf(name, "%08x-%016x", &g.number, &g.mark); err != nil || g.name() != name {
		return nil, false
	}
	return g, true
}

// indexed is a record as a segment's index lists it.
type indexed struct {
	offset  uint32
	damaged bool
	header  header
}

// segmentIndex is the encoding of a segment's index, grown record by record.
type segmentIndex struct{ raw []byte }

func newSegmentIndex(mark uint64) segmentIndex {
	return segmentIndex{binary.BigEndian.AppendUint64([]byte(indexMagic), mark)}
}

func (x *segmentIndex) add(r *indexed, mark uint64) {
	x.raw = binary.BigEndian.AppendUint32(x.raw, r.offset)
	damaged := byte(0)
	if r.damaged {
		damaged = 1
	}
	x.raw = append(x.raw, damaged)
	x.raw = r.header.append(x.raw, mark, r.offset)
}

func (x *segmentIndex) records() int { return (len(x.raw) - indexHeadBytes) / indexEntryBytes }

func (x *segmentIndex) sealed() []byte {
	return binary.BigEndian.AppendUint32(x.raw, crc32.Checksum(x.raw, castagnoli))
}

func decodeIndex(raw []byte, mark uint64) ([]indexed, error) {
	n := len(raw) - indexHeadBytes - 4
	if n < 0 || len(raw) > maxIndexBytes || n%indexEntryBytes != 0 ||
		string(raw[:len(indexMagic)]) != indexMagic ||
		binary.BigEndian.Uint64(raw[len(indexMagic):]) != mark ||
		binary.BigEndian.Uint32(raw[len(raw)-4:]) != crc32.Checksum(raw[:len(raw)-4], castagnoli) {
		return nil, errIndex
	}
	out := make([]indexed, 0, n/indexEntryBytes)
	for b := raw[indexHeadBytes : len(raw)-4]; len(b) > 0; b = b[indexEntryBytes:] {
		r := indexed{offset: binary.BigEndian.Uint32(b), damaged: b[4] == 1}
		if b[4] > 1 || len(out) > 0 && r.offset <= out[len(out)-1].offset {
			return nil, errIndex
		}
		var err error
		if r.header, err = decodeHeader(b[5:indexEntryBytes], mark, r.offset); err != nil {
			return nil, fmt.Errorf("%w: %w", errIndex, err)
		}
		out = append(out, r)
	}
	return out, nil
}

// disk is the directory of the segments.
type disk struct {
	fs  vfs.FS
	dir string
}

func (d disk) path(name string) string { return d.fs.PathJoin(d.dir, name) }

// syncDir makes names that were created, changed or removed in dir durable.
func (d disk) syncDir(dir string) error {
	f, err := d.fs.OpenDir(dir)
	if err != nil {
		return fmt.Errorf("open directory: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}

// writeIndex gives the segment its index. The segment's records are on disk before.
func (d disk) writeIndex(g *segment, x *segmentIndex) error {
	part, name := d.path(g.name()+partSuffix), d.path(g.name()+indexSuffix)
	f, err := d.fs.Create(part, diskCategory)
	if err != nil {
		return fmt.Errorf("create segment index: %w", err)
	}
	// Crash here or before the rename is durable: a part is left over, which Open
	// removes, and the segment is scanned as if it had been open.
	_, err = f.Write(x.sealed())
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write segment index: %w", err)
	}
	if err := d.fs.Rename(part, name); err != nil {
		return fmt.Errorf("name segment index: %w", err)
	}
	return d.syncDir(d.dir)
}

func (d disk) readIndex(g *segment) ([]indexed, error) {
	f, err := d.fs.Open(d.path(g.name() + indexSuffix))
	if err != nil {
		return nil, fmt.Errorf("open segment index: %w", err)
	}
	raw, err := io.ReadAll(io.LimitReader(f, int64(maxIndexBytes)+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read segment index: %w", err)
	}
	return decodeIndex(raw, g.mark)
}

// trim splits a file's name into the segment's name and the suffix.
func trim(file string) (name, suffix string) {
	if i := strings.LastIndexByte(file, '.'); i >= 0 {
		return file[:i], file[i:]
	}
	return file, ""
}
