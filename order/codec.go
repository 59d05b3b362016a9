package order

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrEncoding is returned for bytes that are not the canonical encoding of what they should be.
var ErrEncoding = errors.New("not a canonical encoding")

// fields reads a canonical proto3 message: ascending field numbers, minimal
// varints, no field at its default value. It keeps the first error; after an
// error every read returns nothing, so that a decoder checks once, at the end.
// What it returns aliases the input.
type fields struct {
	buf []byte
	err error
}

func (f *fields) fail(num protowire.Number, what string) {
	if f.err == nil {
		f.err = fmt.Errorf("field %d: %s: %w", num, what, ErrEncoding)
	}
}

// take consumes the tag of field num and type typ if it comes next.
func (f *fields) take(num protowire.Number, typ protowire.Type) bool {
	if f.err != nil || len(f.buf) == 0 {
		return false
	}
	tag, n := protowire.ConsumeVarint(f.buf)
	if n < 0 || n != protowire.SizeVarint(tag) {
		f.fail(num, "malformed tag")
		return false
	}
	if tag != protowire.EncodeTag(num, typ) {
		return false
	}
	f.buf = f.buf[n:]
	return true
}

func (f *fields) varint(num protowire.Number) uint64 {
	v, n := protowire.ConsumeVarint(f.buf)
	if n < 0 || n != protowire.SizeVarint(v) {
		f.fail(num, "malformed number")
		return 0
	}
	f.buf = f.buf[n:]
	return v
}

// uint reads an optional number; absent means 0.
func (f *fields) uint(num protowire.Number) uint64 {
	if !f.take(num, protowire.VarintType) {
		return 0
	}
	v := f.varint(num)
	if v == 0 {
		f.fail(num, "default value")
	}
	return v
}

// element reads one element of a repeated field; ok is false where no more follows.
func (f *fields) element(num protowire.Number) (b []byte, ok bool) {
	if !f.take(num, protowire.BytesType) {
		return nil, false
	}
	size := f.varint(num)
	if f.err != nil {
		return nil, false
	}
	if size > uint64(len(f.buf)) {
		f.fail(num, "runs past the end")
		return nil, false
	}
	b, f.buf = f.buf[:size:size], f.buf[size:]
	return b, true
}

// count returns how many elements of a repeated field come next, at most one more than the bound.
func (f *fields) count(num protowire.Number, bound int) int {
	ahead := *f
	for n := 0; ; n++ {
		if _, ok := ahead.element(num); !ok || n > bound {
			return n
		}
	}
}

// bytes reads a byte string of the given length, which must be there.
func (f *fields) bytes(num protowire.Number, length int) []byte {
	b, _ := f.element(num)
	if f.err == nil && len(b) != length {
		f.fail(num, fmt.Sprintf("%d bytes, want %d", len(b), length))
	}
	return b
}

// text reads a string of 1 to so many bytes; absent means empty.
func (f *fields) text(num protowire.Number, most int) string {
	b, ok := f.element(num)
	switch {
	case !ok:
		return ""
	case len(b) == 0:
		f.fail(num, "default value")
	case len(b) > most:
		f.fail(num, fmt.Sprintf("%d bytes, at most %d", len(b), most))
	}
	return string(b)
}

// end reports the first error, or that bytes are left over.
func (f *fields) end() error {
	if f.err == nil && len(f.buf) > 0 {
		f.err = fmt.Errorf("%d bytes that fit no field, or out of order: %w", len(f.buf), ErrEncoding)
	}
	return f.err
}

func appendUint(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

func appendBytes(b []byte, num protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), v)
}

func appendString(b []byte, num protowire.Number, v string) []byte {
	if v == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), v)
}

func sizeUint(num protowire.Number, v uint64) int {
	if v == 0 {
		return 0
	}
	return protowire.SizeTag(num) + protowire.SizeVarint(v)
}

func sizeBytes(num protowire.Number, length int) int {
	return protowire.SizeTag(num) + protowire.SizeBytes(length)
}
