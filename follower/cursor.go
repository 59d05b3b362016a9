package follower

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Cursor is how far a FirmReader has come. It is immutable; the zero Cursor is
// the beginning.
type Cursor struct {
	// Checkpoint is the last firm block.
	Checkpoint Checkpoint

	places []place // by the names of layers, rising
}

// DAHeight is the last height of the layer that was read whole. It is needed no more, but
// where a blob that stands there was not taken yet.
func (c Cursor) DAHeight(layer string) uint64 {
	p, _ := c.place(layer)
	return p.read
}

func (c Cursor) place(layer string) (place, bool) {
	for _, p := range c.places {
		if p.layer == layer {
			return p, true
		}
	}
	return place{layer: layer}, false
}

const (
	// cursorVersion is 2. Those of version 1 go with blobs that nobody reads any more.
	cursorVersion = 2
	// maxPlaces bounds the layers that a cursor knows: those that are read now, and those that
	// were before.
	maxPlaces = 8
	// maxLayerName is longer than the name of any layer.
	maxLayerName = 64
)

var errCursor = errors.New("malformed cursor")

// Encode returns the cursor as bytes. The same holds as for Checkpoint.Encode.
func (c Cursor) Encode() []byte {
	out := []byte{cursorVersion}
	out = binary.AppendUvarint(out, uint64(len(c.places)))
	for _, p := range c.places {
		out = p.append(out)
	}
	return append(out, c.Checkpoint.Encode()...)
}

// DecodeCursor reads what Encode wrote; nothing is the zero Cursor, as is a cursor of version 1.
func DecodeCursor(raw []byte) (Cursor, error) {
	if len(raw) == 0 || raw[0] == 1 {
		return Cursor{}, nil
	}
	if raw[0] != cursorVersion {
		return Cursor{}, fmt.Errorf("cursor of version %d, want %d", raw[0], cursorVersion)
	}
	in := fields{raw: raw[1:]}
	count := in.count(maxPlaces)
	var c Cursor
	for range count {
		p := decodePlace(&in)
		if n := len(c.places); n > 0 && c.places[n-1].layer >= p.layer {
			in.bad = true
		}
		c.places = append(c.places, p)
	}
	if in.bad {
		return Cursor{}, errCursor
	}
	var err error
	if c.Checkpoint, err = DecodeCheckpoint(in.raw); err != nil {
		return Cursor{}, err
	}
	return c, nil
}

// fields reads numbers and bytes; bad says that something was not there, or too much.
type fields struct {
	raw []byte
	bad bool
}

func (f *fields) number() uint64 {
	v, n := binary.Uvarint(f.raw)
	if n <= 0 {
		f.bad = true
		return 0
	}
	f.raw = f.raw[n:]
	return v
}

// count is a number of things that follow.
func (f *fields) count(most int) int {
	n := f.number()
	if f.bad || n > uint64(most) {
		f.bad = true
		return 0
	}
	return int(n)
}

func (f *fields) bytes(n int) []byte {
	if len(f.raw) < n {
		f.bad = true
		return make([]byte, n)
	}
	out := f.raw[:n]
	f.raw = f.raw[n:]
	return slices.Clone(out)
}
