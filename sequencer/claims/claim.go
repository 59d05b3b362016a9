package claims

import (
	"context"
	"errors"
	"fmt"

	"github.com/ordo-network/ordo/da"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
)

// Bounds that the chain puts on claims.
const (
	// MaxMessageClaims bounds the claims of one message.
	MaxMessageClaims = 64
	// MaxClaimBytes bounds the encoding of one claim.
	MaxClaimBytes = 16 << 10
	// MaxLayerName bounds a layer's name: lower case letters, digits and hyphens.
	MaxLayerName = 16
)

// Claimer records claims on the sequencer chain. package account has one.
type Claimer interface {
	// Claim records the claims, in one transaction, and returns the height of the block
	// that has it once that is final.
	// Errors: da.ErrRejected where the chain refuses what was claimed, da.ErrTooLarge where
	// it does not fit into one transaction, da.ErrUnavailable otherwise: then it may
	// have been recorded, or not.
	Claim(ctx context.Context, claims []da.Claim) (height uint64, err error)
}

// Recorded is a claim as the chain has it.
type Recorded struct {
	Height  uint64 // of the block of the sequencer chain
	Relayer string // account address
	Claim   da.Claim
}

// ErrMalformed is returned for a claim that breaks the chain's bounds.
var ErrMalformed = errors.New("malformed claim")

// Validate checks what the chain asks of every claim, but for its encoded size.
// Errors: ErrMalformed.
func Validate(c da.Claim) error {
	switch {
	case !validLayer(c.Layer):
		return fmt.Errorf("layer is %q, want 1 to %d of a-z, 0-9 and -: %w", c.Layer, MaxLayerName, ErrMalformed)
	case (c.From == 0) != (c.To == 0) || c.From > c.To:
		return fmt.Errorf("blocks %d to %d, want the first and the last, or 0 and 0: %w", c.From, c.To, ErrMalformed)
	case len(c.Parts) == 0 || len(c.Parts) > da.MaxClaimParts:
		return fmt.Errorf("%d parts, want 1 to %d: %w", len(c.Parts), da.MaxClaimParts, ErrMalformed)
	}
	for i, p := range c.Parts {
		if len(p.Commitment) > da.MaxCommitmentBytes {
			return fmt.Errorf("part %d has a commitment of %d bytes, at most %d: %w", i, len(p.Commitment), da.MaxCommitmentBytes, ErrMalformed)
		}
	}
	return nil
}

func validLayer(name string) bool {
	if len(name) == 0 || len(name) > MaxLayerName {
		return false
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

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
	return c, Validate(c)
}

// ToProto returns the claim as a message.
func ToProto(c da.Claim) *v1.Claim {
	m := &v1.Claim{RollupId: c.Rollup[:], Layer: c.Layer, From: c.From, To: c.To}
	for _, p := range c.Parts {
		m.Parts = append(m.Parts, &v1.ClaimPart{DaHeight: p.Height, Commitment: p.Commitment, BlobId: p.ID[:]})
	}
	return m
}
