package claims

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/ordo-network/ordo/da"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
)

// Claimer records claims on the sequencer chain. package account has one.
type Claimer interface {
	// Claim records the claims, in one transaction, and returns the height of the block
	// that has it once that is final.
	// Errors: da.ErrRejected where the chain refuses what was claimed, da.ErrTooLarge where
	// it does not fit into one transaction, da.ErrUnavailable otherwise: then it may
	// have been recorded, or not, but where it is ErrNoRoom too: then it was not.
	Claim(ctx context.Context, claims []da.Claim) (height uint64, err error)
}

// Recorded is a claim as the chain has it.
type Recorded struct {
	Height  uint64 // of the block of the sequencer chain
	Relayer string // account address
	Claim   da.Claim
}

// ErrNoRoom is returned where the chain lets no more claims wait about a rollup that is
// among those claimed. It takes them later.
var ErrNoRoom = errors.New("too many claims about the rollup wait on the sequencer chain")

// ErrMalformed is returned for a claim that the chain cannot have taken.
var ErrMalformed = errors.New("malformed claim")

// FromProto returns the claim of a message. Errors: ErrMalformed.
func FromProto(m *v1.Claim) (da.Claim, error) {
	c := da.Claim{Layer: m.GetLayer(), From: m.GetFrom(), To: m.GetTo()}
	if len(m.GetRollupId()) != len(c.Rollup) {
		return c, fmt.Errorf("rollup ID has %d bytes, want %d: %w", len(m.GetRollupId()), len(c.Rollup), ErrMalformed)
	}
	copy(c.Rollup[:], m.RollupId)
	if len(m.GetParts()) > da.MaxClaimParts {
		return c, fmt.Errorf("%d parts, want 1 to %d: %w", len(m.Parts), da.MaxClaimParts, ErrMalformed)
	}
	for i, p := range m.GetParts() {
		part := da.Part{Ref: da.Ref{Height: p.GetDaHeight(), Commitment: p.GetCommitment()}}
		if len(p.GetBlobId()) != len(part.ID) {
			return c, fmt.Errorf("part %d has a blob ID of %d bytes, want %d: %w", i, len(p.GetBlobId()), len(part.ID), ErrMalformed)
		}
		copy(part.ID[:], p.BlobId)
		c.Parts = append(c.Parts, part)
	}
	return c, nil
}

// Decode returns the claim of an encoded message. Errors: ErrMalformed.
func Decode(raw []byte) (da.Claim, error) {
	m := new(v1.Claim)
	if err := proto.Unmarshal(raw, m); err != nil {
		return da.Claim{}, fmt.Errorf("%w: %w", err, ErrMalformed)
	}
	return FromProto(m)
}

// ToProto returns the claim as a message.
func ToProto(c da.Claim) *v1.Claim {
	m := &v1.Claim{RollupId: c.Rollup[:], Layer: c.Layer, From: c.From, To: c.To}
	for _, p := range c.Parts {
		m.Parts = append(m.Parts, &v1.ClaimPart{DaHeight: p.Height, Commitment: p.Commitment, BlobId: p.ID[:]})
	}
	return m
}
