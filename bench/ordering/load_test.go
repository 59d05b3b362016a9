package ordering

import (
	"bytes"
	"compress/flate"
	"testing"
	"time"
)

func TestPlanIsEvenAndSamplesReachAllValidators(t *testing.T) {
	t.Parallel()
	start := time.Unix(1000, 0)
	ld := load{size: 1000, rate: 1e6, duration: 2 * time.Second}
	for _, validators := range []int{1, 4, 7, 16} {
		entries := ld.plan(start, validators)
		if len(entries) != 2000 {
			t.Fatalf("%d payloads, want 2000", len(entries))
		}
		all, sampled := make([]int, validators), make([]int, validators)
		samples := 0
		for i, e := range entries {
			if want := start.Add(time.Duration(i) * time.Millisecond); e.due.Sub(want).Abs() > time.Microsecond {
				t.Fatalf("payload %d is due at %v, want %v", i, e.due, want)
			}
			all[e.validator]++
			if e.channel == sample {
				samples++
				sampled[e.validator]++
			}
		}
		if samples < len(entries)/sampleEvery-10 || samples > len(entries)/sampleEvery+10 {
			t.Errorf("%d samples of %d", samples, len(entries))
		}
		for v := range validators {
			if all[v] < 2000/validators || all[v] > 2000/validators+1 {
				t.Errorf("validator %d of %d gets %d", v, validators, all[v])
			}
			if sampled[v] < samples/validators/2 {
				t.Errorf("validator %d of %d gets %d of %d samples", v, validators, sampled[v], samples)
			}
		}
	}
	if n := (load{size: 1 << 20, rate: 1, duration: time.Second}).count(); n != 1 {
		t.Errorf("%d payloads, want one at least", n)
	}
}

func TestLoadGrowsUntilItCounts(t *testing.T) {
	t.Parallel()
	start := time.Unix(1000, 0)
	ld := load{size: 1000, rate: 1e6, duration: time.Second, warm: 2 * time.Second}
	entries := ld.plan(start, 4)
	warming := ld.uncounted()
	if warming != 1000 || len(entries) != 2000 {
		t.Fatalf("%d of %d payloads warm the network up, want 1000 of 2000", warming, len(entries))
	}
	gap := time.Hour
	for i, e := range entries[1:] {
		last := entries[i].due
		if e.due.Sub(last) > gap+time.Microsecond {
			t.Fatalf("payload %d comes %v after the one before, which came after %v", i+1, e.due.Sub(last), gap)
		}
		gap = e.due.Sub(last)
	}
	if first := entries[warming].due; !first.Equal(start.Add(2 * time.Second)) {
		t.Errorf("the load counts from %v, want 2s", first.Sub(start))
	}
	if gap != time.Millisecond {
		t.Errorf("payloads come every %v at the end, want 1ms", gap)
	}
}

func TestPayloadsAreUniqueAndDoNotCompress(t *testing.T) {
	t.Parallel()
	p, err := newPayloads(maxPayload)
	if err != nil {
		t.Fatal(err)
	}
	other, err := newPayloads(maxPayload)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	var all bytes.Buffer
	for _, p := range []*payloads{p, other} {
		for range 50 {
			b := p.make(10_000)
			for at := 0; at+16 <= len(b); at += 16 {
				if part := string(b[at : at+16]); seen[part] {
					t.Fatal("a part of a payload is there twice")
				} else {
					seen[part] = true
				}
			}
			all.Write(b)
		}
	}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(all.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if packed.Len() < all.Len() {
		t.Errorf("%d bytes pack to %d", all.Len(), packed.Len())
	}
	if n := len(p.make(maxPayload)); n != maxPayload {
		t.Errorf("the largest payload has %d bytes", n)
	}
}
