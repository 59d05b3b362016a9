package dispersal

import (
	"encoding/binary"
	"sync"
	"testing"

	"github.com/ordo-network/ordo/order"
)

// memory is a source of bundles in memory.
type memory struct {
	lane   order.Owner
	mu     sync.Mutex
	all    []waiting
	handed int
	ready  chan struct{}
	limit  int
}

type waiting struct {
	*order.Bundle
	id            order.BundleID
	bytes, header int
}

func newMemory(lane order.Owner) *memory {
	return &memory{lane: lane, ready: make(chan struct{}, 1), limit: 1 << 30}
}

// submit signs the bundles for the lane and takes them in.
func (m *memory) submit(bundles ...*order.Bundle) bool {
	var all []waiting
	for _, given := range bundles {
		b := new(order.Bundle)
		*b = *given
		b.Sign(chainID, m.lane, testKey(100, 0))
		s := b.Summary()
		all = append(all, waiting{b, s.ID(chainID), order.BundleSizeInBatch(b.Size()), order.SummarySizeInHeader(s.EncodedSize())})
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.all)-m.handed+len(bundles) > m.limit {
		return false
	}
	m.all = append(m.all, all...)
	nudge(m.ready)
	return true
}

func (m *memory) Take(maxBytes, maxHeader int) []order.Summarized {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []order.Summarized
	for m.handed < len(m.all) {
		b := m.all[m.handed]
		maxBytes, maxHeader = maxBytes-b.bytes, maxHeader-b.header
		if maxBytes < 0 || maxHeader < 0 {
			break
		}
		m.handed++
		out = append(out, order.Summarized{Bundle: b.Bundle, Summary: b.Summary()})
	}
	return out
}

func (m *memory) Ready() <-chan struct{} { return m.ready }

func (m *memory) Rewind() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.handed = 0
	nudge(m.ready)
}

// ordered drops what the chain has ordered.
func (m *memory) ordered(ids map[order.BundleID]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	kept := m.all[:0:0]
	handed := m.handed
	for i, b := range m.all {
		if ids[b.id] {
			if i < m.handed {
				handed--
			}
			continue
		}
		kept = append(kept, b)
	}
	m.all, m.handed = kept, handed
}

var bundleNumber struct {
	sync.Mutex
	n uint64
}

// bundle makes a bundle of one transaction of that size, unlike every other. It is for
// the lane of the first validator until it is signed for another.
func bundle(t testing.TB, size int) *order.Bundle {
	t.Helper()
	bundleNumber.Lock()
	bundleNumber.n++
	n := bundleNumber.n
	bundleNumber.Unlock()
	tx := make([]byte, max(8, size))
	binary.BigEndian.PutUint64(tx, n)
	b := &order.Bundle{Expiry: 1000, FeeLimit: 1, Legs: []order.Leg{{RollupID: order.RollupID{1}, Transactions: [][]byte{tx}}}}
	b.Sign(chainID, order.Owner{1}, testKey(100, 0))
	return b
}

func bundles(t testing.TB, n, size int) []*order.Bundle {
	out := make([]*order.Bundle, n)
	for i := range out {
		out[i] = bundle(t, size)
	}
	return out
}
