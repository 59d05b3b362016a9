package order

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
)

var (
	// ErrCommittee is returned for members that no committee can be made of.
	ErrCommittee = errors.New("not a valid committee")
	// ErrMember is returned where the committee does not have the member, or knows no
	// attestation key of it.
	ErrMember = errors.New("not a member that can attest")
	// ErrQuorum is returned for attestations of two thirds of the stake or less.
	ErrQuorum = errors.New("attestations of too little stake")
	// ErrEpoch is returned for a batch of another epoch than is asked about.
	ErrEpoch = errors.New("batch is of another epoch")
)

// Member is a validator in a committee.
type Member struct {
	Owner Owner
	// Key is the member's attestation key, ed25519. It is zero where the validator has
	// registered none: it counts as stake that never attests.
	Key   [ed25519.PublicKeySize]byte
	Stake uint64
}

// Committee is the validator set of one epoch as batches see it. It does not change.
type Committee struct {
	Epoch   uint64
	Members []Member // by owner
	Stake   uint64   // of all
}

// NewCommittee makes a committee of the members, in any order. Errors: ErrCommittee.
func NewCommittee(epoch uint64, members []Member) (*Committee, error) {
	if len(members) == 0 || len(members) > MaxMembers {
		return nil, fmt.Errorf("%d members, want 1 to %d: %w", len(members), MaxMembers, ErrCommittee)
	}
	c := &Committee{Epoch: epoch, Members: slices.Clone(members)}
	slices.SortFunc(c.Members, func(a, b Member) int { return a.Owner.Compare(b.Owner) })
	keys := make(map[[ed25519.PublicKeySize]byte]Owner, len(members))
	for i, m := range c.Members {
		if i > 0 && c.Members[i-1].Owner == m.Owner {
			return nil, fmt.Errorf("member %s stands twice: %w", m.Owner, ErrCommittee)
		}
		if m.Stake == 0 {
			return nil, fmt.Errorf("member %s has no stake: %w", m.Owner, ErrCommittee)
		}
		if m.Key != ([ed25519.PublicKeySize]byte{}) {
			if other, twice := keys[m.Key]; twice {
				return nil, fmt.Errorf("members %s and %s have one key: %w", other, m.Owner, ErrCommittee)
			}
			keys[m.Key] = m.Owner
		}
		if c.Stake += m.Stake; m.Stake > math.MaxInt64 || c.Stake > math.MaxInt64 {
			return nil, fmt.Errorf("stakes add up to more than %d: %w", math.MaxInt64, ErrCommittee)
		}
	}
	return c, nil
}

// Index returns the member's place in the committee.
func (c *Committee) Index(o Owner) (int, bool) {
	return slices.BinarySearchFunc(c.Members, o, func(m Member, o Owner) int { return bytes.Compare(m.Owner[:], o[:]) })
}

// Quorum reports whether the stake is more than two thirds of all.
func (c *Committee) Quorum(stake uint64) bool { return moreThan(stake, 2, c.Stake) }

// moreThan reports whether part is more than thirds/3 of all.
func moreThan(part, thirds, all uint64) bool {
	hi, lo := bits.Mul64(part, 3)
	wantHi, want := bits.Mul64(all, thirds)
	return hi > wantHi || hi == wantHi && lo > want
}

// key returns the attestation key of member i. Errors: ErrMember.
func (c *Committee) key(i int) (cmted25519.PubKey, error) {
	if i < 0 || i >= len(c.Members) {
		return nil, fmt.Errorf("member %d of %d: %w", i, len(c.Members), ErrMember)
	}
	m := &c.Members[i]
	if m.Key == ([ed25519.PublicKeySize]byte{}) {
		return nil, fmt.Errorf("validator %s has registered no attestation key: %w", m.Owner, ErrMember)
	}
	return m.Key[:], nil
}

// ownerKey returns the key of the owner of a batch's lane.
func (c *Committee) ownerKey(h *BatchHeader) (cmted25519.PubKey, error) {
	if h.Epoch != c.Epoch {
		return nil, fmt.Errorf("batch %s names epoch %d, want %d: %w", h.Position, h.Epoch, c.Epoch, ErrEpoch)
	}
	i, ok := c.Index(h.Owner)
	if !ok {
		return nil, fmt.Errorf("lane owner %s in epoch %d: %w", h.Owner, c.Epoch, ErrMember)
	}
	return c.key(i)
}

// VerifyBatch checks the owner's signature of a batch header and returns the ID.
// Errors: ErrEpoch, ErrMember, ErrSignature.
func (c *Committee) VerifyBatch(chainID string, b *SignedBatch) (BatchID, error) {
	key, err := c.ownerKey(&b.Header)
	if err != nil {
		return BatchID{}, err
	}
	core := b.Header.Core(chainID)
	if !key.VerifySignature(core.SignBytes(), b.Signature[:]) {
		return BatchID{}, fmt.Errorf("batch %s: owner's signature: %w", b.Header.Position, ErrSignature)
	}
	return core.ID(), nil
}

// VerifyAttestation checks one attestation of the batch with that ID at that position.
// Errors: ErrMember, ErrSignature.
func (c *Committee) VerifyAttestation(chainID string, p Position, id BatchID, a Attestation) error {
	key, err := c.key(int(a.Member))
	if err != nil {
		return err
	}
	if !key.VerifySignature(AttestationSignBytes(chainID, p, id, a.Clock), a.Signature[:]) {
		return fmt.Errorf("batch %s: attestation of %s: %w", p, c.Members[a.Member].Owner, ErrSignature)
	}
	return nil
}

// Verify checks that the certificate is the owner's and that more than two thirds of
// the stake attest. Payers' signatures it does not check: attesters did.
// Errors: ErrEpoch, ErrMember, ErrQuorum, ErrSignature.
func (c *Committee) Verify(chainID string, cert *Certificate) error {
	h := &cert.Header
	owner, err := c.ownerKey(h)
	if err != nil {
		return err
	}
	id := h.ID(chainID)
	equation := cmted25519.NewBatchVerifier()
	if err := equation.Add(owner, cert.SignBytes(id), cert.Signature[:]); err != nil {
		return fmt.Errorf("certificate %s: owner's signature: %w", h.Position, ErrSignature)
	}
	var stake uint64
	var doc []byte
	for i := range cert.Attestations {
		a := &cert.Attestations[i]
		key, err := c.key(int(a.Member))
		if err != nil {
			return fmt.Errorf("certificate %s: %w", h.Position, err)
		}
		if i > 0 && a.Member <= cert.Attestations[i-1].Member {
			return fmt.Errorf("certificate %s: member %d out of order: %w", h.Position, a.Member, ErrInvalid)
		}
		stake += c.Members[a.Member].Stake
		doc = appendAttestationSignBytes(doc[:0], chainID, h.Position, id, a.Clock)
		if err := equation.Add(key, doc, a.Signature[:]); err != nil {
			return fmt.Errorf("certificate %s: attestation of member %d: %w", h.Position, a.Member, ErrSignature)
		}
	}
	if !c.Quorum(stake) {
		return fmt.Errorf("certificate %s: stake %d of %d, want more than two thirds: %w", h.Position, stake, c.Stake, ErrQuorum)
	}
	if ok, each := equation.Verify(); !ok {
		return fmt.Errorf("certificate %s: signature %d of %d: %w", h.Position, slices.Index(each, false), len(each), ErrSignature)
	}
	return nil
}

// OrderTime returns the lower median of the attestations' clocks, each weighed by
// its member's stake: the least clock at which members of at least half of the
// attesting stake had attested. The certificate has been verified.
func (c *Committee) OrderTime(cert *Certificate) uint64 {
	type vote struct{ clock, stake uint64 }
	votes := make([]vote, 0, len(cert.Attestations))
	var all uint64
	for i := range cert.Attestations {
		a := &cert.Attestations[i]
		if int(a.Member) >= len(c.Members) {
			continue
		}
		stake := c.Members[a.Member].Stake
		votes = append(votes, vote{a.Clock, stake})
		all += stake
	}
	slices.SortFunc(votes, func(a, b vote) int { return cmp.Compare(a.clock, b.clock) })
	var sum uint64
	for _, v := range votes {
		if sum += v.stake; sum >= all-sum {
			return v.clock
		}
	}
	return 0
}
