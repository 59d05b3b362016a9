package api

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func TestBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const mib = 1 << 20
		b := newBudget(8*mib, 4) // 2 MiB for one client
		one, other := prefix("10.0.0.1/32"), prefix("10.0.0.2/32")
		take := func(client netip.Prefix, n int64) (func(), chan struct{}) {
			done := make(chan struct{})
			var release func()
			go func() {
				defer close(done)
				var err error
				if release, err = b.take(t.Context(), client, n); err != nil {
					t.Error(err)
				}
			}()
			return func() { <-done; release() }, done
		}
		waits := func(done chan struct{}) bool {
			synctest.Wait()
			select {
			case <-done:
				return false
			default:
				return true
			}
		}
		first, done := take(one, mib)
		second, done2 := take(one, mib)
		if waits(done) || waits(done2) {
			t.Fatal("a client waits below its share")
		}
		third, done3 := take(one, 5*mib) // more than its share counts as that
		if !waits(done3) {
			t.Fatal("a client has more than its share")
		}
		small, doneSmall := take(one, smallData)
		if waits(doneSmall) {
			t.Fatal("what is small waits")
		}
		small()
		var rest []func()
		for i := range 3 {
			release, done := take(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, 0, byte(i)}), 32), 2*mib)
			if waits(done) {
				t.Fatalf("client %d waits although there is room", i)
			}
			rest = append(rest, release)
		}
		late, doneLate := take(other, mib)
		if !waits(doneLate) {
			t.Fatal("more is taken than there is")
		}
		first()
		if waits(doneLate) || !waits(done3) {
			t.Fatal("what was given back went to who has too much")
		}
		second()
		if !waits(done3) {
			t.Fatal("more is taken than there is")
		}
		late()
		if waits(done3) {
			t.Fatal("waits although all that it may have is free")
		}
		third()
		third() // once more changes nothing
		for _, release := range rest {
			release()
		}
		if b.used != 0 || len(b.byClient) != 0 {
			t.Fatalf("%d bytes used by %v after all was given back", b.used, b.byClient)
		}
	})
}

func TestBudgetEndsWithTheCall(t *testing.T) {
	t.Parallel()
	b := newBudget(1<<20, 1)
	client := prefix("10.0.0.1/32")
	release, err := b.take(t.Context(), client, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := b.take(ctx, client, 1<<20); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	cancel()
	wg.Wait()
	release()
	if b.used != 0 {
		t.Errorf("%d bytes used", b.used)
	}
}
