package lane

import (
	"github.com/ordo-network/ordo/order"
)

// Signed is a batch that somebody put a signature to: the lane's owner or, where
// Attester is set, a member that attested it.
type Signed struct {
	Core      order.BatchCore
	Attester  *order.Owner
	Clock     uint64 // of the attestation
	Signature [64]byte
}

// Equivocation proves that one member signed two batches for one position. The chain
// slashes for it. Both signatures have been verified.
type Equivocation struct {
	Offender      order.Owner
	First, Second Signed
}

// Equivocations returns what two verified certificates for one position with different
// batches prove: each member that attested both. That is more than a third of the stake.
func Equivocations(chainID string, a *order.Certificate, first *order.Committee, b *order.Certificate, second *order.Committee) []Equivocation {
	if a.Header.Position != b.Header.Position {
		return nil
	}
	coreA, coreB := a.Header.Core(chainID), b.Header.Core(chainID)
	if coreA == coreB {
		return nil
	}
	var out []Equivocation
	for i := range a.Attestations {
		x := &a.Attestations[i]
		who := first.Members[x.Member].Owner
		for j := range b.Attestations {
			y := &b.Attestations[j]
			if second.Members[y.Member].Owner == who {
				out = append(out, Equivocation{
					Offender: who,
					First:    Signed{Core: coreA, Attester: &who, Clock: x.Clock, Signature: x.Signature},
					Second:   Signed{Core: coreB, Attester: &who, Clock: y.Clock, Signature: y.Signature},
				})
			}
		}
	}
	return out
}
