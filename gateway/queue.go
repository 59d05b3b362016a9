package gateway

import (
	"cmp"
	"container/list"
	"slices"
)

// insert adds a transaction to its sender's.
func (c *core) insert(e *entry) {
	s := c.senders[e.Sender]
	if s == nil {
		s = &sender{name: e.Sender}
		c.senders[e.Sender] = s
	}
	e.Sender = s.name // one string for all
	i, _ := s.find(e.Nonce)
	s.txs = slices.Insert(s.txs, i, e)
	c.txs[e.Hash] = e
	c.bytes += len(e.Raw)
	c.place(s, c.ready)
}

// find returns the index of the nonce, or where it would stand.
func (s *sender) find(nonce uint64) (int, bool) {
	return slices.BinarySearchFunc(s.txs, nonce, func(e *entry, n uint64) int { return cmp.Compare(e.Nonce, n) })
}

// place puts the sender into the list, out of the other one; into none where
// nothing of it is queued.
func (c *core) place(s *sender, l *list.List) {
	if len(s.txs) == s.inFlight {
		l = nil
	}
	if s.list == l {
		return
	}
	if s.list != nil {
		s.list.Remove(s.elem)
	}
	s.list, s.elem = l, nil
	if l != nil {
		s.elem = l.PushBack(s)
	}
}

func (c *core) assign(e *entry, b *bundle) {
	e.bundle = b
	s := c.senders[e.Sender]
	s.inFlight++
	c.place(s, c.ready)
	c.touch(e.Hash)
}

// requeue puts a transaction of a bundle that is no longer live back.
func (c *core) requeue(e *entry) {
	s := c.senders[e.Sender]
	e.bundle = nil
	s.inFlight--
	c.place(s, c.ready)
	c.touch(e.Hash)
}

// gap returns the index of the first transaction that stands behind a nonce gap.
func (s *sender) gap(next uint64) int {
	for i, e := range s.txs {
		if e.Nonce < next {
			continue
		}
		if e.Nonce > next {
			return i
		}
		next++
	}
	return len(s.txs)
}

func (c *core) nextNonce(s *sender) (uint64, error) {
	if s.nextView != c.views {
		next, err := c.chain.NextNonce(s.name)
		if err != nil {
			return 0, err
		}
		s.next, s.nextView = next, c.views
	}
	return s.next, nil
}
