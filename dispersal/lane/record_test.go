package lane

import (
	"bytes"
	"math"
	"reflect"
	"testing"

	"github.com/ordo-network/ordo/order"
)

func sampleRecord(t testing.TB, clock uint64) *Record {
	l := newLab(t)
	s, coded := l.signed(0, mark(1, 1), order.Mark{})
	return &Record{Clock: clock, Batch: s, Share: l.offer(s, coded, 1).Share}
}

func TestRecordRoundTrip(t *testing.T) {
	t.Parallel()
	for _, clock := range []uint64{0, 1, 1_700_000_000_000, math.MaxUint64} {
		r := sampleRecord(t, clock)
		got, err := DecodeRecord(r.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if got.Clock != clock || !reflect.DeepEqual(got.Batch, r.Batch) || !reflect.DeepEqual(got.Share, r.Share) {
			t.Fatalf("got %+v, want %+v", got, r)
		}
	}
}

func TestRecordIsRefused(t *testing.T) {
	t.Parallel()
	raw := sampleRecord(t, 7).Encode()
	for name, bad := range map[string][]byte{
		"nothing":           nil,
		"cut":               raw[:len(raw)-1],
		"more":              append(bytes.Clone(raw), 0),
		"clock of zero":     append([]byte{tagClock, 0}, raw[2:]...),
		"clock of 2 bytes":  append([]byte{tagClock, 0x87, 0}, raw[2:]...),
		"no batch":          raw[:2],
		"batch's length":    append([]byte{tagClock, 7, tagBatch, 0xff, 0xff, 0xff, 0xff, 0x7f}, raw[5:]...),
		"another first tag": append([]byte{tagShare}, raw[1:]...),
	} {
		if _, err := DecodeRecord(bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzDecodeRecord(f *testing.F) {
	f.Add(sampleRecord(f, 0).Encode())
	f.Add(sampleRecord(f, 1<<40).Encode())
	f.Add([]byte{tagClock, 1, tagBatch, 0, tagShare, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := DecodeRecord(raw)
		if err == nil && !bytes.Equal(r.Encode(), raw) {
			t.Fatalf("%x is encoded again as %x", raw, r.Encode())
		}
	})
}
