package shard_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/ordo-network/ordo/dispersal/shard"
)

// A share that is cut is the share that would have been made of those shards.
func TestCut(t *testing.T) {
	t.Parallel()
	for _, h := range [][]shard.Holder{equal(1), equal(4), equal(7), whale(4), zipf(7)} {
		l := layout(t, h)
		const size = 1000
		c := encode(t, l, stream("batch", size))
		for first := range l.TotalShards() {
			for count := 1; count <= min(l.N(), l.TotalShards()-first); count++ {
				whole := share(t, c, first, count)
				for kept := 1; kept <= count; kept += 1 + count/16 {
					got, err := l.Cut(size, whole, kept)
					if err != nil {
						t.Fatal(err)
					}
					if want := share(t, c, first, kept); !bytes.Equal(got.Append(nil), want.Append(nil)) {
						t.Fatalf("%d of %d shards from %d: another share", kept, count, first)
					}
				}
				if count > 24 && count < l.N()-24 {
					count += 16
				}
			}
		}
	}
}

func TestCutRefuses(t *testing.T) {
	t.Parallel()
	l := layout(t, equal(7))
	const size = 100
	s := share(t, encode(t, l, stream("batch", size)), 2, 3)
	short := &shard.Share{First: s.First, Shards: s.Shards, Proof: s.Proof[:32]}
	for name, f := range map[string]func() (*shard.Share, error){
		"none of it":    func() (*shard.Share, error) { return l.Cut(size, s, 0) },
		"more than all": func() (*shard.Share, error) { return l.Cut(size, s, 4) },
		"short proof":   func() (*shard.Share, error) { return l.Cut(size, short, 2) },
		"no shards":     func() (*shard.Share, error) { return l.Cut(size, &shard.Share{First: 1}, 1) },
	} {
		if _, err := f(); !errors.Is(err, shard.ErrShare) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
