package ordorpc

import (
	"context"

	"github.com/ethereum/go-ethereum/rpc"
)

// maxUnread bounds what a subscriber to accepted transactions has not been sent yet.
const maxUnread = 1 << 14

// newAccepted tells of transactions that the door has taken in.
func newAccepted() *Recent[Hash] { return NewRecent[Hash](maxUnread, 0, nil) }

// NewPendingTransactions sends the hash of each transaction that this node accepts.
func (s *ethSubscriptions) NewPendingTransactions(ctx context.Context, full *bool) (*rpc.Subscription, error) {
	if full != nil && *full {
		return nil, errOnlyHashes
	}
	notifier, ok := rpc.NotifierFromContext(ctx)
	if !ok {
		return nil, rpc.ErrNotificationsUnsupported
	}
	release, err := s.changes.places.Enter(ctx)
	if err != nil {
		return nil, err
	}
	place := s.accepted.Place()
	sub := notifier.CreateSubscription()
	go func() {
		defer release()
		send := func(hash Hash) error { return notifier.Notify(sub.ID, hash) }
		if s.accepted.follow(place, send, s.changes.quit, sub.Err()) {
			s.changes.left(ctx)
		}
	}()
	return sub, nil
}
