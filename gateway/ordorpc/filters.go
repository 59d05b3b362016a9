package ordorpc

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/rpc"
)

const (
	// maxFilters bounds the filters of all clients together.
	maxFilters = 10_000
	// filterTimeout is how long a filter lives without being asked, as in geth.
	filterTimeout = 5 * time.Minute
	// sweepEvery is how often it is looked, at most, which have not been asked for so long.
	sweepEvery = time.Second
)

// Filters bounds the filters that clients make, and then ask for changes, wherever these are
// kept; T is what is kept here of one. A client may have as many as there is room left for, so
// that none takes all, and whoever comes next finds some. The zero value is ready.
type Filters[T any] struct {
	mu     sync.Mutex
	living map[rpc.ID]*filter[T]
	each   map[string]int // by client, those too that are being made
	all    int
	swept  time.Time
}

type filter[T any] struct {
	client string
	asked  time.Time
	its    T
}

// Make makes a filter of the client whose call ctx is of, where there is room. The error is
// for the client.
func (f *Filters[T]) Make(ctx context.Context, its T, begin func() (rpc.ID, error)) (rpc.ID, error) {
	client := clientOf(ctx)
	if err := f.enter(client); err != nil {
		return "", err
	}
	id, err := begin() // not under the lock: it may ask somebody else
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.leave(client)
		return "", err
	}
	f.remove(id) // one that whoever keeps it has forgotten
	f.living[id] = &filter[T]{client, time.Now(), its}
	return id, nil
}

func (f *Filters[T]) enter(client string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.living == nil {
		f.living, f.each = make(map[rpc.ID]*filter[T]), make(map[string]int)
	}
	f.sweep()
	if n := f.each[client]; n >= maxFilters-f.all {
		return limitExceeded{fmt.Sprintf("too many filters: %d of this address, as many as there is room left for; uninstall some, or try again later", n)}
	}
	f.each[client]++
	f.all++
	return nil
}

// sweep removes what was not asked for too long.
func (f *Filters[T]) sweep() {
	now := time.Now()
	if now.Sub(f.swept) < sweepEvery {
		return
	}
	f.swept = now
	for id, x := range f.living {
		if now.Sub(x.asked) > filterTimeout {
			f.remove(id)
		}
	}
}

func (f *Filters[T]) remove(id rpc.ID) {
	if x := f.living[id]; x != nil {
		delete(f.living, id)
		f.leave(x.client)
	}
}

func (f *Filters[T]) leave(client string) {
	f.all--
	if f.each[client]--; f.each[client] == 0 {
		delete(f.each, client)
	}
}

// Ask notes that a filter is asked, and shows what is kept of it here, which see may change;
// it reports whether there is one.
func (f *Filters[T]) Ask(id rpc.ID, see func(*T)) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.living[id]
	if x == nil {
		return false
	}
	x.asked = time.Now()
	see(&x.its)
	return true
}

// Remove takes a filter away and returns what was kept of it here, if there was one.
func (f *Filters[T]) Remove(id rpc.ID) (its T, found bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.living[id]
	if x == nil {
		return its, false
	}
	f.remove(id)
	return x.its, true
}

// clientOf names who makes a call, whatever connection it comes by.
func clientOf(ctx context.Context) string { return clientAt(rpc.PeerInfoFromContext(ctx).RemoteAddr) }

// clientAt names who calls from a port. Who has one address of IPv6 has 2^64.
func clientAt(remote string) string {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote
	}
	addr := at.Addr().Unmap()
	if network, err := addr.Prefix(64); addr.Is6() && err == nil {
		return network.String()
	}
	return addr.String()
}
