package ordorpc

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/rpc"
)

const (
	// maxFilters bounds the filters of accepted transactions that are asked for.
	maxFilters = 10_000
	// maxPolled is how many accepted transactions are remembered for filters, the newest.
	maxPolled = 4096
	// filterTimeout is how long a filter lives without being asked, as in geth.
	filterTimeout = 5 * time.Minute
)

// filters are those of accepted transactions that clients ask for changes; those of
// blocks and logs are the rollup's client's. All of them look at the same transactions: each
// is a place among them.
type filters struct {
	mu     sync.Mutex
	newest []Hash // the last maxPolled
	told   uint64 // how many there have been
	made   map[rpc.ID]*filter
}

type filter struct {
	next  uint64 // the first that it has not been told of
	asked time.Time
}

// tell notes an accepted transaction.
func (f *filters) tell(hash Hash) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told++
	if f.newest = append(f.newest, hash); len(f.newest) > maxPolled {
		f.newest = f.newest[1:]
	}
}

// make makes a filter of what is accepted from now on.
func (f *filters) make() (rpc.ID, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	for id, x := range f.made {
		if now.Sub(x.asked) > filterTimeout {
			delete(f.made, id)
		}
	}
	if len(f.made) >= maxFilters {
		return "", errors.New("too many filters, uninstall some or try again later")
	}
	if f.made == nil {
		f.made = make(map[rpc.ID]*filter)
	}
	id := rpc.NewID()
	f.made[id] = &filter{next: f.told, asked: now}
	return id, nil
}

// changes returns what a filter has not been told of; ok is false where there is none.
func (f *filters) changes(id rpc.ID) (hashes []Hash, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.made[id]
	if x == nil {
		return nil, false
	}
	fresh := min(f.told-x.next, uint64(len(f.newest)))
	x.next, x.asked = f.told, time.Now()
	return append([]Hash{}, f.newest[len(f.newest)-int(fresh):]...), true
}

// remove takes a filter away, if there is one.
func (f *filters) remove(id rpc.ID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.made[id]
	delete(f.made, id)
	return ok
}

// NewPendingTransactionFilter makes a filter of transactions that this node accepts. The
// client's would find none.
func (e *ethereum) NewPendingTransactionFilter(full *bool) (rpc.ID, error) {
	if full != nil && *full {
		return "", invalidParams{"whole transactions are not offered here, only their hashes"}
	}
	return e.accepted.filters.make()
}

// GetFilterChanges returns what is new since the last time.
func (e *ethereum) GetFilterChanges(ctx context.Context, id rpc.ID) (any, error) {
	if hashes, ok := e.accepted.filters.changes(id); ok {
		return hashes, nil
	}
	if e.client == nil {
		return nil, errors.New("filter not found")
	}
	var theirs json.RawMessage
	err := e.client.CallContext(ctx, &theirs, "eth_getFilterChanges", id)
	return theirs, err
}

// UninstallFilter takes a filter away.
func (e *ethereum) UninstallFilter(ctx context.Context, id rpc.ID) (found bool, err error) {
	if found = e.accepted.filters.remove(id); found || e.client == nil {
		return found, nil
	}
	err = e.client.CallContext(ctx, &found, "eth_uninstallFilter", id)
	return found, err
}
