package ordering_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"math"

	"github.com/stretchr/testify/require"

	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

const chainID = "ordo-test"

func key(i int) ed25519.PrivateKey {
	seed := sha256.Sum256(fmt.Append(nil, i))
	return ed25519.NewKeyFromSeed(seed[:])
}

func bundle(payer int, expiry uint64, data string) *order.Bundle {
	b := &order.Bundle{Expiry: expiry, FeeLimit: math.MaxUint64, Legs: []order.Leg{{
		RollupID: order.NewRollupID("alpha"), Transactions: [][]byte{[]byte(data)},
	}}}
	b.Sign(chainID, order.Owner{1}, key(payer))
	return b
}

// group is a committee of four members with equal stake, and its keys.
type group struct {
	*order.Committee
	keys []ed25519.PrivateKey // by place
}

func newGroup(t require.TestingT, epoch uint64) *group {
	g := &group{}
	var members []order.Member
	for i := range 4 {
		g.keys = append(g.keys, key(100+i))
		members = append(members, order.Member{Owner: order.Owner{byte(i + 1)}, Key: [32]byte(g.keys[i].Public().(ed25519.PublicKey)), Stake: 10})
	}
	var err error
	g.Committee, err = order.NewCommittee(epoch, members)
	require.NoError(t, err)
	return g
}

// certify makes the certificate of member i's batch, attested by all at the clock.
func (g *group) certify(i int, at order.Mark, clock uint64, bundles ...*order.Bundle) *order.Certificate {
	c := &order.Certificate{Header: order.BatchHeader{
		Position: order.Position{Owner: g.Members[i].Owner, Mark: at}, Epoch: g.Epoch,
		Root:   sha256.Sum256(fmt.Appendf(nil, "%d %s", i, at)),
		Length: uint64((&order.Batch{Bundles: bundles}).Size()),
	}}
	for _, b := range bundles {
		c.Header.Bundles = append(c.Header.Bundles, b.Summary())
	}
	g.attest(c, clock)
	return c
}

// attest signs the certificate for all members, as after a change of its header.
func (g *group) attest(c *order.Certificate, clock uint64) {
	c.Attestations = nil
	id := c.Header.ID(chainID)
	for i, key := range g.keys {
		a := order.Attestation{Member: uint32(i), Clock: clock}
		copy(a.Signature[:], ed25519.Sign(key, order.AttestationSignBytes(chainID, c.Header.Position, id, clock)))
		c.Attestations = append(c.Attestations, a)
	}
	i, _ := g.Index(c.Header.Owner)
	c.Sign(chainID, g.keys[i])
}

func mark(session, sequence uint64) order.Mark {
	return order.Mark{Session: session, Sequence: sequence}
}

// rules are those of block 10 where every payer has that balance.
func (g *group) rules(balance uint64) *ordering.Rules {
	p := ordering.DefaultParams()
	return &ordering.Rules{
		ChainID: chainID, Height: 10, Params: p, Verify: lane.NewVerifier(chainID, 10).Verify,
		Balance: func(order.Payer) uint64 { return balance },
		Fate:    ordering.NewWindow().Fate,
		Lane:    func(order.Owner) order.LaneState { return order.LaneState{} },
		Moved:   func(order.Owner) bool { return false },
		Committee: func(epoch uint64) *order.Committee {
			if epoch == g.Epoch {
				return g.Committee
			}
			return nil
		},
		Limits: order.BlockLimits{
			Certificates: int(p.MaxBlockCertificates), CertificateBytes: int(p.MaxBlockCertificateBytes), BatchBytes: p.MaxBlockBytes,
		},
	}
}
