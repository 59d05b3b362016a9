package ordorpc

import (
	"context"
	"sync"

	"github.com/ethereum/go-ethereum/rpc"
)

// maxUnread bounds what a subscriber to accepted transactions has not been sent yet.
const maxUnread = 1 << 14

// accepted tells subscribers of transactions that the door has taken in.
type accepted struct {
	filters filters

	mu   sync.Mutex
	subs map[chan Hash]struct{}
}

// tell does not wait: who is too far behind is left, by the end of its channel.
func (a *accepted) tell(hash Hash) {
	a.filters.tell(hash)
	a.mu.Lock()
	defer a.mu.Unlock()
	for sub := range a.subs {
		select {
		case sub <- hash:
		default:
			delete(a.subs, sub)
			close(sub)
		}
	}
}

// listen hears of all from now on, until stop.
func (a *accepted) listen() (hashes <-chan Hash, stop func()) {
	sub := make(chan Hash, maxUnread)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.subs == nil {
		a.subs = make(map[chan Hash]struct{})
	}
	a.subs[sub] = struct{}{}
	return sub, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.subs, sub)
	}
}

// NewPendingTransactions sends the hash of each transaction that this node accepts.
func (s *ethSubscriptions) NewPendingTransactions(ctx context.Context, full *bool) (*rpc.Subscription, error) {
	if full != nil && *full {
		return nil, invalidParams{"whole transactions are not offered here, only their hashes"}
	}
	notifier, ok := rpc.NotifierFromContext(ctx)
	if !ok {
		return nil, rpc.ErrNotificationsUnsupported
	}
	release, err := s.changes.places.Enter(ctx)
	if err != nil {
		return nil, err
	}
	hashes, stop := s.accepted.listen()
	sub := notifier.CreateSubscription()
	go func() {
		defer release()
		defer stop()
		for {
			select {
			case hash, ok := <-hashes:
				if !ok || notifier.Notify(sub.ID, hash) != nil {
					return // it did not read for too long, or is gone
				}
			case <-s.changes.quit:
				return
			case <-sub.Err(): //nolint:errcheck // the end of the subscription, however it came
				return
			}
		}
	}()
	return sub, nil
}
