package order_test

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

func TestVoteExtensionEncodesAsItsWireType(t *testing.T) {
	tips := []order.Tip{order.Tip(position(1, 2, 3)), order.Tip(position(4, 5, 6))}
	v := order.VoteExtension{Tips: tips, Confirmed: []uint64{7, 8, 300}, Denied: []uint64{1, math.MaxUint64}}
	w := &orderv1.VoteExtension{Confirmed: []uint64{7, 1, 292}, Denied: []uint64{1, math.MaxUint64 - 1}}
	for _, tip := range tips {
		w.Tips = append(w.Tips, &orderv1.Tip{Owner: tip.Owner[:], Session: tip.Session, Sequence: tip.Sequence})
	}
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(w)
	if err != nil || !bytes.Equal(v.Encode(), raw) {
		t.Fatalf("encoded %x\nprotobuf %x, %v", v.Encode(), raw, err)
	}
	if silent := (&order.VoteExtension{Tips: tips}).Encode(); !bytes.Equal(silent, order.EncodeTips(tips)) {
		t.Fatalf("tips alone are %x", silent)
	}
	if nothing := new(order.VoteExtension).Encode(); len(nothing) != 0 {
		t.Fatalf("nothing is %x", nothing)
	}
}

func TestVoteExtensionRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gaps := rapid.SliceOfN(rapid.Uint64Range(1, 1<<14-1), 0, order.MaxVotes).Draw(t, "gaps")
		var v order.VoteExtension
		var n uint64
		for _, gap := range gaps {
			n += gap
			if rapid.Bool().Draw(t, "denied") {
				v.Denied = append(v.Denied, n)
			} else {
				v.Confirmed = append(v.Confirmed, n)
			}
		}
		back, err := order.DecodeVoteExtension(v.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(back.Confirmed, v.Confirmed) || !slices.Equal(back.Denied, v.Denied) || len(back.Tips) != 0 {
			t.Fatalf("%+v came back as %+v", v, back)
		}
	})
}

// As many votes as there may be, each as far from the next as three bytes say, fit.
func TestVotesFit(t *testing.T) {
	var far []uint64
	for i := range order.MaxVotes {
		far = append(far, math.MaxUint64/2+uint64(i)*(1<<21-1))
	}
	v := order.VoteExtension{Confirmed: far[:100], Denied: far[100:]}
	back, err := order.DecodeVoteExtension(v.Encode())
	if err != nil || !reflect.DeepEqual(back.Denied, v.Denied) {
		t.Fatalf("%d bytes: %v", len(v.Encode()), err)
	}
}

func TestVoteExtensionIsRefused(t *testing.T) {
	many := make([]uint64, order.MaxVotes+1)
	wide := make([]uint64, 130)
	for i := range many {
		many[i] = uint64(i + 1)
	}
	for i := range wide {
		wide[i] = uint64(i+1) << 50
	}
	for name, tc := range map[string]struct {
		raw  []byte
		want error
	}{
		"junk":                      {[]byte("junk"), order.ErrEncoding},
		"empty votes":               {[]byte{0x12, 0}, order.ErrEncoding},
		"denied before confirmed":   {[]byte{0x1a, 1, 1, 0x12, 1, 2}, order.ErrEncoding},
		"votes before tips":         {append([]byte{0x12, 1, 1}, order.EncodeTips([]order.Tip{order.Tip(position(1, 1, 1))})...), order.ErrEncoding},
		"number zero":               {[]byte{0x12, 1, 0}, order.ErrInvalid},
		"a number twice":            {[]byte{0x12, 2, 5, 0}, order.ErrInvalid},
		"number that wraps":         {(&order.VoteExtension{Denied: []uint64{5, 4}}).Encode(), order.ErrInvalid},
		"number of too many bytes":  {[]byte{0x12, 2, 0x81, 0}, order.ErrEncoding},
		"number cut off":            {[]byte{0x12, 1, 0x81}, order.ErrEncoding},
		"confirmed and denied":      {(&order.VoteExtension{Confirmed: []uint64{1, 5, 9}, Denied: []uint64{2, 9}}).Encode(), order.ErrInvalid},
		"too many confirmed":        {(&order.VoteExtension{Confirmed: many}).Encode(), order.ErrInvalid},
		"too many together":         {(&order.VoteExtension{Confirmed: many[:200], Denied: many[200:]}).Encode(), order.ErrInvalid},
		"too many bytes":            {(&order.VoteExtension{Confirmed: wide}).Encode(), order.ErrInvalid},
		"an unknown field behind":   {append((&order.VoteExtension{Denied: []uint64{1}}).Encode(), 0x20, 1), order.ErrEncoding},
		"votes that are not packed": {[]byte{0x10, 1}, order.ErrEncoding},
	} {
		if _, err := order.DecodeVoteExtension(tc.raw); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

func FuzzDecodeVoteExtension(f *testing.F) {
	f.Add((&order.VoteExtension{Tips: []order.Tip{order.Tip(position(1, 1, 1))}, Confirmed: []uint64{1, 200}, Denied: []uint64{2}}).Encode())
	for _, b := range bombs(1) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, err := order.DecodeVoteExtension(raw)
		if err != nil {
			classified(t, err)
			return
		}
		if !bytes.Equal(v.Encode(), raw) {
			t.Fatalf("took %x, writes %x", raw, v.Encode())
		}
	})
}
