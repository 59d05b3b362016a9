package ordorpc

import (
	"context"

	"github.com/ethereum/go-ethereum/rpc"
)

// maxUnread bounds what a subscriber to accepted transactions has not been sent yet.
const maxUnread = 1 << 14

// accepted tells of transactions that the door has taken in.
type accepted struct {
	filters filters
	hashes  recent[Hash]
}

func newAccepted() *accepted {
	return &accepted{hashes: recent[Hash]{most: maxUnread}}
}

// tell does not wait: who is too far behind is left.
func (a *accepted) tell(hash Hash) {
	a.filters.tell(hash)
	a.hashes.tell(hash)
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
	place := s.accepted.hashes.place()
	sub := notifier.CreateSubscription()
	go func() {
		defer release()
		s.accepted.hashes.follow(place, func(hash Hash) error { return notifier.Notify(sub.ID, hash) }, s.changes.quit, sub.Err())
	}()
	return sub, nil
}
