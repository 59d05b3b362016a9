package ordering

import (
	"fmt"
	"syscall"
)

// arena is memory for parcels, out of the collector's sight. With gigabytes of them in its heap it
// would seldom run, and the reader in this process would at each block work in memory that the
// system has yet to find and clear. It is never given back: a call that was cut off may still read
// it, and sends the next load's bytes where it goes on for longer than a network is left to recover.
type arena struct {
	chunks [][]byte
	full   int // chunks that hold parcels
	used   int // of the chunk after those
}

const chunkBytes = 64 << 20

// reset lets all parcels go.
func (a *arena) reset() { a.full, a.used = 0, 0 }

// keep copies b.
func (a *arena) keep(b []byte) ([]byte, error) {
	if len(b) > chunkBytes {
		return nil, fmt.Errorf("parcel of %d bytes, at most %d", len(b), chunkBytes)
	}
	if a.full < len(a.chunks) && a.used+len(b) > chunkBytes {
		a.full, a.used = a.full+1, 0
	}
	if a.full == len(a.chunks) {
		chunk, err := syscall.Mmap(-1, 0, chunkBytes, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		if err != nil {
			return nil, fmt.Errorf("take memory for payloads: %w", err)
		}
		a.chunks = append(a.chunks, chunk)
	}
	out := a.chunks[a.full][a.used : a.used+len(b) : a.used+len(b)]
	a.used += copy(out, b)
	return out, nil
}
