package api

import (
	"crypto/sha256"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
	"github.com/ordo-network/ordo/sequencer/ordering"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
)

// served is what one height serves without the legs' data. It never changes once it is
// made.
type served struct {
	height         uint64
	hash           []byte
	signedHeader   []byte
	validators     []byte
	validatorsHash string
	header         []byte // transaction 0
	headerProof    *orderv1.MerkleProof
	order          *order.Block
	docs           []*orderv1.BundleDoc // of the bundles; nil where one has a single leg
	dropped        []ordering.Drop
	claims         []*v1.RecordedClaim
	executed       map[[sha256.Size]byte]executed    // ordinary transactions
	batches        map[order.BatchID]order.BatchCore // that the block carries
	size           int                               // in memory, about
}

func (s *served) bytes() int { return s.size }

// rollup returns what the block holds for the rollup, but for validators and the legs'
// data, and the legs' records.
func (s *served) rollup(id order.RollupID) (*orderv1.RollupBlock, []order.LegRecord) {
	records, proof := s.order.Rollup(id)
	b := &orderv1.RollupBlock{
		RollupId: id[:], SignedHeader: s.signedHeader,
		OrderingHeader: s.header, OrderingHeaderProof: s.headerProof,
		NamespaceProof: proof, Legs: make([]*orderv1.RollupLeg, len(records)),
	}
	for i, r := range records {
		b.Legs[i] = &orderv1.RollupLeg{Record: r.Proto(), Bundle: s.docs[r.BundleIndex]}
	}
	return b, records
}
