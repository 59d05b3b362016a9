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
	mu    sync.Mutex
	list  *list.List // of []byte
	byKey map[[sha256.Size]byte]*list.Element
	bytes int

	count atomic.Int64 // len(byKey), without the lock
}

func newTxQueue() *txQueue {
	return &txQueue{list: list.New(), byKey: make(map[[sha256.Size]byte]*list.Element)}
}

func (q *txQueue) len() int { return int(q.count.Load()) }

// add checks a transaction and appends it, unless it waits already.
func (q *txQueue) add(raw []byte, limits Limits, check func([]byte) error) (added bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	key := sha256.Sum256(raw)
	if _, ok := q.byKey[key]; ok {
		return false, nil
	}
	if q.list.Len() >= limits.Txs || q.bytes+len(raw) > limits.TxBytes {
		return false, fmt.Errorf("%d transactions of %d bytes wait: %w", q.list.Len(), q.bytes, ErrFull)
	}
	if err := check(raw); err != nil {
		return false, err
	}
	q.byKey[key] = q.list.PushBack(raw)
	q.bytes += len(raw)
	q.count.Add(1)
	return true, nil
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

// insertTx takes in an ordinary transaction.
func (p *Pool) insertTx(raw []byte) error {
	added, err := p.txs.add(raw, p.limits, p.chain.CheckTx)
	if err != nil || !added {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.announce(raw)
	p.signal()
	return nil
}

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
