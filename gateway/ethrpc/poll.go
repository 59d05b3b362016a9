package ethrpc

import (
	"errors"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/eth"
	"github.com/ethereum/go-ethereum/eth/filters"
	"github.com/ethereum/go-ethereum/event"
	"github.com/ethereum/go-ethereum/rpc"
)

// filterBackend is geth's own, but that accepted transactions are the gateway's.
type filterBackend struct {
	*eth.EthAPIBackend
	accepted *event.Feed
}

// SubscribeNewTxsEvent implements filters.Backend.
func (b filterBackend) SubscribeNewTxsEvent(ch chan<- core.NewTxsEvent) event.Subscription {
	return b.accepted.Subscribe(ch)
}

// maxFilters bounds the filters made within their lifetime and not taken away.
const maxFilters = 10_000

var errFilters = errors.New("too many filters, uninstall some or try again later")

// pollers is geth's filter service with a bound on the number of filters: each
// collects what its owner may never come to fetch.
type pollers struct {
	*filters.FilterAPI

	mu   sync.Mutex
	made []time.Time // when the living filters were made, oldest first
}

func newPollers(api *filters.FilterAPI) *pollers { return &pollers{FilterAPI: api} }

func (p *pollers) room() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for len(p.made) > 0 && now.Sub(p.made[0]) > filterTimeout {
		p.made = p.made[1:]
	}
	if len(p.made) >= maxFilters {
		return errFilters
	}
	p.made = append(p.made, now)
	return nil
}

// NewFilter makes a filter of logs.
func (p *pollers) NewFilter(crit filters.FilterCriteria) (rpc.ID, error) {
	if err := p.room(); err != nil {
		return "", err
	}
	return p.FilterAPI.NewFilter(crit)
}

// NewBlockFilter makes a filter of block hashes.
func (p *pollers) NewBlockFilter() (rpc.ID, error) {
	if err := p.room(); err != nil {
		return "", err
	}
	return p.FilterAPI.NewBlockFilter(), nil
}

// NewPendingTransactionFilter makes a filter of accepted transactions.
func (p *pollers) NewPendingTransactionFilter(full *bool) (rpc.ID, error) {
	if err := p.room(); err != nil {
		return "", err
	}
	return p.FilterAPI.NewPendingTransactionFilter(full), nil
}

// UninstallFilter takes a filter away.
func (p *pollers) UninstallFilter(id rpc.ID) bool {
	found := p.FilterAPI.UninstallFilter(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	if found && len(p.made) > 0 {
		p.made = p.made[1:]
	}
	return found
}
