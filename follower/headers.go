package follower

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/cometbft/cometbft/light"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmttypes "github.com/cometbft/cometbft/types"

	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// headers verifies the headers of the chain: the part of a Verifier that is the same for
// every rollup.
type headers struct {
	trust  Trust
	period time.Duration
	drift  time.Duration

	last Checkpoint // last verified; zero until a trusted hash has been seen
	next uint64
}

func newHeaders(trust Trust, opts Options) headers {
	v := headers{trust: trust, last: trust.known, period: opts.TrustingPeriod, drift: opts.ClockDrift}
	if v.period <= 0 {
		v.period = DefaultTrustingPeriod
	}
	if v.drift <= 0 {
		v.drift = DefaultClockDrift
	}
	v.next = trust.height
	if !v.last.IsZero() {
		v.next++
	}
	return v
}

// Height returns the height of the block that comes next.
func (v *headers) Height() uint64 { return v.next }

// Checkpoint returns the last verified block, or what was trusted to begin with.
func (v *headers) Checkpoint() Checkpoint { return v.last }

// accept moves on to a header that was verified.
func (v *headers) accept(c Checkpoint) {
	v.last, v.next = c, c.Height()+1
}

// StartAt makes a height above the trust the next one. The block there is
// verified by the share of the trusted validators that signed it, as a light
// client does; where too few of them are left it is refused.
func (v *headers) StartAt(height uint64) error {
	if height < v.next || height > maxHeight {
		return fmt.Errorf("start at height %d, trusted is what comes from %d on: %w", height, v.next, ErrHeight)
	}
	if v.last.IsZero() && height > v.next {
		return fmt.Errorf("start at height %d: the trusted block %d itself has not been seen: %w", height, v.next, ErrHeight)
	}
	v.next = height
	return nil
}

// skip is Verifier.Skip.
func (v *headers) skip(ctx context.Context, height uint64, now func() time.Time, fetch Fetch) error {
	if v.last.IsZero() {
		if err := v.skipTo(ctx, v.trust.height, now, fetch); err != nil {
			return err
		}
	}
	if height < v.last.Height() {
		return fmt.Errorf("skip to height %d, trusted is %d: %w", height, v.last.Height(), ErrHeight)
	}
	targets := []uint64{height}
	for v.last.Height() < height {
		target := targets[len(targets)-1]
		err := v.skipTo(ctx, target, now, fetch)
		var tooFew light.ErrNewValSetCantBeTrusted
		switch {
		case err == nil:
			targets = targets[:len(targets)-1]
		case errors.As(err, &tooFew):
			// A neighbour never comes here: it is verified by the hash of its validators.
			targets = append(targets, v.last.Height()+(target-v.last.Height())/2)
		default:
			return err
		}
	}
	v.next = v.last.Height() + 1
	return nil
}

func (v *headers) skipTo(ctx context.Context, height uint64, now func() time.Time, fetch Fetch) error {
	rb, err := fetch(ctx, height)
	if err != nil {
		return fmt.Errorf("fetch header %d: %w", height, err)
	}
	lb, err := v.decode(rb, height)
	if err != nil {
		return err
	}
	if err := v.extend(lb, now()); err != nil {
		return err
	}
	v.accept(lb.checkpoint())
	return nil
}

// lightBlock is a header with what it takes to verify it.
type lightBlock struct {
	signed     *cmttypes.SignedHeader
	hash       [32]byte
	validators *validators
}

func (lb *lightBlock) checkpoint() Checkpoint {
	return Checkpoint{header: lb.signed.Header, validators: lb.validators}
}

// decode reads the header of a block and holds what it claims against what must
// be at the height. No signature has been verified afterwards.
func (v *headers) decode(rb *orderv1.RollupBlock, height uint64) (*lightBlock, error) {
	raw := rb.GetSignedHeader()
	if err := atMost("signed header", len(raw), maxSignedHeaderBytes); err != nil {
		return nil, err
	}
	var pb cmtproto.SignedHeader
	if err := pb.Unmarshal(raw); err != nil {
		return nil, fmt.Errorf("decode signed header: %w: %w", err, ErrMalformed)
	}
	if pb.Header == nil || pb.Commit == nil {
		return nil, fmt.Errorf("signed header lacks its header or its commit: %w", ErrMalformed)
	}
	signed, err := cmttypes.SignedHeaderFromProto(&pb)
	if err != nil {
		return nil, fmt.Errorf("decode signed header: %w: %w", err, ErrMalformed)
	}
	if signed.ChainID != v.trust.chainID {
		return nil, fmt.Errorf("header is of chain %q, want %q: %w", signed.ChainID, v.trust.chainID, ErrChainID)
	}
	if uint64(signed.Height) != height { // positive, by ValidateBasic
		return nil, fmt.Errorf("header has height %d, want %d: %w", signed.Height, height, ErrHeight)
	}
	if signed.Commit.Height != signed.Height {
		return nil, fmt.Errorf("commit is for height %d, header has %d: %w", signed.Commit.Height, signed.Height, ErrCommit)
	}
	lb := &lightBlock{signed: signed}
	copy(lb.hash[:], signed.Hash())
	if !bytes.Equal(lb.hash[:], signed.Commit.BlockID.Hash) {
		return nil, fmt.Errorf("header of height %d hashes to %X, its commit signs %X: %w", height, lb.hash, signed.Commit.BlockID.Hash, ErrCommit)
	}
	if lb.validators, err = v.validatorsOf(rb, signed.Header); err != nil {
		return nil, fmt.Errorf("validators of height %d: %w", height, err)
	}
	if got, want := len(signed.Commit.Signatures), lb.validators.set.Size(); got != want {
		return nil, fmt.Errorf("commit of height %d has %d signatures for %d validators: %w", height, got, want, ErrCommit)
	}
	return lb, nil
}

// validatorsOf returns the set that the header names: the known one where it is
// that, or the one that the block carries.
func (v *headers) validatorsOf(rb *orderv1.RollupBlock, header *cmttypes.Header) (*validators, error) {
	if !v.last.IsZero() {
		if next := v.last.header.NextValidatorsHash; header.Height == v.last.header.Height+1 && !bytes.Equal(next, header.ValidatorsHash) {
			return nil, fmt.Errorf("header names set %X, the block before %X: %w", header.ValidatorsHash, next, ErrValidators)
		}
	}
	return v.setOf(header, rb.GetValidators())
}

// setOf returns the set that the header names: the known one where it is that, or the one
// that came with it.
func (v *headers) setOf(header *cmttypes.Header, raw []byte) (*validators, error) {
	if !v.last.IsZero() && bytes.Equal(header.ValidatorsHash, v.last.validators.hash) {
		return v.last.validators, nil
	}
	if len(raw) == 0 {
		return nil, fmt.Errorf("header names set %X, which should come with it: %w", header.ValidatorsHash, ErrValidators)
	}
	vals, err := decodeValidators(raw)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(vals.hash, header.ValidatorsHash) {
		return nil, fmt.Errorf("header names set %X, with it came %X: %w", header.ValidatorsHash, vals.hash, ErrValidators)
	}
	return vals, nil
}

// extend verifies the commit from what is trusted. What the light package checks
// before signatures is looked at here first, so that each reason has its name.
func (v *headers) extend(lb *lightBlock, now time.Time) error {
	h := lb.signed.Header
	if v.last.IsZero() {
		if lb.hash != v.trust.hash {
			return fmt.Errorf("block %d has hash %X, trusted is %X: %w", h.Height, lb.hash, v.trust.hash, ErrHeader)
		}
		if err := lb.validators.set.VerifyCommitLight(v.trust.chainID, lb.signed.Commit.BlockID, h.Height, lb.signed.Commit); err != nil {
			return fmt.Errorf("commit of height %d: %w: %w", h.Height, err, ErrCommit)
		}
		return v.notFuture(h, now)
	}
	trusted := &cmttypes.SignedHeader{Header: v.last.header}
	if light.HeaderExpired(trusted, v.period, now) {
		return v.expired()
	}
	if !h.Time.After(trusted.Time) {
		return fmt.Errorf("block %d has time %s, not after %s of block %d: %w", h.Height,
			h.Time.UTC().Format(time.RFC3339Nano), trusted.Time.UTC().Format(time.RFC3339Nano), trusted.Height, ErrHeader)
	}
	// The clock is held against the header last: then a block from the future is one
	// that the validators really signed, and it is the clock that is in doubt.
	at := now
	if h.Time.After(at) {
		at = h.Time
	}
	err := light.Verify(trusted, v.last.validators.set, lb.signed, lb.validators.set, math.MaxInt64, at, v.drift, light.DefaultTrustLevel)
	if err != nil {
		return fmt.Errorf("commit of height %d: %w: %w", h.Height, err, ErrCommit)
	}
	return v.notFuture(h, now)
}

func (v *headers) expired() error {
	return fmt.Errorf("block %d of %s is older than the trusting period of %s; trust a newer height and hash: %w",
		v.last.Height(), v.last.header.Time.UTC().Format(time.RFC3339), v.period, ErrExpired)
}

func (v *headers) notFuture(h *cmttypes.Header, now time.Time) error {
	if h.Time.Before(now.Add(v.drift)) {
		return nil
	}
	return fmt.Errorf("block %d has time %s, the local clock says %s and may be off by %s: %w",
		h.Height, h.Time.UTC().Format(time.RFC3339Nano), now.UTC().Format(time.RFC3339Nano), v.drift, ErrFuture)
}
