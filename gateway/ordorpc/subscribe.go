package ordorpc

import (
	"context"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/rpc"
)

// changes tells many at once that the rollup's heads have moved.
type changes struct {
	mu     sync.Mutex
	moved  chan struct{} // closed when they move
	quit   chan struct{}
	closed sync.Once
	wg     sync.WaitGroup
	places *Places
	kick   func(remote string) // closes a client's connection
}

func newChanges(chain Chain, places *Places, kick func(string)) *changes {
	c := &changes{places: places, kick: kick, moved: make(chan struct{}), quit: make(chan struct{})}
	c.wg.Go(func() {
		tick := time.NewTicker(pollInterval)
		defer tick.Stop()
		last, _ := chain.Heads() // an error now is one on the next tick
		for {
			select {
			case <-tick.C:
			case <-c.quit:
				return
			}
			now, err := chain.Heads()
			if err != nil || now == last {
				continue
			}
			last = now
			c.mu.Lock()
			close(c.moved)
			c.moved = make(chan struct{})
			c.mu.Unlock()
		}
	})
	return c
}

func (c *changes) next() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.moved
}

func (c *changes) close() {
	c.closed.Do(func() { close(c.quit) })
	c.wg.Wait()
}

// left closes the connection of a subscriber that was left, since it did not read for too long
// or is gone: it would wait for what nobody sends.
func (c *changes) left(ctx context.Context) { c.kick(rpc.PeerInfoFromContext(ctx).RemoteAddr) }

// subscriptions are the kinds of ordo_subscribe.
type subscriptions struct {
	api     *api
	changes *changes
}

// TransactionStatus sends a transaction's status now and at each change, until it is
// finalized or dropped. States that follow faster than they are read may be left out,
// the last one never.
func (s *subscriptions) TransactionStatus(ctx context.Context, hash Hash) (*rpc.Subscription, error) {
	return s.follow(ctx, hash, func() (any, string, error) {
		st, err := s.api.status(hash)
		if st == nil || err != nil {
			return nil, "", err
		}
		return st, st.Status, nil
	})
}

// BundleStatus does so for a bundle, by its reference.
func (s *subscriptions) BundleStatus(ctx context.Context, ref Hash) (*rpc.Subscription, error) {
	return s.follow(ctx, ref, func() (any, string, error) {
		st, err := s.api.bundleStatus(ref)
		if st == nil || err != nil {
			return nil, "", err
		}
		return st, st.Status, nil
	})
}

// follow sends what look says where its status is another one than before.
func (s *subscriptions) follow(ctx context.Context, name Hash, look func() (v any, status string, err error)) (*rpc.Subscription, error) {
	notifier, ok := rpc.NotifierFromContext(ctx)
	if !ok {
		return nil, rpc.ErrNotificationsUnsupported
	}
	release, err := s.changes.places.Enter(ctx)
	if err != nil {
		return nil, err
	}
	told, stop, err := s.api.Gateway.Watch(name)
	if err != nil {
		release()
		return nil, limitExceeded{err.Error()}
	}
	sub := notifier.CreateSubscription()
	go func() {
		defer release()
		defer stop()
		last := ""
		for {
			moved := s.changes.next() // before looking: nothing is missed in between
			v, status, err := look()
			if err == nil && status != "" && status != last {
				last = status
				if notifier.Notify(sub.ID, v) != nil {
					s.changes.left(ctx)
					return
				}
			}
			if status == statusFinalized || status == statusDropped {
				return
			}
			select {
			case <-told:
			case <-moved:
			case <-s.changes.quit:
				return
			case <-sub.Err(): //nolint:errcheck // the end of the subscription, however it came
				return
			}
		}
	}()
	return sub, nil
}
