package ethrpc

import (
	"context"
	"errors"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/ordo-network/ordo/gateway/ordorpc"
)

const (
	// maxWaiters bounds the transactions that somebody waits for.
	maxWaiters = 10_000
	// backlog is how many events a subscriber may be behind before its connection is
	// closed.
	backlog = 512
)

var (
	errClosed  = errors.New("the node stops: subscribe again when it is back")
	errWaiters = errors.New("too many calls wait for a receipt, try again later or use eth_sendRawTransaction")
)

// hub hands new blocks and accepted transactions on to whoever listens. It never
// waits for a listener: blocks are not done before their subscribers have taken
// them, so a client that does not read would otherwise hold up the chain.
type hub struct {
	mu      sync.Mutex
	subs    map[*subscriber]struct{}
	waiters map[common.Hash][]chan struct{}
	kick    func(remote string) // closes a client's connection
	places  *ordorpc.Places
	closed  bool

	certified certified
}

// hubEvent is a new block, an accepted transaction or what was certified at once.
type hubEvent struct {
	block     *core.ChainEvent
	tx        *types.Transaction
	certified []*types.Transaction
}

type subscriber struct {
	events chan hubEvent // closed when it is let go
	want   func(hubEvent) bool
	remote string
}

func newHub(places *ordorpc.Places, kick func(string)) *hub {
	return &hub{
		kick: kick, places: places, subs: make(map[*subscriber]struct{}), waiters: make(map[common.Hash][]chan struct{}),
		certified: certified{wanted: make(chan struct{}, 1), seen: make(map[common.Hash]struct{})},
	}
}

// follow feeds the hub from the chain until quit is closed.
func (h *hub) follow(bc *core.BlockChain, quit <-chan struct{}) {
	events := make(chan core.ChainEvent, 64)
	sub := bc.SubscribeChainEvent(events)
	defer sub.Unsubscribe()
	for {
		select {
		case ev := <-events:
			h.announce(ev.Transactions)
			h.publish(hubEvent{block: &ev})
		case <-sub.Err(): //nolint:errcheck // it is closed with the chain, and brings no error
			return
		case <-quit:
			return
		}
	}
}

func (h *hub) publish(ev hubEvent) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs {
		if !s.want(ev) {
			continue
		}
		select {
		case s.events <- ev:
		default:
			delete(h.subs, s)
			close(s.events)
			go h.kick(s.remote) // closing may wait for the network
		}
	}
	if ev.block == nil {
		return
	}
	for _, tx := range ev.block.Transactions {
		for _, done := range h.waiters[tx.Hash()] {
			close(done)
		}
		delete(h.waiters, tx.Hash())
	}
}

// subscribe starts a subscription of the caller's connection; notify turns an
// event into notifications.
func (h *hub) subscribe(ctx context.Context, want func(hubEvent) bool, notify func(ev hubEvent, send func(any))) (*rpc.Subscription, error) {
	notifier, ok := rpc.NotifierFromContext(ctx)
	if !ok {
		return nil, rpc.ErrNotificationsUnsupported
	}
	release, err := h.places.Enter(ctx)
	if err != nil {
		return nil, err
	}
	s := &subscriber{events: make(chan hubEvent, backlog), want: want, remote: rpc.PeerInfoFromContext(ctx).RemoteAddr}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		release()
		return nil, errClosed
	}
	h.subs[s] = struct{}{}
	sub := notifier.CreateSubscription()
	go func() {
		defer release()
		defer h.remove(s)
		for {
			select {
			case ev, ok := <-s.events:
				if !ok {
					return
				}
				notify(ev, func(v any) {
					if notifier.Notify(sub.ID, v) != nil {
						h.kick(s.remote) // it did not read for too long, or is gone
					}
				})
			case <-sub.Err(): //nolint:errcheck // the end of the subscription, however it came
				return
			}
		}
	}()
	return sub, nil
}

func (h *hub) remove(s *subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.subs, s)
}

// await returns a channel that is closed when a block holds the transaction, and
// what ends the waiting.
func (h *hub) await(hash common.Hash) (<-chan struct{}, func(), error) {
	done := make(chan struct{})
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.waiters) >= maxWaiters {
		return nil, nil, errWaiters
	}
	h.waiters[hash] = append(h.waiters[hash], done)
	return done, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		for i, c := range h.waiters[hash] {
			if c == done {
				h.waiters[hash] = append(h.waiters[hash][:i:i], h.waiters[hash][i+1:]...)
				break
			}
		}
		if len(h.waiters[hash]) == 0 {
			delete(h.waiters, hash)
		}
	}, nil
}

func (h *hub) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.subs)
}

// close lets all subscribers go.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for s := range h.subs {
		delete(h.subs, s)
		close(s.events)
	}
}
