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
// they are ordered. Until somebody has subscribed it does nothing.
type Certified struct {
	mu    sync.Mutex
	api   *api // nil until somebody has subscribed
	seen  map[Hash]struct{}
	queue []Hash // of seen, oldest first
	subs  map[*certifiedReader]struct{}
}

// NewCertified returns one that Backend.Certified takes.
func NewCertified() *Certified {
	return &Certified{seen: make(map[Hash]struct{}), subs: make(map[*certifiedReader]struct{})}
}

// certifiedTx is a transaction that is told of.
type certifiedTx struct {
	hash Hash
	raw  []byte
}

// certifiedReader is a subscriber.
type certifiedReader struct {
	unread []certifiedTx // guarded by Certified.mu
	bytes  int
	gone   bool          // it did not read for too long
	more   chan struct{} // there is something
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
			c.publish(certifiedTx{hash, raw})
		}
	}
}

// note reports whether somebody wants to be told of a transaction that was not seen before.
func (c *Certified) note(raw []byte) (a *api, hash Hash, fresh bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.subs) == 0 {
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

func (c *Certified) publish(tx certifiedTx) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for r := range c.subs {
		if r.put(tx); r.gone {
			delete(c.subs, r)
		}
	}
}

func (r *certifiedReader) put(tx certifiedTx) {
	if r.bytes += len(tx.raw); r.bytes > maxUnreadBytes || len(r.unread) == maxSeen {
		r.unread, r.gone = nil, true
	} else {
		r.unread = append(r.unread, tx)
	}
	select {
	case r.more <- struct{}{}:
	default:
	}
}

// take returns what the reader has not been sent yet.
func (c *Certified) take(r *certifiedReader) (txs []certifiedTx, gone bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	txs, gone = r.unread, r.gone
	r.unread, r.bytes = nil, 0
	return txs, gone
}

// listen hears of all from now on, until leave.
func (c *Certified) listen(a *api) (r *certifiedReader, leave func()) {
	r = &certifiedReader{more: make(chan struct{}, 1)}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.api = a
	c.subs[r] = struct{}{}
	return r, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.subs, r)
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
	reader, leave := s.certified.listen(s.api)
	sub := notifier.CreateSubscription()
	go func() {
		defer release()
		defer leave()
		for {
			select {
			case <-reader.more:
			case <-s.changes.quit:
				return
			case <-sub.Err(): //nolint:errcheck // the end of the subscription, however it came
				return
			}
			txs, gone := s.certified.take(reader)
			for _, tx := range txs {
				if notifier.Notify(sub.ID, s.show(tx, full != nil && *full)) != nil {
					return // it did not read for too long, or is gone
				}
			}
			if gone {
				return
			}
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
