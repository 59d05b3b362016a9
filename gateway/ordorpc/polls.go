package ordorpc

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/ethereum/go-ethereum/rpc"
)

// maxPolled is how many accepted transactions a filter is told of at once, the newest.
const maxPolled = 4096

var (
	errOnlyHashes = invalidParams{"whole transactions are not offered here, only their hashes"}
	errNoClient   = errors.New("no client_rpc is set, which keeps filters of blocks and logs")
)

// ErrNoFilter is what geth says of a filter that is gone, as clients know it.
var ErrNoFilter = errors.New("filter not found")

// polls are the methods of filters, which clients ask for changes. Those of transactions are
// kept here, where the node knows what is accepted, for the rollup's client would find none.
// Others are the client's, which need not bound them: so they are counted here.
type polls struct {
	client   *rpc.Client // nil where none is named
	accepted *Recent[Hash]
	own      bool // filters of transactions are kept here

	filters Filters[polled]
}

// pollMethods are theirs.
var pollMethods = []string{"eth_newFilter", "eth_newBlockFilter", "eth_newPendingTransactionFilter", "eth_getFilterChanges", "eth_uninstallFilter"}

// polled is a filter: where it is among accepted transactions, if it is of those.
type polled struct {
	own   bool
	place uint64
}

// NewFilter makes a filter of logs.
func (p *polls) NewFilter(ctx context.Context, query json.RawMessage) (rpc.ID, error) {
	return p.make(ctx, "eth_newFilter", query)
}

// NewBlockFilter makes a filter of blocks.
func (p *polls) NewBlockFilter(ctx context.Context) (rpc.ID, error) {
	return p.make(ctx, "eth_newBlockFilter")
}

// NewPendingTransactionFilter makes a filter of transactions that this node accepts.
func (p *polls) NewPendingTransactionFilter(ctx context.Context, full *bool) (rpc.ID, error) {
	if !p.own {
		return p.make(ctx, "eth_newPendingTransactionFilter", full)
	}
	if full != nil && *full {
		return "", errOnlyHashes
	}
	return p.filters.Make(ctx, polled{own: true, place: p.accepted.Place()}, func() (rpc.ID, error) { return rpc.NewID(), nil })
}

// make has the client make a filter.
func (p *polls) make(ctx context.Context, method string, args ...any) (rpc.ID, error) {
	if p.client == nil {
		return "", errNoClient
	}
	return p.filters.Make(ctx, polled{}, func() (id rpc.ID, err error) {
		return id, p.client.CallContext(ctx, &id, method, args...)
	})
}

// GetFilterChanges returns what is new since the last time.
func (p *polls) GetFilterChanges(ctx context.Context, id rpc.ID) (any, error) {
	own, hashes := false, []Hash(nil)
	known := p.filters.Ask(id, func(f *polled) {
		if own = f.own; own {
			hashes, f.place = p.accepted.Since(f.place, maxPolled)
		}
	})
	switch {
	case own:
		return append([]Hash{}, hashes...), nil // never null
	case !known || p.client == nil:
		return nil, ErrNoFilter
	}
	var theirs json.RawMessage
	err := p.client.CallContext(ctx, &theirs, "eth_getFilterChanges", id)
	return theirs, err
}

// UninstallFilter takes a filter away.
func (p *polls) UninstallFilter(ctx context.Context, id rpc.ID) (found bool, err error) {
	f, found := p.filters.Remove(id)
	if f.own || p.client == nil {
		return found, nil
	}
	err = p.client.CallContext(ctx, &found, "eth_uninstallFilter", id)
	return found, err
}
