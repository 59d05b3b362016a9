package lane

import (
	"crypto/ed25519"
	"fmt"

	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/order"
)

// flight is a batch that is signed and not durably certified.
type flight struct {
	batch     *order.SignedBatch
	id        order.BatchID
	committee *order.Committee
	key       ed25519.PrivateKey // of the owner in that committee
	layout    *shard.Layout
	coded     *shard.Coded // nil once certified

	charge uint64
	bytes  int // of the certificate, roughly

	since   uint64 // when it was signed
	said    []said // by member
	stake   uint64 // of those that attested
	refused uint64 // stake of those that never will

	certificate *order.Certificate // made, and handed out to be persisted if asked
	asked       bool
	durable     bool
}

// said is what a member answered.
type said struct {
	attestation *order.Attestation
	never       Reason // or 0
}

func newFlight(chainID string, b *order.SignedBatch, c *order.Committee, key ed25519.PrivateKey, p Payload) *flight {
	return &flight{
		batch: b, id: b.Header.ID(chainID), committee: c, key: key,
		layout: p.Layout, coded: p.Coded, charge: Charge(&b.Header), bytes: b.Header.Size(), said: make([]said, len(c.Members)),
	}
}

// attested notes the member's attestation, whose signature is not verified yet.
func (f *flight) attested(member int, a *order.Attestation) {
	s := &f.said[member]
	if s.attestation != nil {
		return
	}
	f.stake += f.committee.Members[member].Stake
	s.attestation = a
	if s.never != 0 {
		f.refused -= f.committee.Members[member].Stake
		s.never = 0
	}
}

// never notes that the member will not attest.
func (f *flight) never(member int, r Reason) {
	s := &f.said[member]
	if s.attestation != nil || s.never != 0 {
		return
	}
	s.never = r
	f.refused += f.committee.Members[member].Stake
}

// hopeless tells whether too many will not attest.
func (f *flight) hopeless() bool { return !f.committee.Quorum(f.committee.Stake - f.refused) }

// blocked tells whether there would be enough, had those who never will attested it.
func (f *flight) blocked() bool {
	return f.certificate == nil && f.refused > 0 && f.committee.Quorum(f.stake+f.refused)
}

// certify makes the certificate if there are enough attestations that verify. All are
// verified at once; only where that fails it is found out who lied.
func (f *flight) certify(v *Verifier) error {
	if f.certificate != nil || !f.committee.Quorum(f.stake) {
		return nil
	}
	c := &order.Certificate{Header: f.batch.Header}
	for i := range f.said {
		if a := f.said[i].attestation; a != nil {
			c.Attestations = append(c.Attestations, *a)
		}
	}
	c.Sign(v.chainID, f.key)
	err := v.Verify(f.committee, c)
	if err == nil {
		f.certificate, f.coded = c, nil
		return nil
	}
	liars := 0
	for i := range f.said {
		a := f.said[i].attestation
		if a == nil || f.committee.VerifyAttestation(v.chainID, f.batch.Header.Position, f.id, *a) == nil {
			continue
		}
		liars++
		f.said[i] = said{never: ReasonSignature}
		f.stake -= f.committee.Members[i].Stake
		f.refused += f.committee.Members[i].Stake
	}
	if liars == 0 {
		return fmt.Errorf("make certificate %s: %w", f.batch.Header.Position, err)
	}
	return f.certify(v) // of the others, if they are enough
}

// share returns what the member is offered.
func (f *flight) share(member int) (*shard.Share, error) {
	return f.coded.Share(f.layout.Range(f.committee.Members[member].Owner[:]))
}
