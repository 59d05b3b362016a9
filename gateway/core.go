package gateway

import (
	"container/list"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ordo-network/ordo/keys"
	"github.com/ordo-network/ordo/order"
)

// Errors of Submit, told apart by errors.Is. Submit also returns ErrUnfunded
// while sequencers refuse bundles because the payer cannot pay.
var (
	// ErrKnown: the transaction is queued, in flight or executed already.
	ErrKnown = errors.New("transaction is already known")
	// ErrFull: no room for now; try again in a second.
	ErrFull = errors.New("gateway is full")
	// ErrNonceInFlight: another transaction of this sender and nonce is in a bundle
	// already and cannot be replaced any more.
	ErrNonceInFlight = errors.New("a transaction with this nonce is being ordered")
	// ErrTooLarge: the transaction does not fit into a bundle.
	ErrTooLarge = errors.New("transaction is too large to be ordered")
)

const (
	maxSenderLen = 128
	// bundleOverhead is what a bundle of one leg takes besides its transactions, in
	// bytes, at most: payer, expiry, fee limit, leg, rollup ID and signature.
	bundleOverhead = 192
	// maxAttempts bounds how often a transaction is ordered and skipped again.
	maxAttempts = 16
	// otherPayer is the trouble of a bundle that cannot be signed here.
	otherPayer = "made by another payer's key: it is ordered as it was sent, or expires"
	// staleAfter is the age at which the known height of the sequencer chain no
	// longer serves to set an expiry.
	staleAfter = 10 * time.Second
)

// Tx is one opaque transaction. Hash names it; Sender and Nonce only order it
// among the sender's others and tell which one it replaces.
type Tx struct {
	Hash   [32]byte
	Sender string
	Nonce  uint64
	Raw    []byte
	// Note is the caller's own and comes back with the transaction. It is not
	// journaled: nil for what was taken up after a restart.
	Note any
}

// Chain is what the gateway asks the rollup. It must answer for the soft head
// or a later one, and quickly: it is asked while transactions are bundled.
type Chain interface {
	// NextNonce returns the nonce that the sender's next transaction must have.
	NextNonce(sender string) (uint64, error)
	// Executed reports whether a block of the rollup holds the transaction.
	Executed(hash [32]byte) (bool, error)
}

// entry is a transaction that has not ended, or whose bundle is still live.
type entry struct {
	Tx
	seq      uint64 // order of arrival, key in the journal
	received time.Time
	bundle   *bundle // live bundle that holds it; nil while queued
	ended    bool    // no longer indexed; kept for its bundle's bytes
	attempts int     // times it was ordered and skipped
}

// sender is one sender's transactions by nonce.
type sender struct {
	name     string
	txs      []*entry
	inFlight int
	// cautious is set when a transaction was ordered in vain, because one before it was
	// not: until nothing of the sender is in flight, nothing is bundled on the hope
	// that what is in flight will be ordered first.
	cautious bool

	next     uint64 // Chain.NextNonce as of view
	nextView uint64

	list *list.List // core.ready or core.held while something is queued
	elem *list.Element

	run []*entry // what the current cut may take
	cut uint64
}

// bundle is a live bundle.
type bundle struct {
	seq      uint64 // order of making, key in the journal
	id       order.BundleID
	payer    order.Payer
	expiry   uint64
	feeLimit uint64
	txs      []*entry
	parcel   *parcel // the user's bundle that it is; nil where it is of txs
	sent     bool    // a sequencer may have it
	unsure   bool    // not all heights that may have ordered it were observed: of parcels only

	acked    uint64 // last epoch in which a sequencer took it; 0 for none
	ackedAt  time.Time
	refusals int
	retryAt  time.Time
	trouble  string // why it was last refused
	dropped  []int  // sequencers that say that the chain dropped it

	certified time.Time // when a sequencer said so; zero for not
}

// core is the state machine. Time, heights and outcomes come in as arguments;
// what must be on disk comes out through step. It is not safe for concurrent use.
type core struct {
	cfg   *Config
	chain Chain
	self  order.Payer
	payer string // its address

	txs     map[[32]byte]*entry
	senders map[string]*sender
	ready   *list.List // of *sender: something queued may be ready
	held    *list.List // of *sender: something queued waits for another transaction
	bytes   int        // of raw transactions held, ended ones in live bundles included

	live   []*bundle // by seq
	byID   map[order.BundleID]*bundle
	nextTx uint64 // next seq of a transaction
	nextID uint64 // next seq of a bundle
	cuts   uint64
	cutAt  time.Time // last cut

	observed  uint64 // last sequencer height that was observed
	block     uint64 // number of the rollup's head
	blockTime time.Time
	views     uint64 // number of observations: what Chain said before is outdated
	info      Info
	head      uint64 // highest sequencer height known
	headAt    time.Time

	history history
	parcels parcels
	touch   func(name [32]byte) // what is known of a transaction or a user's bundle changes
	send    sending
	sweepAt time.Time
	stats   stats

	changes []change
	sync    bool
}

func newCore(cfg *Config, l *loaded) (*core, error) {
	public := cfg.Key.Public().(ed25519.PublicKey)
	c := &core{
		cfg: cfg, chain: cfg.Chain, self: order.Payer(public), payer: keys.Address(public),
		txs: make(map[[32]byte]*entry), senders: make(map[string]*sender), byID: make(map[order.BundleID]*bundle),
		ready: list.New(), held: list.New(), views: 1,
		history: newHistory(cfg.KeepEnded), send: newSending(cfg.ResendAfter),
		observed: l.observed, head: l.observed, block: l.block, blockTime: l.blockTime,
		nextTx: l.nextTx, nextID: l.nextBundle, parcels: newParcels(l.nextParcel), touch: func([32]byte) {},
	}
	bySeq := make(map[uint64]*entry, len(l.txs))
	for _, e := range l.txs {
		if c.txs[e.Hash] != nil {
			return nil, fmt.Errorf("transaction %x is there twice", e.Hash)
		}
		bySeq[e.seq] = e
		c.insert(e)
	}
	for _, rec := range l.bundles {
		b := &bundle{seq: rec.seq, id: rec.id, payer: rec.payer, expiry: rec.expiry, feeLimit: rec.feeLimit, sent: true}
		for _, seq := range rec.txs {
			e := bySeq[seq]
			if e == nil || e.bundle != nil {
				return nil, fmt.Errorf("bundle %s: transaction %d is missing or in two bundles", b.id, seq)
			}
			c.assign(e, b)
			b.txs = append(b.txs, e)
		}
		if id := c.wire(b).ID(cfg.ChainID); id != b.id {
			return nil, fmt.Errorf("bundle %s: its transactions make bundle %s", b.id, id)
		}
		if !c.signs(b) {
			b.trouble = otherPayer
		}
		c.live = append(c.live, b)
		c.byID[b.id] = b
	}
	for _, r := range l.ended {
		c.history.add(r)
	}
	return c, c.loadParcels(l)
}

// wire returns the bundle without a signature.
func (c *core) wire(b *bundle) *order.Bundle {
	if b.parcel != nil {
		return &order.Bundle{Payer: b.payer, Expiry: b.expiry, FeeLimit: b.feeLimit, Legs: b.parcel.legs}
	}
	leg := order.Leg{RollupID: c.cfg.RollupID, Transactions: make([][]byte, len(b.txs))}
	for i, e := range b.txs {
		leg.Transactions[i] = e.Raw
	}
	return &order.Bundle{Payer: b.payer, Expiry: b.expiry, FeeLimit: b.feeLimit, Legs: []order.Leg{leg}}
}

// signs reports whether the bundle may be sent: one that was made with another payer's
// key cannot be signed any more.
func (c *core) signs(b *bundle) bool { return b.payer == c.self }

// signer returns how the bundle is signed when it is sent. It may be called later, while
// the core goes on.
func (c *core) signer(b *bundle) SignFor {
	wire, id, key := c.wire(b), b.id, c.cfg.Key
	return func(lane order.Owner) []byte {
		signed := *wire
		copy(signed.Signature[:], ed25519.Sign(key, id.SignBytes(lane)))
		return signed.Encode()
	}
}

// admit queues a transaction. One of the same sender and nonce that is still
// queued is replaced.
func (c *core) admit(tx Tx, now time.Time) error {
	if len(tx.Raw) == 0 || tx.Sender == "" || len(tx.Sender) > maxSenderLen {
		return fmt.Errorf("transaction %x without bytes, or sender of %d bytes, want 1 to %d", tx.Hash, len(tx.Sender), maxSenderLen)
	}
	if n := len(tx.Raw) + bundleOverhead; n > c.maxBundle() {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(tx.Raw), c.maxBundle()-bundleOverhead)
	}
	if r := c.history.get(tx.Hash); c.txs[tx.Hash] != nil || r != nil && r.Phase == PhaseExecuted || c.executedInParcel(tx.Hash) {
		return ErrKnown
	}
	if c.send.unfunded != "" {
		return fmt.Errorf("%w: %s; send uordo to %s on %s", ErrUnfunded, c.send.unfunded, c.payer, c.cfg.ChainID)
	}
	if len(c.txs) >= c.cfg.MaxTxs || c.bytes+len(tx.Raw) > c.cfg.MaxBytes {
		c.evict(now)
	}
	s := c.senders[tx.Sender]
	var old *entry
	if s != nil {
		if i, ok := s.find(tx.Nonce); ok {
			old = s.txs[i]
		}
	}
	freed := 0
	switch {
	case old != nil && old.bundle != nil:
		return ErrNonceInFlight
	case old != nil:
		freed = len(old.Raw)
	case len(c.txs) >= c.cfg.MaxTxs:
		return fmt.Errorf("%w: %d transactions wait to be ordered; try again in a second", ErrFull, len(c.txs))
	case s != nil && len(s.txs) >= c.cfg.MaxTxsPerSender:
		return fmt.Errorf("%w: %d transactions of this sender wait to be ordered; try again in a second", ErrFull, len(s.txs))
	}
	if c.bytes-freed+len(tx.Raw) > c.cfg.MaxBytes {
		return fmt.Errorf("%w: %d bytes wait to be ordered; try again in a second", ErrFull, c.bytes)
	}
	if old != nil {
		c.end(old, State{Phase: PhaseDropped, Reason: fmt.Sprintf("replaced by transaction 0x%x", tx.Hash)}, now)
	}
	tx.Raw = slices.Clone(tx.Raw)
	e := &entry{Tx: tx, seq: c.nextTx, received: now}
	c.nextTx++
	c.insert(e)
	c.change(txKey(e.seq), encodeTx(e))
	c.sync = true
	c.touch(e.Hash)
	return nil
}

// end takes a transaction out. Where its bundle is live, its bytes stay with the
// bundle, on disk too: the bundle is sent again as it was made.
func (c *core) end(e *entry, st State, now time.Time) {
	s := c.senders[e.Sender]
	s.txs = slices.DeleteFunc(s.txs, func(x *entry) bool { return x == e })
	delete(c.txs, e.Hash)
	e.ended = true
	if e.bundle != nil {
		s.inFlight--
	} else {
		c.forget(e)
	}
	if len(s.txs) == 0 {
		c.place(s, nil)
		delete(c.senders, s.name)
	} else {
		c.place(s, c.ready)
	}
	st.Received, st.Ended = e.received, now
	c.stats.ended(st)
	r := &ended{hash: e.Hash, State: st}
	if st.Phase == PhaseDropped {
		// What was executed is told by the rollup's own chain; of what was dropped
		// this is the only trace, so it outlives a crash.
		r.seq = e.seq
		c.change(endedKey(r.seq), encodeEnded(r))
	}
	c.prune(c.history.add(r))
	c.touch(e.Hash)
}

func (c *core) forget(e *entry) {
	c.bytes -= len(e.Raw)
	c.change(txKey(e.seq), nil)
}

func (c *core) prune(rs []*ended) {
	for _, r := range rs {
		if r.Phase == PhaseDropped {
			c.change(endedKey(r.seq), nil)
		}
	}
}

// evict makes room by ending what waits behind a nonce gap, of the sender that has
// waited longest: what cannot be executed must not keep out what can.
func (c *core) evict(now time.Time) {
	for range min(c.held.Len(), 8) {
		s := c.held.Front().Value.(*sender)
		c.held.MoveToBack(s.elem)
		next, err := c.nextNonce(s)
		if err != nil {
			continue
		}
		gapped := slices.DeleteFunc(slices.Clone(s.txs[s.gap(next):]), func(e *entry) bool { return e.bundle != nil })
		for _, e := range gapped {
			c.end(e, State{Phase: PhaseDropped, Reason: "nonce too high, and no room to wait for the transactions before it"}, now)
		}
		if len(gapped) > 0 {
			return
		}
	}
}

// sweep ends what was held for too long, looks at held senders again, and forgets
// old history. It does a bounded part of the work at a time.
func (c *core) sweep(now time.Time) {
	if now.Before(c.sweepAt) {
		return
	}
	c.sweepAt = now.Add(time.Second)
	c.prune(c.history.expire(now))
	c.expireOutcomes(now)
	for n := min(c.held.Len(), 512); n > 0; n-- {
		front := c.held.Front()
		if front == nil {
			return
		}
		s := front.Value.(*sender)
		c.place(s, c.ready)
		next, err := c.nextNonce(s)
		if err != nil {
			continue
		}
		for _, e := range slices.Clone(s.txs[s.gap(next):]) {
			if e.bundle == nil && now.Sub(e.received) > c.cfg.HoldFor {
				c.end(e, State{Phase: PhaseDropped, Reason: fmt.Sprintf("nonce too high: the transactions before it did not come within %s", c.cfg.HoldFor)}, now)
			}
		}
	}
}

func (c *core) change(key, value []byte) { c.changes = append(c.changes, change{key, value}) }

// work is what a step leaves to do: first the changes are written, then the rest.
type work struct {
	changes  []change
	sync     bool // an answer or a sending waits for the disk
	send     *bundle
	target   int // index of the sequencer
	sign     SignFor
	deadline time.Time
	unfunded string
}

// step does what is due, after inputs were taken in.
func (c *core) step(now time.Time) work {
	c.sweep(now)
	c.release(now)
	c.cut(now)
	c.reconsider()
	var w work
	if b, target, ok := c.nextSend(now); ok {
		w.send, w.target, w.sign = b, target, c.signer(b)
	}
	w.changes, w.sync = c.changes, c.sync
	c.changes, c.sync = nil, false
	w.deadline, w.unfunded = c.deadline(now), c.send.unfunded
	return w
}
