package follower

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
)

// maxAwaited bounds the DA heights that are remembered because they hold blobs
// above the next height.
const maxAwaited = 256

// Cursor is how far a FirmReader has come. It is immutable; the zero Cursor is
// the beginning.
type Cursor struct {
	// DAHeight is the last height of the DA layer that was read whole. It is needed
	// no more, but where awaited names it.
	DAHeight uint64
	// Checkpoint is the last firm block.
	Checkpoint Checkpoint

	awaited []awaited
}

// awaited are DA heights that hold a blob whose first block was not yet next when
// they were read. They are read again when it is: relayers may land blobs out of
// order. Remembering where a blob stands, not the blob, costs nothing to keep and
// survives a restart with the cursor.
type awaited struct {
	first    uint64 // lowest sequencer height above the next that a blob there claims
	from, to uint64 // DA heights
}

// await notes that the DA height holds a blob from the sequencer height on. Beyond
// the bound the two that are farthest off become one that covers both.
func await(list []awaited, first, daHeight uint64) []awaited {
	for i := range list {
		if list[i].from == daHeight && list[i].to == daHeight {
			list[i].first = min(list[i].first, first)
			return list
		}
	}
	list = append(list, awaited{first: first, from: daHeight, to: daHeight})
	if len(list) <= maxAwaited {
		return list
	}
	slices.SortFunc(list, func(a, b awaited) int { return cmp.Compare(a.first, b.first) })
	a, b := list[len(list)-2], list[len(list)-1]
	list[len(list)-2] = awaited{first: a.first, from: min(a.from, b.from), to: max(a.to, b.to)}
	return list[:len(list)-1]
}

const cursorVersion = 1

// Encode returns the cursor as bytes. The same holds as for Checkpoint.Encode.
func (c Cursor) Encode() []byte {
	out := []byte{cursorVersion}
	out = binary.AppendUvarint(out, c.DAHeight)
	out = binary.AppendUvarint(out, uint64(len(c.awaited)))
	for _, a := range c.awaited {
		out = binary.AppendUvarint(out, a.first)
		out = binary.AppendUvarint(out, a.from)
		out = binary.AppendUvarint(out, a.to)
	}
	return append(out, c.Checkpoint.Encode()...)
}

// DecodeCursor reads what Encode wrote; nothing is the zero Cursor.
func DecodeCursor(raw []byte) (Cursor, error) {
	if len(raw) == 0 {
		return Cursor{}, nil
	}
	if raw[0] != cursorVersion {
		return Cursor{}, fmt.Errorf("cursor of version %d, want %d", raw[0], cursorVersion)
	}
	raw = raw[1:]
	short := false
	number := func() uint64 {
		v, n := binary.Uvarint(raw)
		if n <= 0 {
			short = true
			return 0
		}
		raw = raw[n:]
		return v
	}
	c := Cursor{DAHeight: number()}
	count := number()
	if count > maxAwaited {
		return Cursor{}, fmt.Errorf("cursor awaits blobs at %d places, at most %d", count, maxAwaited)
	}
	for range count {
		c.awaited = append(c.awaited, awaited{first: number(), from: number(), to: number()})
	}
	if short {
		return Cursor{}, fmt.Errorf("cursor ends early")
	}
	var err error
	if c.Checkpoint, err = DecodeCheckpoint(raw); err != nil {
		return Cursor{}, err
	}
	return c, nil
}
