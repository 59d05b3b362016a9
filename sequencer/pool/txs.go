package pool

import (
	"container/list"
	"crypto/sha256"
	"fmt"
)

// txQueue holds ordinary transactions in order of arrival.
type txQueue struct {
	order *list.List // of []byte
	byKey map[[32]byte]*list.Element
	bytes int
}

func newTxQueue() txQueue {
	return txQueue{order: list.New(), byKey: make(map[[32]byte]*list.Element)}
}

func (q *txQueue) len() int { return q.order.Len() }

func (q *txQueue) push(raw []byte) {
	q.byKey[sha256.Sum256(raw)] = q.order.PushBack(raw)
	q.bytes += len(raw)
}

func (q *txQueue) drop(key [32]byte) {
	if elem, ok := q.byKey[key]; ok {
		q.bytes -= len(q.order.Remove(elem).([]byte))
		delete(q.byKey, key)
	}
}

func (q *txQueue) remove(txs [][]byte) {
	for _, raw := range txs {
		q.drop(sha256.Sum256(raw))
	}
}

// insertTx takes in an ordinary transaction.
func (p *Pool) insertTx(raw []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	if _, ok := p.txs.byKey[sha256.Sum256(raw)]; ok {
		return nil
	}
	if p.txs.len() >= p.limits.Txs || p.txs.bytes+len(raw) > p.limits.TxBytes {
		return fmt.Errorf("%d transactions of %d bytes wait: %w", p.txs.len(), p.txs.bytes, ErrFull)
	}
	if err := p.chain.CheckTx(raw); err != nil {
		return err
	}
	p.txs.push(raw)
	p.announce(raw)
	p.signal()
	return nil
}

// recheck removes the transactions that do not pass on the new state.
func (p *Pool) recheck() {
	p.chain.Recheck()
	var next *list.Element
	for elem := p.txs.order.Front(); elem != nil; elem = next {
		next = elem.Next()
		raw := elem.Value.([]byte)
		if err := p.chain.CheckTx(raw); err != nil {
			p.log.Debug("transaction no longer passes", "error", err)
			p.txs.drop(sha256.Sum256(raw))
		}
	}
}

// Txs returns the ordinary transactions in order of arrival.
func (p *Pool) Txs() [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([][]byte, 0, p.txs.len())
	for elem := p.txs.order.Front(); elem != nil; elem = elem.Next() {
		out = append(out, elem.Value.([]byte))
	}
	return out
}
