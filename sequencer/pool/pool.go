package pool

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

// Chain answers for the block after the last committed one. Its methods are safe
// for concurrent use.
type Chain interface {
	// Rules returns what the committed state says about bundles. Errors: ErrNotReady.
	Rules() (*ordering.Rules, error)
	// CheckTx runs what stands at the door for an ordinary transaction, on top of the
	// transactions that passed since Recheck.
	CheckTx(raw []byte) error
	// Recheck makes CheckTx start over from the last committed state.
	Recheck()
}

// Limits bound what the pool holds.
type Limits struct {
	Bytes   int // canonical bytes of bundles
	Bundles int
	// PayerShare is the part of both that one payer may use: 1/PayerShare.
	PayerShare int
	Txs        int // ordinary transactions
	TxBytes    int
}

// DefaultLimits returns the limits of an ordinary validator.
func DefaultLimits() Limits {
	return Limits{Bytes: 32 << 20, Bundles: 50_000, PayerShare: 4, Txs: 500, TxBytes: 4 << 20}
}

// orDefault fills in what is not set.
func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	for _, f := range []struct{ have, want *int }{
		{&l.Bytes, &d.Bytes}, {&l.Bundles, &d.Bundles}, {&l.PayerShare, &d.PayerShare}, {&l.Txs, &d.Txs}, {&l.TxBytes, &d.TxBytes},
	} {
		if *f.have <= 0 {
			*f.have = *f.want
		}
	}
	return l
}

// Options configure a pool.
type Options struct {
	// ChainID is what payers sign for.
	ChainID string
	// Dir holds the journal of accepted bundles; empty keeps it in memory.
	Dir    string
	Limits Limits
	Logger *slog.Logger
	// Registerer takes the pool's metrics; nil keeps them private.
	Registerer prometheus.Registerer

	fs vfs.FS // of tests that lose what was not synced
}

// Pool holds what waits. It is safe for concurrent use.
type Pool struct {
	chain   Chain
	chainID string
	limits  Limits
	log     *slog.Logger
	journal *journal
	metrics *metrics
	txs     *txQueue
	ready   chan struct{} // bundles to take
	lane    atomic.Pointer[lane]
	writers sync.WaitGroup // Submits at the journal

	mu      sync.Mutex
	closed  bool
	nextSeq uint64
	bundles *list.List // of *entry, in order of arrival
	byID    map[order.BundleID]*list.Element
	expiry  map[uint64][]order.BundleID
	payers  map[order.Payer]*account
	left    map[order.BundleID]Left // counts in the pool's bounds until it is forgotten
	bytes   int                     // of left, too
	taking  taking
}

// Left is a bundle that left without a block having carried it.
type Left struct {
	ID     order.BundleID
	Expiry uint64
	seq    uint64
	bytes  int
}

type entry struct {
	seq     uint64 // of arrival
	id      order.BundleID
	raw     []byte // canonical encoding
	bundle  *order.Bundle
	summary order.BundleSummary
	fee     uint64 // as of its arrival
	taken   bool   // it went into a batch
}

// account is what one payer has in the pool.
type account struct {
	bytes, bundles int
	fees           uint64
	taken          uint64 // fees of its bundles that went into batches
}

// New opens the pool and loads the bundles that were accepted and not done with
// when the node stopped. All of them wait to be taken.
func New(chain Chain, opts Options) (*Pool, error) {
	opts.Limits = opts.Limits.orDefault()
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	m, err := newMetrics(opts.Registerer)
	if err != nil {
		return nil, err
	}
	j, err := openJournal(opts.fs, opts.Dir, segmentBytes, opts.Logger)
	if err != nil {
		return nil, err
	}
	p := &Pool{
		chain: chain, chainID: opts.ChainID, limits: opts.Limits, log: opts.Logger, journal: j, metrics: m,
		txs: newTxQueue(), ready: make(chan struct{}, 1), bundles: list.New(),
		byID: make(map[order.BundleID]*list.Element), expiry: make(map[uint64][]order.BundleID),
		payers: make(map[order.Payer]*account), left: make(map[order.BundleID]Left),
	}
	if err := p.load(); err != nil {
		return nil, errors.Join(err, j.close())
	}
	return p, nil
}

// load takes in the journal; SetLane checks its signatures. What is done with leaves. What has been
// acknowledged is kept beyond limits, and though the rules have changed against it:
// they may change again before it expires.
func (p *Pool) load() error {
	rules, err := p.chain.Rules()
	if err != nil && !errors.Is(err, ErrNotReady) {
		return err
	}
	var gone []uint64
	p.journal.load(func(seq uint64, raw []byte) {
		p.nextSeq = max(p.nextSeq, seq+1)
		b, err := order.DecodeBundle(raw)
		if err != nil {
			gone = append(gone, seq)
			return
		}
		e := &entry{seq: seq, raw: raw, bundle: b, summary: b.Summary()}
		e.id = e.summary.ID(p.chainID)
		if was := p.remove(e.id); was != nil { // the last counts: it may be signed for another lane
			gone = append(gone, was.seq)
		}
		var against error
		if rules != nil {
			against = p.judge(e, rules)
		}
		switch {
		case errors.Is(against, ErrAlreadyOrdered), errors.Is(against, ErrDropped):
			gone = append(gone, seq)
		case errors.Is(against, ErrExpired):
			p.insert(e)
			p.leave(e.id)
		default:
			p.insert(e)
		}
	})
	if n := p.bundles.Len(); n+len(gone)+len(p.left) > 0 {
		p.log.Info("loaded accepted bundles", "waiting", n, "bytes", p.bytes, "done_with", len(gone)+len(p.left))
	}
	p.journal.delete(gone)
	return nil
}

// Submit takes in a bundle from the node's API. When it returns without error, the
// bundle is on disk and stays there until a block carries it, or it has expired and Left's
// reader has noted that.
// Submitting it again is harmless.
// Errors: see errors.go; order.ErrEncoding, order.ErrInvalid, order.ErrSignature.
func (p *Pool) Submit(ctx context.Context, raw []byte) (order.BundleID, error) {
	if err := ctx.Err(); err != nil {
		return order.BundleID{}, err
	}
	e, err := p.admit(raw)
	if err != nil {
		p.metrics.refused.WithLabelValues(reason(err)).Inc()
		return order.BundleID{}, err
	}
	defer p.writers.Done()
	return e.id, p.settle(e)
}

// settle puts an admitted bundle on disk. A crash before that loses a bundle which
// nobody was promised; it may be in a batch, and is then ordered all the same.
func (p *Pool) settle(e *entry) error {
	if err := p.journal.put(e.seq, e.raw); err != nil {
		return err
	}
	if !p.Has(e.id) { // a block carried it meanwhile
		p.journal.delete([]uint64{e.seq})
	}
	return nil
}

// admit checks a bundle and adds it to the pool. The caller writes it to the journal
// and then calls writers.Done; a bundle that waits already is returned to be written
// again, under its own number: whoever brought it first may not be through yet.
func (p *Pool) admit(raw []byte) (*entry, error) {
	rules, err := p.chain.Rules()
	if err != nil {
		return nil, err
	}
	l := p.lane.Load()
	if l == nil || !l.open() {
		return nil, ErrNoLane
	}
	e, err := p.decode(raw, l.owner)
	if err != nil {
		return nil, err
	}
	balance := rules.Balance(e.bundle.Payer)

	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	if elem, ok := p.byID[e.id]; ok {
		p.writers.Add(1)
		return elem.Value.(*entry), nil
	}
	// Under the lock, since the commit that carried it may just have come in.
	if err := p.judge(e, rules); err != nil {
		return nil, err
	}
	if err := p.room(e, balance); err != nil {
		return nil, err
	}
	e.seq = p.nextSeq
	p.nextSeq++
	p.insert(e)
	p.writers.Add(1)
	return e, nil
}

// decode checks form and signature.
func (p *Pool) decode(raw []byte, lane order.Owner) (*entry, error) {
	b, err := order.DecodeBundle(raw)
	if err != nil {
		return nil, err
	}
	e := &entry{raw: raw, bundle: b, summary: b.Summary()}
	ids, valid := order.VerifySummaries(p.chainID, lane, []order.BundleSummary{e.summary})
	if !valid[0] {
		return nil, fmt.Errorf("the payer has not signed bundle %s for %s, the lane of this node (lane_owner of GetInfo): %w", ids[0], lane, order.ErrSignature)
	}
	e.id = ids[0]
	return e, nil
}

// judge notes the bundle's fee and returns what the state has against it.
func (p *Pool) judge(e *entry, rules *ordering.Rules) error {
	e.fee = rules.Fee(&e.summary)
	return rules.Check(&e.summary, e.id)
}

// room reports whether the pool's bounds let the entry in.
func (p *Pool) room(e *entry, balance uint64) error {
	if p.bytes+len(e.raw) > p.limits.Bytes || p.bundles.Len()+len(p.left) >= p.limits.Bundles {
		return fmt.Errorf("%d bundles of %d bytes wait: %w", p.bundles.Len()+len(p.left), p.bytes, ErrFull)
	}
	var a account
	if have := p.payers[e.bundle.Payer]; have != nil {
		a = *have
	}
	if a.bytes+len(e.raw) > p.limits.Bytes/p.limits.PayerShare || a.bundles >= p.limits.Bundles/p.limits.PayerShare {
		return fmt.Errorf("%d bundles of %d bytes of this payer wait, its share: %w", a.bundles, a.bytes, ErrFull)
	}
	if balance < a.fees || balance-a.fees < e.fee {
		return fmt.Errorf("balance %d uordo, fee %d uordo, %d uordo for %d bundles that wait: %w",
			balance, e.fee, a.fees, a.bundles, ErrInsufficientFunds)
	}
	return nil
}

func (p *Pool) insert(e *entry) {
	elem := p.bundles.PushBack(e)
	p.byID[e.id] = elem
	p.expiry[e.bundle.Expiry] = append(p.expiry[e.bundle.Expiry], e.id)
	p.bytes += len(e.raw)
	a := p.payers[e.bundle.Payer]
	if a == nil {
		a = new(account)
		p.payers[e.bundle.Payer] = a
	}
	a.bytes += len(e.raw)
	a.bundles++
	a.fees += e.fee
	p.taking.inserted(elem)
	p.signal()
}

// remove takes a bundle out and returns it, nil where it is not here.
func (p *Pool) remove(id order.BundleID) *entry {
	elem, ok := p.byID[id]
	if !ok {
		return nil
	}
	p.taking.removed(elem)
	e := p.bundles.Remove(elem).(*entry)
	delete(p.byID, id)
	p.bytes -= len(e.raw)
	a := p.payers[e.bundle.Payer]
	a.bytes -= len(e.raw)
	a.bundles--
	a.fees -= e.fee
	if e.taken {
		a.taken -= e.fee
	}
	if a.bundles == 0 {
		delete(p.payers, e.bundle.Payer)
	}
	return e
}

// leave takes a bundle out that no block has carried.
func (p *Pool) leave(id order.BundleID) {
	e := p.remove(id)
	if e == nil {
		return
	}
	if before, ok := p.left[id]; ok { // it was signed for another lane then
		p.forget(before)
	}
	p.left[id] = Left{id, e.bundle.Expiry, e.seq, len(e.raw)}
	p.bytes += len(e.raw)
}

// Update follows a commit: what the block carried, and what has expired, leaves
// the pool, and ordinary transactions are checked again.
func (p *Pool) Update(height uint64, carried []order.BundleID, txs [][]byte) {
	p.txs.update(txs, p.chain.Recheck, p.chain.CheckTx)

	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	var gone []uint64
	for _, id := range carried {
		if e := p.remove(id); e != nil {
			gone = append(gone, e.seq)
		}
	}
	for expiry, ids := range p.expiry {
		if expiry > height {
			continue
		}
		for _, id := range ids {
			p.leave(id)
		}
		delete(p.expiry, expiry)
	}
	if p.taking.aside { // the block may have changed what was against them
		p.taking.restart(p.bundles)
		p.signal()
	}
	p.gauge()
	p.journal.delete(gone)
}

// Left returns what left without a block having carried it. It stays on disk until Forget, so that
// who tells clients what became of their bundles can write that down before.
func (p *Pool) Left() []Left {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Values(p.left))
}

// Forget deletes what Left has returned.
func (p *Pool) Forget(left []Left) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(slices.DeleteFunc(slices.Clone(left), func(l Left) bool { return p.left[l.ID] != l })...)
	p.gauge()
}

func (p *Pool) forget(left ...Left) {
	gone := make([]uint64, len(left))
	for i, l := range left {
		delete(p.left, l.ID)
		p.bytes -= l.bytes
		gone[i] = l.seq
	}
	p.journal.delete(gone)
}

// Has reports whether the bundle waits here, or has left and is not forgotten.
func (p *Pool) Has(id order.BundleID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, waits := p.byID[id]
	_, left := p.left[id]
	return waits || left
}

// Empty reports whether nothing waits here, neither bundles nor transactions.
func (p *Pool) Empty() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bundles.Len() == 0 && p.txs.len() == 0
}

func (p *Pool) gauge() {
	p.metrics.bundles.Set(float64(p.bundles.Len()))
	p.metrics.bytes.Set(float64(p.bytes))
	p.metrics.txs.Set(float64(p.txs.len()))
}

// Close refuses new bundles, waits for those being written, and closes the journal.
func (p *Pool) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	p.mu.Unlock()
	p.writers.Wait()
	return p.journal.close()
}
