package pool

import (
	"container/list"
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"
)

// txQueue holds ordinary transactions in order of arrival. It has a lock of its own,
// since checking a transaction takes far longer than checking a bundle.
type txQueue struct {
	arrived chan struct{}

	mu    sync.Mutex
	list  *list.List // of []byte
	byKey map[[sha256.Size]byte]*list.Element
	bytes int
	fresh [][]byte // not yet offered to peers; some may be gone from the list
	// freshBytes bounds what waits for peers where nobody reaps.
	freshBytes int

	count atomic.Int64 // len(byKey), without the lock
}

func newTxQueue() *txQueue {
	return &txQueue{arrived: make(chan struct{}, 1), list: list.New(), byKey: make(map[[sha256.Size]byte]*list.Element)}
}

func (q *txQueue) len() int { return int(q.count.Load()) }

// add checks a transaction and appends it, unless it waits already.
func (q *txQueue) add(raw []byte, limits Limits, check func([]byte) error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	key := sha256.Sum256(raw)
	if _, ok := q.byKey[key]; ok {
		return nil
	}
	if q.list.Len() >= limits.Txs || q.bytes+len(raw) > limits.TxBytes {
		return fmt.Errorf("%d transactions of %d bytes wait: %w", q.list.Len(), q.bytes, ErrFull)
	}
	if err := check(raw); err != nil {
		return err
	}
	q.byKey[key] = q.list.PushBack(raw)
	q.bytes += len(raw)
	q.count.Add(1)
	if q.freshBytes+len(raw) <= limits.TxBytes {
		q.fresh = append(q.fresh, raw)
		q.freshBytes += len(raw)
	}
	select {
	case q.arrived <- struct{}{}:
	default:
	}
	return nil
}

func (q *txQueue) remove(key [sha256.Size]byte) {
	if elem, ok := q.byKey[key]; ok {
		q.bytes -= len(q.list.Remove(elem).([]byte))
		delete(q.byKey, key)
		q.count.Add(-1)
	}
}

// update removes what a block carried and what no longer passes. The check starts
// over under the lock: what passed it in between would fail it the second time.
func (q *txQueue) update(carried [][]byte, restart func(), check func([]byte) error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	restart()
	for _, raw := range carried {
		q.remove(sha256.Sum256(raw))
	}
	var next *list.Element
	for elem := q.list.Front(); elem != nil; elem = next {
		next = elem.Next()
		if raw := elem.Value.([]byte); check(raw) != nil {
			q.remove(sha256.Sum256(raw))
		}
	}
}

// reap returns the first of what is new, of up to maxBytes where that is not 0, but
// at least one.
func (q *txQueue) reap(maxBytes uint64) [][]byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, size := 0, uint64(0)
	for ; n < len(q.fresh); n++ {
		size += uint64(len(q.fresh[n]))
		if maxBytes > 0 && size > maxBytes && n > 0 {
			break
		}
		q.freshBytes -= len(q.fresh[n])
	}
	out := q.fresh[:n:n]
	q.fresh = q.fresh[n:]
	if len(q.fresh) == 0 {
		q.fresh = nil
	}
	return out
}

// Insert takes in an ordinary transaction that a peer or a client of the node's RPC
// sends. The pool keeps raw. Errors: ErrFull; what Chain.CheckTx returns.
func (p *Pool) Insert(raw []byte) error {
	err := p.txs.add(raw, p.limits, p.chain.CheckTx)
	if err != nil {
		p.metrics.refused.WithLabelValues(reason(err)).Inc()
	}
	p.metrics.txs.Set(float64(p.txs.len()))
	return err
}

// Reap returns the transactions that have come in since the last call, in order of
// arrival, for peers. Up to maxBytes, where that is not 0, but at least one.
func (p *Pool) Reap(maxBytes uint64) [][]byte { return p.txs.reap(maxBytes) }

// Txs returns the ordinary transactions in order of arrival.
func (p *Pool) Txs() [][]byte {
	p.txs.mu.Lock()
	defer p.txs.mu.Unlock()
	out := make([][]byte, 0, p.txs.list.Len())
	for elem := p.txs.list.Front(); elem != nil; elem = elem.Next() {
		out = append(out, elem.Value.([]byte))
	}
	return out
}

// Waiting reports whether ordinary transactions wait for a block. Bundles do not: what
// waits for a block of theirs is certificates.
func (p *Pool) Waiting() bool { return p.txs.len() > 0 }

// Arrived yields after an ordinary transaction has come in. It is meant for one reader.
func (p *Pool) Arrived() <-chan struct{} { return p.txs.arrived }
