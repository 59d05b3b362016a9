package dispersal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/dispersal/store"
	"github.com/ordo-network/ordo/internal/pause"
	"github.com/ordo-network/ordo/order"
)

// library has the certificates that the chain has yet to order, on disk and in the book.
type library struct {
	node    *Node
	arrived chan struct{} // holds a token after a certificate was learned
	changed chan struct{} // holds a token after tips may have changed

	mu        sync.Mutex
	book      *lane.Book
	learned   []learned              // in the book, in the order of learning
	bundles   map[order.BundleID]int // in how many of learned each stands
	feed      feed
	unstored  []*order.Certificate // to be put on disk
	unstoredC chan struct{}        // holds a token when unstored is not empty
}

// learned is a certificate with the IDs of its bundles, for they cost hashing.
type learned struct {
	*order.Certificate
	ids []order.BundleID
}

func newLibrary(n *Node) *library {
	return &library{
		node: n, book: lane.NewBook(lane.DefaultBookLimits()), bundles: make(map[order.BundleID]int),
		arrived: make(chan struct{}, 1), changed: make(chan struct{}, 1), unstoredC: make(chan struct{}, 1),
	}
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func certificateKey(p order.Position) store.Key {
	return store.Key{Owner: p.Owner[:], Session: p.Session, Sequence: p.Sequence}
}

// view drops what the chain has ordered.
func (l *library) view(v *lane.View) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.book.View(v)
	l.learned = slices.DeleteFunc(l.learned, func(c learned) bool {
		if l.book.Get(c.Header.Position) == c.Certificate {
			return false
		}
		l.count(c, -1)
		return true
	})
	nudge(l.changed)
}

// count adds to the number of certificates that hold the bundles.
func (l *library) count(c learned, by int) {
	for _, id := range c.ids {
		if l.bundles[id] += by; l.bundles[id] == 0 {
			delete(l.bundles, id)
		}
	}
}

// own returns the bundles of the own lane's certificates that the chain can order.
func (l *library) own() map[order.BundleID]bool {
	ids := make(map[order.BundleID]bool)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, certs := range l.book.Candidates() {
		for _, c := range certs {
			if c.Header.Owner != l.node.opts.Self {
				break
			}
			for i := range c.Header.Bundles {
				ids[c.Header.Bundles[i].ID(l.node.opts.ChainID)] = true
			}
		}
	}
	return ids
}

// learn takes a certificate from whomever: it verifies it outside of locks. Errors:
// lane.ErrKnown, lane.ErrFull, lane.ErrFork, those of order.Committee.Verify.
func (l *library) learn(ctx context.Context, c *order.Certificate) error {
	committee, err := l.wanted(c)
	if err != nil {
		return err
	}
	if err := l.node.work(ctx, func() error { return l.node.opts.Verifier.Verify(committee, c) }); err != nil {
		return fmt.Errorf("verify certificate %s: %w", c.Header.Position, err)
	}
	err = l.add(c, false)
	if errors.Is(err, lane.ErrFork) {
		l.forked(c, committee)
	}
	return err
}

// wanted returns the committee by which a certificate that is not held is verified.
func (l *library) wanted(c *order.Certificate) (*order.Committee, error) {
	v := l.node.chain()
	if v == nil {
		return nil, fmt.Errorf("certificate %s: %w", c.Header.Position, lane.ErrFull)
	}
	committee := v.Committee(c.Header.Epoch)
	if committee == nil || c.Header.Mark.Compare(v.Mark(c.Header.Owner)) <= 0 {
		return nil, fmt.Errorf("certificate %s of epoch %d: %w", c.Header.Position, c.Header.Epoch, lane.ErrKnown)
	}
	l.mu.Lock()
	held := l.book.Get(c.Header.Position)
	l.mu.Unlock()
	if held != nil && held.Header.Root == c.Header.Root {
		return nil, fmt.Errorf("certificate %s is held: %w", c.Header.Position, lane.ErrKnown)
	}
	return committee, nil
}

// add takes a verified certificate: from here on the node knows it.
func (l *library) add(c *order.Certificate, stored bool) error {
	n := learned{Certificate: c, ids: make([]order.BundleID, len(c.Header.Bundles))}
	for i := range c.Header.Bundles {
		n.ids[i] = c.Header.Bundles[i].ID(l.node.opts.ChainID)
	}
	l.mu.Lock()
	err := l.book.Add(c)
	if err != nil {
		l.mu.Unlock()
		return err
	}
	if stored {
		l.book.Stored(c.Header.Position)
	} else {
		l.unstored = append(l.unstored, c)
		nudge(l.unstoredC)
	}
	l.learned = append(l.learned, n)
	l.count(n, 1)
	l.feed.publish(c)
	l.mu.Unlock()
	l.node.metrics.learned.Inc()
	nudge(l.arrived)
	if stored {
		nudge(l.changed)
	}
	l.node.attester.certified(&c.Header)
	return nil
}

// forked proves who attested both the certificate and the one that is held.
func (l *library) forked(c *order.Certificate, committee *order.Committee) {
	l.mu.Lock()
	held := l.book.Get(c.Header.Position)
	l.mu.Unlock()
	v := l.node.chain()
	if held == nil || v.Committee(held.Header.Epoch) == nil {
		return
	}
	l.node.opts.Logger.Error("two batches are certified for one position: more than a third of the stake equivocated", "position", c.Header.String())
	for _, e := range lane.Equivocations(l.node.opts.ChainID, held, v.Committee(held.Header.Epoch), c, committee) {
		l.node.opts.Evidence(e)
	}
}

// storeAge is how long others' certificates gather on their way to the disk.
const storeAge = 50 * time.Millisecond

// run puts certificates on disk. What has not got there is not among the tips.
func (l *library) run(ctx context.Context) error {
	for {
		select {
		case <-l.unstoredC:
		case <-ctx.Done():
			return nil
		}
		// Nobody waits for these but the next block's tips, so that some can share a sync.
		if err := pause.For(ctx, storeAge); err != nil {
			return err
		}
		l.mu.Lock()
		group := l.unstored
		l.unstored = nil
		l.mu.Unlock()
		// Crash before the puts return: peers and the owner still have these, and this
		// node has told nobody that it does.
		again, err := l.store(ctx, group)
		if err != nil {
			return err
		}
		l.mu.Lock()
		l.unstored = append(again, l.unstored...)
		l.mu.Unlock()
		nudge(l.changed)
		if len(again) > 0 {
			if err := pause.For(ctx, 100*time.Millisecond); err != nil {
				return err
			}
			nudge(l.unstoredC)
		}
	}
}

// store puts the certificates, all at once so that they share a sync, and returns those
// for which there was no room.
func (l *library) store(ctx context.Context, group []*order.Certificate) (again []*order.Certificate, err error) {
	const atOnce = 256
	for len(group) > 0 {
		n := min(len(group), atOnce)
		errs := make([]error, n)
		var putting sync.WaitGroup
		for i, c := range group[:n] {
			putting.Go(func() { errs[i] = l.node.putCertificate(ctx, c) })
		}
		putting.Wait()
		l.mu.Lock()
		for i, c := range group[:n] {
			switch {
			case errs[i] == nil:
				if l.book.Get(c.Header.Position) == c {
					l.book.Stored(c.Header.Position)
				}
			case errors.Is(errs[i], store.ErrBusy):
				again = append(again, c)
			case errors.Is(errs[i], store.ErrConflict):
				// Another certificate of the batch is on disk: as good, and this one is held.
				l.book.Stored(c.Header.Position)
			case ctx.Err() == nil:
				err = errors.Join(err, fmt.Errorf("store certificate %s: %w", c.Header.Position, errs[i]))
			}
		}
		l.mu.Unlock()
		group = group[n:]
	}
	return again, err
}

func (n *Node) putCertificate(ctx context.Context, c *order.Certificate) error {
	return n.opts.Certificates.Put(ctx, certificateKey(c.Header.Position), n.height(), c.Encode())
}

// restore fills the book from disk, before anything is served.
func (l *library) restore(ctx context.Context, v *lane.View) (own []*order.Certificate, err error) {
	s := l.node.opts.Certificates
	for _, held := range s.Lanes() {
		owner, err := order.OwnerFromBytes(held.Owner)
		if err != nil {
			return nil, fmt.Errorf("read certificates: %w", err)
		}
		mark := v.Mark(owner)
		for seq := first(held, mark); seq <= held.Last; seq++ {
			c, err := l.load(order.Position{Owner: owner, Mark: order.Mark{Session: held.Session, Sequence: seq}})
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil { // it comes back from a peer, but for one of the own lane
				l.node.opts.Logger.Warn("a certificate can not be read", "owner", owner.String(), "session", held.Session, "sequence", seq, "error", err)
				continue
			}
			committee := v.Committee(c.Header.Epoch)
			if committee == nil {
				continue
			}
			err = l.node.work(ctx, func() error { return l.node.opts.Verifier.Verify(committee, c) })
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err != nil {
				l.node.opts.Logger.Warn("a certificate from disk does not verify", "position", c.Header.String(), "error", err)
				continue
			}
			if err := l.add(c, true); err != nil && !errors.Is(err, lane.ErrKnown) {
				l.node.opts.Logger.Warn("a certificate from disk is left out", "position", c.Header.String(), "error", err)
			}
			if owner == l.node.opts.Self {
				own = append(own, c)
			}
		}
	}
	return own, nil
}

// first is the first sequence of a stored session that the chain may have to order.
func first(held store.Lane, mark order.Mark) uint64 {
	switch {
	case held.Session < mark.Session:
		return held.Last + 1
	case held.Session == mark.Session:
		return max(held.First, mark.Sequence+1)
	}
	return held.First
}

func (l *library) load(p order.Position) (*order.Certificate, error) {
	raw, err := l.node.opts.Certificates.Get(certificateKey(p))
	if err != nil {
		return nil, err
	}
	c, err := order.DecodeCertificate(raw)
	if err != nil {
		return nil, err
	}
	if c.Header.Position != p {
		return nil, fmt.Errorf("certificate of %s at %s: %w", c.Header.Position, p, order.ErrInvalid)
	}
	return c, nil
}
