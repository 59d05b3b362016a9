package pool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/ordo-network/ordo/internal/direct"
)

// A journal keeps accepted bundles on disk, by number of arrival, in segments that are only
// ever appended to, <number, 16 hex digits>.log. A segment begins with its salt, 4 bytes at
// random. A record is
//
//	length of the bundle 4 | CRC-32C of all that follows, from the salt on, 4 | number of arrival 8 | bundle
//
// big endian, and zeroes fill the last block (package internal/direct). Where a crash has cut
// off a record or the disk has damaged one, the next is looked for where none may begin: nobody
// knows the salt, and so nobody writes into a bundle what passes for a record with the number of
// somebody else's.
//
// Bundles live for less than a second as a rule: a segment goes when all its bundles are gone,
// and none is written twice but those that outlive many that came after them. That a bundle is
// gone is nowhere on disk: one that comes back after a crash is found carried or expired, and
// leaves again.
const (
	segmentHead   = 4
	recordHead    = 16
	segmentSuffix = ".log"
	lockFile      = "LOCK"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// segment is a file.
type segment struct {
	name   string
	salt   uint32
	size   int64
	count  int // of its live records
	sealed bool
}

func segmentName(number uint64) string { return fmt.Sprintf("%016x"+segmentSuffix, number) }

// readAll takes in what is on disk.
func (j *journal) readAll() error {
	names, err := j.fs.List(j.dir)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if name == lockFile {
			continue
		}
		if _, err := fmt.Sscanf(name, "%016x"+segmentSuffix, &j.last); err != nil || name != segmentName(j.last) {
			return fmt.Errorf("%q is no segment of it: another version left there what it has accepted; "+
				"start that version until its pool is empty, then remove the directory", name)
		}
		if err := j.read(name); err != nil {
			return err
		}
	}
	return nil
}

// read takes in a segment.
func (j *journal) read(name string) error {
	f, err := j.fs.Open(j.fs.PathJoin(j.dir, name))
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(f)
	// After a kill, what was written can be read and may not be on disk. It must be before
	// another segment goes because its bundles stand here, too.
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	s := &segment{name: name, size: int64(len(raw))}
	lost := 0
	if len(raw) < segmentHead {
		lost, raw = len(raw), nil
	} else {
		s.salt, raw = binary.BigEndian.Uint32(raw), raw[segmentHead:]
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for len(raw) > 0 {
		seq, bundle, size, ok := decodeRecord(s.salt, raw)
		if !ok && direct.Filled(raw) {
			break
		}
		raw = raw[size:]
		if !ok {
			// Of the records that a crash cut off any part may be there, in any order; no put of
			// them has returned.
			lost += size
			continue
		}
		j.keep(seq, bytes.Clone(bundle), s)
	}
	if lost > 0 {
		j.log.Warn("pool journal: left out what a crash cut off, or what the disk has damaged", "segment", name, "bytes", lost)
	}
	s.sealed = true // not before: a number may stand here twice
	j.sealed, j.bytes = append(j.sealed, s), j.bytes+s.size
	j.bury(s)
	return nil
}

// decodeRecord reads the record at the beginning of b, of which the record or what is no
// record takes that many bytes, one at least.
func decodeRecord(salt uint32, b []byte) (seq uint64, bundle []byte, size int, ok bool) {
	if len(b) < recordHead {
		return 0, nil, len(b), false
	}
	length := binary.BigEndian.Uint32(b)
	if uint64(length) > uint64(len(b)-recordHead) {
		return 0, nil, len(b), false
	}
	size = recordHead + int(length)
	if crc32.Update(salt, castagnoli, b[8:size]) != binary.BigEndian.Uint32(b[4:]) {
		return 0, nil, size, false
	}
	return binary.BigEndian.Uint64(b[8:]), b[recordHead:size:size], size, true
}

func recordHeader(salt uint32, seq uint64, bundle []byte) []byte {
	var number [8]byte
	binary.BigEndian.PutUint64(number[:], seq)
	b := make([]byte, 0, recordHead)
	b = binary.BigEndian.AppendUint32(b, uint32(len(bundle)))
	b = binary.BigEndian.AppendUint32(b, crc32.Update(crc32.Update(salt, castagnoli, number[:]), castagnoli, bundle))
	return append(b, number[:]...)
}
