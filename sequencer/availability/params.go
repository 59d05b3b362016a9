package availability

import (
	"fmt"

	availabilityv1 "github.com/ordo-network/ordo/sequencer/availability/v1"
)

// Params are the rules that governance may change.
type Params = availabilityv1.Params

// Bounds of the state, beside the parameters.
const (
	// MaxMessageClaims bounds the claims of one message.
	MaxMessageClaims = 64
	// MaxClaimBytes bounds the encoding of one claim, and so what it takes in the state.
	MaxClaimBytes = 20 << 10
	// MaxRelayerPending bounds the claims of one relayer about one rollup that wait,
	// MaxRollupPending those of all relayers.
	MaxRelayerPending = 64
	MaxRollupPending  = 256
	// relayerShare is the part of all that may wait that one relayer may have.
	relayerShare = 8
	// MaxRanges bounds the runs of blocks that are confirmed of one rollup.
	MaxRanges = 16
	// maxDoublings bounds the time for which a relayer is ignored. After so many claims
	// that were confirmed it is as if it had been once less.
	maxDoublings   = 10
	strikeDecaysAt = 64
	// maxExpired bounds the claims that one block drops for their age.
	maxExpired = 256

	maxBlocks  = 1 << 32
	maxPending = 1 << 16
)

// DefaultParams returns the rules of a new chain: at ten blocks a second a claim waits
// for half an hour, a relayer is ignored for a minute at first, and a gap is given up
// after an hour.
func DefaultParams() Params {
	return Params{ClaimBlocks: 18_000, IgnoreBlocks: 600, GapBlocks: 36_000, MaxPending: 8192}
}

// ValidateParams checks that the chain can run under the rules.
func ValidateParams(p Params) error {
	for _, b := range []struct {
		name       string
		have, high uint64
	}{
		{"claim_blocks", p.ClaimBlocks, maxBlocks},
		{"ignore_blocks", p.IgnoreBlocks, maxBlocks},
		{"gap_blocks", p.GapBlocks, maxBlocks},
		{"max_pending", p.MaxPending, maxPending},
	} {
		if b.have < 1 || b.have > b.high {
			return fmt.Errorf("%s is %d, want 1 to %d", b.name, b.have, b.high)
		}
	}
	return nil
}
