// Package direct appends to files and reads them past the operating system's page cache.
//
// What is written once and read rarely gains nothing from that cache: it is copied into pages that
// the system must find and clear first, and pushes out of memory what is read often. Where the
// system gives a process fresh memory slowly, as virtual machines do, this costs fifteen times what
// the disk does. Direct writes are whole blocks from aligned memory, so an append gathers, ends
// with zeroes up to the next block when it is synced, and writes that block again later.
//
// Files whose system refuses direct access (some that are remote, or in memory) and those of
// a vfs.FS in memory are written and read in the same blocks, through whatever cache there is.
package direct

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"syscall"
	"unsafe"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// Block is the size of which files are a multiple, with zeroes behind what was appended. It
	// is a multiple of the sectors of all common disks.
	Block = 4 << 10
	// gathered is what an Appender writes at a time.
	gathered = 1 << 20
)

// Appender is a file that is appended to, by one goroutine at a time. After an error it is of
// no more use but for Close.
type Appender struct {
	file   vfs.File
	direct bool
	at     int64  // where buf stands in the file, at the start of a block
	buf    []byte // gathered and not yet written, or written and in the last block; aligned
	synced bool   // all of buf is in the file
}

// Create makes a file, which must not be there.
func Create(fs vfs.FS, name string, category vfs.DiskWriteCategory) (*Appender, error) {
	f, err := fs.OpenReadWrite(name, category)
	if err != nil {
		return nil, err
	}
	return &Appender{file: f, direct: set(f), buf: aligned(gathered)[:0], synced: true}, nil
}

// Size is how many bytes were appended.
func (a *Appender) Size() int64 { return a.at + int64(len(a.buf)) }

// Write appends b, which it does not keep. It may be in memory alone until Sync.
func (a *Appender) Write(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		free := min(len(b)-n, cap(a.buf)-len(a.buf))
		a.buf = append(a.buf, b[n:n+free]...)
		a.synced = false
		if n += free; len(a.buf) == cap(a.buf) {
			if err := a.write(a.buf); err != nil {
				return n, err
			}
			a.at, a.buf = a.at+int64(len(a.buf)), a.buf[:0]
		}
	}
	return n, nil
}

// Sync returns when all that was appended is on disk.
//
// Crash while it writes: of the last block, which may hold what an earlier Sync has
// answered for, those bytes are the same before and after, whichever of its sectors were written.
func (a *Appender) Sync() error {
	if !a.synced {
		whole := len(a.buf) / Block * Block
		var last [Block]byte // a copy: a vfs.File may change what it is given
		copy(last[:], a.buf[whole:])
		rest := len(a.buf) - whole
		padded := a.buf[:(len(a.buf)+Block-1)/Block*Block]
		clear(padded[len(a.buf):])
		if err := a.write(padded); err != nil {
			return err
		}
		a.at, a.buf, a.synced = a.at+int64(whole), append(a.buf[:0], last[:rest]...), true
	}
	return a.file.SyncData()
}

// Filled says whether a file's rest is the zeroes that fill its last block.
func Filled(rest []byte) bool {
	return len(rest) < Block && len(bytes.Trim(rest, "\x00")) == 0
}

// Close lets go of the file, and of what was not synced.
func (a *Appender) Close() error { return a.file.Close() }

// write writes blocks.
func (a *Appender) write(b []byte) error {
	n, err := a.file.WriteAt(b, a.at)
	if a.direct && errors.Is(err, syscall.EINVAL) {
		// It refuses only now: say, a disk with larger sectors.
		a.direct = unset(a.file)
		n, err = a.file.WriteAt(b, a.at)
	}
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}

// Reader is an open file.
type Reader struct {
	file   vfs.File
	direct bool
}

// Open opens a file to read from.
func Open(fs vfs.FS, name string) (*Reader, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	return &Reader{f, set(f)}, nil
}

// Read returns the n bytes at the offset, which are the caller's. Errors: io.ErrUnexpectedEOF.
func (r *Reader) Read(offset int64, n int) ([]byte, error) {
	from := offset / Block * Block
	skip := int(offset - from)
	buf := aligned((skip + n + Block - 1) / Block * Block)
	got, err := r.file.ReadAt(buf, from)
	if r.direct && errors.Is(err, syscall.EINVAL) {
		r.direct = unset(r.file)
		got, err = r.file.ReadAt(buf, from)
	}
	if got >= skip+n { // the file's end may be in the last block
		return buf[skip : skip+n : skip+n], nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return nil, fmt.Errorf("read %d of %d bytes: %w", max(got-skip, 0), n, err)
}

// Close lets go of the file.
func (r *Reader) Close() error { return r.file.Close() }

// aligned returns n bytes that begin where a block of memory does.
func aligned(n int) []byte {
	b := make([]byte, n+Block)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & (Block - 1)
	return b[skip : skip+n : skip+n]
}
