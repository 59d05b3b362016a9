package terms_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ordo-network/ordo/execution/terms"
)

// Vectors for other implementations: a change here is a fork of every rollup.
func TestVectors(t *testing.T) {
	t.Parallel()
	zeros := "0000000000000000"
	for _, test := range []struct {
		terms terms.Terms
		want  string
	}{
		{terms.Terms{}, "ff6f72646f" + "01" + "00" + zeros + zeros + zeros + zeros},
		{
			terms.Terms{AllOrNothing: true, MinBlock: 1, MaxBlock: 2, MinTime: 3, MaxTime: 1 << 40, MayRevert: [][32]byte{{2}, {1}, {2}}},
			"ff6f72646f" + "01" + "01" + "0000000000000001" + "0000000000000002" + "0000000000000003" + "0000010000000000" +
				"01" + hex.EncodeToString(make([]byte, 31)) + "02" + hex.EncodeToString(make([]byte, 31)),
		},
	} {
		if got := hex.EncodeToString(test.terms.Encode()); got != test.want {
			t.Errorf("%+v is %s, want %s", test.terms, got, test.want)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		bound := func(name string) (least, most uint64) {
			a, b := rapid.Uint64().Draw(t, name), rapid.Uint64().Draw(t, name)
			if b == 0 {
				return a, b
			}
			return min(a, b), max(a, b)
		}
		want := terms.Terms{AllOrNothing: rapid.Bool().Draw(t, "all or nothing")}
		want.MinBlock, want.MaxBlock = bound("block")
		want.MinTime, want.MaxTime = bound("time")
		for _, b := range rapid.SliceOfNDistinct(rapid.Uint16(), 0, terms.MaxMayRevert, rapid.ID).Draw(t, "may revert") {
			want.MayRevert = append(want.MayRevert, [32]byte{byte(b >> 8), byte(b)})
		}
		raw := want.Encode()
		got, is, err := terms.Decode(raw)
		if !is || err != nil {
			t.Fatalf("decode: terms %t, %v", is, err)
		}
		for _, h := range want.MayRevert {
			if !got.Tolerates(h) {
				t.Errorf("%x may revert, terms say it may not", h)
			}
		}
		if got.Tolerates([32]byte{1, 1, 1}) {
			t.Error("a transaction that is not named may revert")
		}
		slices.SortFunc(want.MayRevert, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	valid := terms.Terms{MaxBlock: 7, MayRevert: [][32]byte{{1}, {2}}}.Encode()
	change := func(f func([]byte) []byte) []byte { return f(bytes.Clone(valid)) }
	for name, raw := range map[string][]byte{
		"no version":      valid[:5],
		"version 0":       change(func(b []byte) []byte { b[5] = 0; return b }),
		"version 2":       change(func(b []byte) []byte { b[5] = 2; return b }),
		"nothing behind":  valid[:6],
		"flags":           change(func(b []byte) []byte { b[6] = 2; return b }),
		"cut":             valid[:len(valid)-1],
		"longer":          append(bytes.Clone(valid), 0),
		"falling hashes":  change(func(b []byte) []byte { b[39] = 3; return b }),
		"equal hashes":    change(func(b []byte) []byte { b[39] = 2; return b }),
		"blocks":          terms.Terms{MinBlock: 8, MaxBlock: 7}.Encode(),
		"times":           terms.Terms{MinTime: 8, MaxTime: 7}.Encode(),
		"too many hashes": append(bytes.Clone(valid), make([]byte, terms.MaxMayRevert*32)...),
	} {
		if got, is, err := terms.Decode(raw); !is || !errors.Is(err, terms.ErrInvalid) || !reflect.DeepEqual(got, terms.Terms{}) {
			t.Errorf("%s: got %+v, terms %t, error %v; want terms that are not valid", name, got, is, err)
		}
	}
	for _, raw := range [][]byte{nil, {}, {0xff}, []byte("\xffORDO\x01"), valid[:4], valid[1:]} {
		if _, is, err := terms.Decode(raw); is || err != nil {
			t.Errorf("%x: terms %t, error %v; want no terms", raw, is, err)
		}
	}
}

func TestAllow(t *testing.T) {
	t.Parallel()
	bounds := terms.Terms{MinBlock: 10, MaxBlock: 15, MinTime: 100, MaxTime: 200}
	for _, test := range []struct {
		terms       terms.Terms
		block, time uint64
		want        string
	}{
		{bounds, 10, 100, ""},
		{bounds, 15, 200, ""},
		{bounds, 9, 100, "block 9 is before the first, 10"},
		{bounds, 17, 100, "block 17 is after the last, 15"},
		{bounds, 10, 99, "second 99 is before the first, 100"},
		{bounds, 10, 201, "second 201 is after the last, 200"},
		{terms.Terms{}, 1 << 63, 1 << 63, ""},
	} {
		got := ""
		if err := test.terms.Allow(test.block, test.time); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%+v in block %d at %d: %q, want %q", test.terms, test.block, test.time, got, test.want)
		}
	}
}

// FuzzDecode: whatever is read as terms is the one encoding of what was read.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\xffordo"))
	f.Add(terms.Terms{}.Encode())
	f.Add(terms.Terms{AllOrNothing: true, MinBlock: 1, MaxBlock: 2, MinTime: 3, MaxTime: 4, MayRevert: [][32]byte{{1}, {2}}}.Encode())
	f.Add(terms.Terms{MinBlock: 8, MaxBlock: 7}.Encode())
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, is, err := terms.Decode(raw)
		switch {
		case is != terms.Is(raw):
			t.Errorf("terms %t, and %t", is, terms.Is(raw))
		case err != nil && !is:
			t.Errorf("no terms, and an error: %v", err)
		case is && err == nil && !bytes.Equal(got.Encode(), raw):
			t.Errorf("%x is read as %+v, which is %x", raw, got, got.Encode())
		}
	})
}
