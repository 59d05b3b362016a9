package ordorpc

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/rpc"
)

func fresh() (rpc.ID, error) { return rpc.NewID(), nil }

// TestFiltersAreShared: whoever takes all that it can leaves room for others, on whatever
// connections it comes.
func TestFiltersAreShared(t *testing.T) {
	t.Parallel()
	var f Filters[int]
	take := func(addr string) (n int, err error) {
		for {
			if err := f.enter(clientAt(addr)); err != nil {
				return n, err
			}
			n++
		}
	}
	n, err := take("192.0.2.1:4000")
	var coded rpc.Error
	if n != maxFilters/2 || !errors.As(err, &coded) || coded.ErrorCode() != -32005 || !strings.Contains(err.Error(), "uninstall some") {
		t.Errorf("one client has %d filters, then %v", n, err)
	}
	if n, _ := take("192.0.2.1:4001"); n > 0 {
		t.Errorf("by another connection it has %d more", n)
	}
	if n, _ := take("[2001:db8::1]:4000"); n != maxFilters/4 {
		t.Errorf("the next client has %d", n)
	}
	if n, _ := take("[2001:db8::2]:4000"); n > 0 {
		t.Errorf("by another address of its network it has %d more", n)
	}
	if n, _ := take("192.0.2.2:4000"); n != maxFilters/8 {
		t.Errorf("the third has %d", n)
	}
	refused := errors.New("refused")
	before := f.all
	if _, err := f.Make(t.Context(), 0, func() (rpc.ID, error) { return "", refused }); !errors.Is(err, refused) || f.all != before {
		t.Errorf("one that was not made: %v, %d filters after %d", err, f.all, before)
	}
}

// TestFiltersLiveWhileTheyAreAsked, and keep their places as long.
func TestFiltersLiveWhileTheyAreAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var f Filters[int]
		filter := func(its int) rpc.ID {
			id, err := f.Make(t.Context(), its, fresh)
			if err != nil {
				t.Fatal(err)
			}
			return id
		}
		asked, left := filter(1), filter(2)
		for range 3 {
			time.Sleep(filterTimeout - time.Minute)
			if !f.Ask(asked, func(its *int) { *its++ }) {
				t.Fatal("a filter that is asked is gone")
			}
		}
		last := filter(3)
		if f.Ask(left, nil) {
			t.Error("a filter that nobody asks lives on")
		}
		if its, found := f.Remove(asked); !found || its != 4 {
			t.Errorf("it kept %d, %v", its, found)
		}
		if _, found := f.Remove(asked); found {
			t.Error("it is taken away twice")
		}
		f.Remove(last)
		if f.all != 0 || len(f.each) != 0 || len(f.living) != 0 {
			t.Errorf("%d are left, of %d clients", f.all, len(f.each))
		}
	})
}

// TestPollsKeepTheNewest: what a filter is told of is bounded.
func TestPollsKeepTheNewest(t *testing.T) {
	t.Parallel()
	p := &polls{own: true, accepted: newAccepted()}
	id, err := p.NewPendingTransactionFilter(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxPolled + 100 {
		p.accepted.Tell(Hash{byte(i), byte(i >> 8)})
	}
	last := maxPolled + 99
	for _, want := range []int{maxPolled, 0} {
		got, err := p.GetFilterChanges(t.Context(), id)
		hashes, ok := got.([]Hash)
		if err != nil || !ok || len(hashes) != want || want > 0 && hashes[want-1] != (Hash{byte(last), byte(last >> 8)}) {
			t.Errorf("%d changes, want %d: %v", len(hashes), want, err)
		}
	}
	if found, err := p.UninstallFilter(t.Context(), id); !found || err != nil {
		t.Errorf("taken away: %v, %v", found, err)
	}
	if _, err := p.GetFilterChanges(t.Context(), id); err == nil || err.Error() != "filter not found" {
		t.Errorf("of one that is gone: %v", err)
	}
}
