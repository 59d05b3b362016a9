package pool

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

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
	// Verify checks payers' signatures and returns the bundles with their IDs.
	// Errors: order.ErrSignature.
	Verify(...*order.Bundle) ([]order.Ordered, error)
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
	// Dir holds the journal of accepted bundles; empty keeps it in memory.
	Dir    string
	Limits Limits
	Logger *slog.Logger
	// Registerer takes the pool's metrics; nil keeps them private.
	Registerer prometheus.Registerer

	fs vfs.FS // of tests that lose what was not synced
}

// Pool holds what waits for a block. It is safe for concurrent use.
type Pool struct {
	chain   Chain
	limits  Limits
	log     *slog.Logger
	journal *journal
	metrics *metrics
	arrived chan struct{}

	writers sync.WaitGroup // Submits at the journal

	mu        sync.Mutex
	closed    bool
	nextSeq   uint64
	bundles   *list.List // of *entry, in order of arrival
	byID      map[order.BundleID]*list.Element
	expiry    map[uint64][]order.BundleID
	payers    map[order.Payer]*account
	bytes     int
	fresh     [][]byte // not yet offered to peers, as they travel
	freshSize int      // their bytes
	txs       *txQueue
}

type entry struct {
	seq    uint64 // of arrival
	id     order.BundleID
	bundle *order.Bundle
	wire   []byte // kind prefix and canonical encoding
	fee    uint64 // as of its arrival
	height uint64 // of the block that it could first be in
	kept   bool   // this node answers for it: on disk, or being written
}

// account is what one payer has in the pool.
type account struct {
	bytes, bundles int
	fees           uint64
}

// New opens the pool and loads the bundles that were accepted and not done with
// when the node stopped.
func New(chain Chain, opts Options) (*Pool, error) {
	opts.Limits = opts.Limits.orDefault()
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	m, err := newMetrics(opts.Registerer)
	if err != nil {
		return nil, err
	}
	j, err := openJournal(opts.fs, opts.Dir)
	if err != nil {
		return nil, err
	}
	p := &Pool{
		chain: chain, limits: opts.Limits, log: opts.Logger, journal: j, metrics: m,
		arrived: make(chan struct{}, 1), bundles: list.New(),
		byID: make(map[order.BundleID]*list.Element), expiry: make(map[uint64][]order.BundleID),
		payers: make(map[order.Payer]*account), txs: newTxQueue(),
	}
	if err := p.load(); err != nil {
		return nil, errors.Join(err, j.close())
	}
	return p, nil
}

// load takes in the journal. What is done with is deleted. What has been
// acknowledged is kept beyond limits, and though the rules have changed against it:
// they may change again before it expires.
func (p *Pool) load() error {
	rules, err := p.chain.Rules()
	if err != nil && !errors.Is(err, ErrNotReady) {
		return err
	}
	var gone []uint64
	err = p.journal.load(func(seq uint64, raw []byte) {
		p.nextSeq = max(p.nextSeq, seq+1)
		e, err := p.decode(append([]byte{KindBundle}, raw...), rules)
		if e == nil || done(err) {
			p.log.Debug("accepted bundle is done with", "seq", seq, "reason", err)
			gone = append(gone, seq)
			return
		}
		if _, twice := p.byID[e.id]; twice {
			gone = append(gone, seq)
			return
		}
		e.seq, e.kept = seq, true
		p.insert(e)
		p.announce(e.wire)
	})
	if err != nil {
		return err
	}
	if n := p.bundles.Len(); n+len(gone) > 0 {
		p.log.Info("loaded accepted bundles", "waiting", n, "bytes", p.bytes, "done_with", len(gone))
	}
	return p.journal.delete(gone)
}

// Submit takes in a bundle from the node's API. When it returns without error, the
// bundle is on disk and stays there until a block carries it or it expires.
// Submitting it again is harmless.
// Errors: see errors.go; order.ErrEncoding, order.ErrInvalid, order.ErrSignature.
func (p *Pool) Submit(ctx context.Context, raw []byte) (order.BundleID, error) {
	if err := ctx.Err(); err != nil {
		return order.BundleID{}, err
	}
	e, err := p.admit(append([]byte{KindBundle}, raw...), true)
	if err != nil {
		p.metrics.refused.WithLabelValues(reason(err)).Inc()
		return order.BundleID{}, err
	}
	defer p.writers.Done()
	return e.id, p.settle(e)
}

// settle puts an admitted bundle on disk. A crash before that loses a bundle which
// nobody was promised; it may have reached peers, and is then ordered all the same.
func (p *Pool) settle(e *entry) error {
	if err := p.journal.put(e.seq, e.wire[1:]); err != nil {
		return err
	}
	if p.Has(e.id) {
		return nil
	}
	return p.journal.delete([]uint64{e.seq}) // a block carried it meanwhile
}

// admit checks a bundle and adds it to the pool. Where keep is set, the caller
// writes it to the journal and then calls writers.Done; a bundle that waits
// already is returned to be written again, under its own number.
func (p *Pool) admit(wire []byte, keep bool) (*entry, error) {
	rules, err := p.chain.Rules()
	if err != nil {
		return nil, err
	}
	e, err := p.decode(wire, rules)
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
		e = elem.Value.(*entry)
		if keep {
			e.kept = true
			p.writers.Add(1)
		}
		return e, nil
	}
	// The commit that carried it may have come in between.
	if err := rules.Check(e.bundle, e.id); err != nil {
		return nil, err
	}
	if err := p.room(e, balance); err != nil {
		return nil, err
	}
	e.seq = p.nextSeq
	p.nextSeq++
	p.insert(e)
	p.announce(e.wire)
	if keep {
		e.kept = true
		p.writers.Add(1)
	}
	p.signal()
	return e, nil
}

// decode checks form, signature and, where there are rules, what the state says.
// Where only the state is against it, it returns the entry beside the error.
func (p *Pool) decode(wire []byte, rules *ordering.Rules) (*entry, error) {
	b, err := order.DecodeBundle(wire[1:])
	if err != nil {
		return nil, err
	}
	verified, err := p.chain.Verify(b)
	if err != nil {
		return nil, err
	}
	e := &entry{id: verified[0].ID, bundle: b, wire: wire}
	if rules == nil {
		return e, ErrNotReady
	}
	e.fee, e.height = rules.Fee(b), rules.Height
	return e, rules.Check(b, e.id)
}

// room reports whether the pool's bounds let the entry in.
func (p *Pool) room(e *entry, balance uint64) error {
	size := len(e.wire) - 1
	if p.bytes+size > p.limits.Bytes || p.bundles.Len() >= p.limits.Bundles {
		return fmt.Errorf("%d bundles of %d bytes wait: %w", p.bundles.Len(), p.bytes, ErrFull)
	}
	var a account
	if have := p.payers[e.bundle.Payer]; have != nil {
		a = *have
	}
	if a.bytes+size > p.limits.Bytes/p.limits.PayerShare || a.bundles >= p.limits.Bundles/p.limits.PayerShare {
		return fmt.Errorf("%d bundles of %d bytes of this payer wait, its share: %w", a.bundles, a.bytes, ErrFull)
	}
	if balance < a.fees || balance-a.fees < e.fee {
		return fmt.Errorf("balance %d uordo, fee %d uordo, %d uordo for %d bundles that wait: %w",
			balance, e.fee, a.fees, a.bundles, ErrInsufficientFunds)
	}
	return nil
}

func (p *Pool) insert(e *entry) {
	p.byID[e.id] = p.bundles.PushBack(e)
	p.expiry[e.bundle.Expiry] = append(p.expiry[e.bundle.Expiry], e.id)
	p.bytes += len(e.wire) - 1
	a := p.payers[e.bundle.Payer]
	if a == nil {
		a = new(account)
		p.payers[e.bundle.Payer] = a
	}
	a.bytes += len(e.wire) - 1
	a.bundles++
	a.fees += e.fee
	p.gauge()
}

// remove takes a bundle out and returns its number where it is on disk.
func (p *Pool) remove(id order.BundleID) (seq uint64, kept bool) {
	elem, ok := p.byID[id]
	if !ok {
		return 0, false
	}
	e := p.bundles.Remove(elem).(*entry)
	delete(p.byID, id)
	p.bytes -= len(e.wire) - 1
	a := p.payers[e.bundle.Payer]
	a.bytes -= len(e.wire) - 1
	a.bundles--
	a.fees -= e.fee
	if a.bundles == 0 {
		delete(p.payers, e.bundle.Payer)
	}
	return e.seq, e.kept
}

// Has reports whether the bundle waits here.
func (p *Pool) Has(id order.BundleID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.byID[id]
	return ok
}

// Empty reports whether nothing waits here.
func (p *Pool) Empty() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bundles.Len() == 0 && p.txs.len() == 0
}

// Arrived yields after something new has come in. It is meant for one reader.
func (p *Pool) Arrived() <-chan struct{} { return p.arrived }

func (p *Pool) signal() {
	p.gauge()
	select {
	case p.arrived <- struct{}{}:
	default:
	}
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
