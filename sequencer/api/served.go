package api

import (
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

// served is all that one height serves. It never changes once it is made.
type served struct {
	height         uint64
	hash           []byte
	signedHeader   []byte
	validators     []byte
	validatorsHash string
	header         []byte // transaction 0
	headerProof    *orderv1.MerkleProof
	order          *order.Block
	dropped        []ordering.Drop
	size           int // in memory, about
}

// rollup returns what the block holds for the rollup. It comes without the
// validators.
func (s *served) rollup(id order.RollupID) (*orderv1.RollupBlock, error) {
	legs, proof, err := s.order.Rollup(id)
	if err != nil {
		return nil, err
	}
	return &orderv1.RollupBlock{
		RollupId: id[:], SignedHeader: s.signedHeader,
		OrderingHeader: s.header, OrderingHeaderProof: s.headerProof,
		NamespaceProof: proof, Legs: legs,
	}, nil
}

// recent holds the heights that were asked for last.
type recent struct {
	mu       sync.Mutex
	maxBytes int
	bytes    int
	heights  *simplelru.LRU[uint64, *served]
}

func newRecent(heights, maxBytes int) *recent {
	r := &recent{maxBytes: maxBytes}
	r.heights, _ = simplelru.NewLRU(heights, func(_ uint64, s *served) { r.bytes -= s.size }) // fails for sizes below 1 only
	return r
}

func (r *recent) get(height uint64) *served {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, _ := r.heights.Get(height)
	return s
}

// put adds a height. The newest stays whatever its size.
func (r *recent) put(s *served) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.heights.Contains(s.height) {
		return
	}
	r.heights.Add(s.height, s)
	r.bytes += s.size
	for r.bytes > r.maxBytes && r.heights.Len() > 1 {
		r.heights.RemoveOldest()
	}
}
