package ordorpc

import (
	"context"
	"sync"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"
)

const (
	// maxSeen bounds the certified transactions that are remembered as told, and those that
	// a subscriber has not been sent yet, which maxUnreadBytes bounds, too.
	maxSeen        = 1 << 16
	maxUnreadBytes = 32 << 20
)

// Certified tells those who subscribe of transactions that are certain to be ordered, each
// once: as a sequencer node says that they are certified or, where it did not say so, as
// they are ordered. While nobody has subscribed it does nothing.
type Certified struct {
	told *Recent[certifiedTx]

	mu      sync.Mutex
	api     *api // nil until somebody has subscribed
	seen    map[Hash]struct{}
	queue   []Hash // of seen, oldest first
	readers int
}

// NewCertified returns one that Backend.Certified takes.
func NewCertified() *Certified {
	return &Certified{
		told: NewRecent(maxSeen, maxUnreadBytes, func(tx certifiedTx) int { return len(tx.raw) }),
		seen: make(map[Hash]struct{}),
	}
}

// certifiedTx is a transaction that is told of.
type certifiedTx struct {
	hash Hash
	raw  []byte
}

// Tell tells of transactions, of which those count that users may send: terms do not. It
// does not wait for who reads. Nil tells nobody.
func (c *Certified) Tell(txs [][]byte) {
	if c == nil {
		return
	}
	for _, raw := range txs {
		a, hash, fresh := c.note(raw)
		if !fresh {
			continue
		}
		if _, err := a.decode(raw); err == nil { // anybody may have any bytes ordered
			c.told.Tell(certifiedTx{hash, raw})
		}
	}
}

// note reports whether somebody wants to be told of a transaction that was not seen before.
func (c *Certified) note(raw []byte) (a *api, hash Hash, fresh bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.readers == 0 {
		return nil, hash, false
	}
	hash = c.api.Hash(raw)
	if _, ok := c.seen[hash]; ok {
		return nil, hash, false
	}
	c.seen[hash], c.queue = struct{}{}, append(c.queue, hash)
	if len(c.queue) > maxSeen {
		delete(c.seen, c.queue[0])
		c.queue = c.queue[1:]
	}
	return c.api, hash, true
}

// listen hears of all from the place on, until leave.
func (c *Certified) listen(a *api) (place uint64, leave func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.api = a
	c.readers++
	return c.told.Place(), func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.readers--; c.readers == 0 {
			c.told.forget()
		}
	}
}

// certifiedSubscriptions are the kind certifiedTransactions of ordo_subscribe and of
// eth_subscribe.
type certifiedSubscriptions struct {
	api       *api
	changes   *changes
	certified *Certified
}

// CertifiedTransactions sends the hash of each transaction that is certain to be ordered,
// or all of it.
func (s *certifiedSubscriptions) CertifiedTransactions(ctx context.Context, full *bool) (*rpc.Subscription, error) {
	notifier, ok := rpc.NotifierFromContext(ctx)
	if !ok {
		return nil, rpc.ErrNotificationsUnsupported
	}
	release, err := s.changes.places.Enter(ctx)
	if err != nil {
		return nil, err
	}
	place, leave := s.certified.listen(s.api)
	sub := notifier.CreateSubscription()
	go func() {
		defer release()
		defer leave()
		send := func(tx certifiedTx) error { return notifier.Notify(sub.ID, s.show(tx, full != nil && *full)) }
		if s.certified.told.follow(place, send, s.changes.quit, sub.Err()) {
			s.changes.left(ctx)
		}
	}()
	return sub, nil
}

// show returns a transaction as it is sent: its hash or, in full, what users of the rollup
// know it as, by default its bytes.
func (s *certifiedSubscriptions) show(tx certifiedTx, full bool) any {
	switch {
	case !full:
		return tx.hash
	case s.api.Whole == nil:
		return hexutil.Bytes(tx.raw)
	}
	return s.api.Whole(tx.raw)
}
