package ordering

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"

	sdk "github.com/cosmos/cosmos-sdk/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"

	"github.com/ordo-network/ordo/order"
	orderingv1 "github.com/ordo-network/ordo/sequencer/ordering/v1"
)

var (
	// ErrEvidence is returned for two signatures that prove nothing.
	ErrEvidence = errors.New("not evidence of equivocation")
	// ErrPunished is returned where nothing is left to punish: the validator was
	// tombstoned before, or has no stake bound any more.
	ErrPunished = errors.New("validator cannot be punished any more")
)

const (
	equivocationEvent = "equivocation"
	// verifyGas is what the check of one signature costs, as in an ordinary transaction.
	verifyGas = 1000
)

// statement is what one member has put its signature to.
type statement struct {
	member   order.Owner
	stake    uint64 // in the batch's epoch
	attested bool   // as an attester, not as the lane's owner
	core     order.BatchCore
}

// punish checks the evidence and punishes the validator: once in its life, since it
// is tombstoned. Errors: ErrEvidence, ErrNoCommittee, ErrPunished.
func (k Keeper) punish(ctx sdk.Context, first, second *orderingv1.Signed) error {
	s, err := k.conflict(ctx, first, second)
	if err != nil {
		return err
	}
	v, err := k.staking.GetValidator(ctx, s.member[:])
	switch {
	case errors.Is(err, stakingtypes.ErrNoValidatorFound):
		return fmt.Errorf("validator of %s is gone: %w", s.member, ErrPunished)
	case err != nil:
		return fmt.Errorf("read validator: %w", err)
	case v.IsUnbonded():
		return fmt.Errorf("validator of %s is unbonded: %w", s.member, ErrPunished)
	}
	addr, err := v.GetConsAddr()
	if err != nil {
		return fmt.Errorf("validator of %s: %w", s.member, err)
	}
	if k.slashing.IsTombstoned(ctx, addr) {
		return fmt.Errorf("validator of %s is tombstoned: %w", s.member, ErrPunished)
	}
	p, err := k.Params(ctx)
	if err != nil {
		return err
	}
	fraction, err := slashFraction(p)
	if err != nil {
		return err
	}
	// Stake that has left since the committee was made pays too; what left in the last
	// block before was not in it.
	since := s.core.Epoch*p.EpochBlocks + 1
	if err := k.slashing.Slash(ctx, addr, fraction, int64(s.stake), int64(since)); err != nil {
		return fmt.Errorf("slash: %w", err)
	}
	if !v.IsJailed() {
		if err := k.slashing.Jail(ctx, addr); err != nil {
			return fmt.Errorf("jail: %w", err)
		}
	}
	if err := k.slashing.Tombstone(ctx, addr); err != nil {
		return fmt.Errorf("tombstone: %w", err)
	}
	kind := "batch"
	if s.attested {
		kind = "attestation"
	}
	ctx.EventManager().EmitEvent(sdk.NewEvent(equivocationEvent,
		sdk.NewAttribute("operator", sdk.AccAddress(s.member[:]).String()),
		sdk.NewAttribute("kind", kind),
		sdk.NewAttribute("lane", hex.EncodeToString(s.core.Owner[:])),
		sdk.NewAttribute("session", strconv.FormatUint(s.core.Session, 10)),
		sdk.NewAttribute("sequence", strconv.FormatUint(s.core.Sequence, 10)),
	))
	return nil
}

// conflict returns the later of two statements that no honest member makes both of.
func (k Keeper) conflict(ctx sdk.Context, first, second *orderingv1.Signed) (statement, error) {
	a, err := k.statement(ctx, first)
	if err != nil {
		return statement{}, fmt.Errorf("first: %w", err)
	}
	b, err := k.statement(ctx, second)
	if err != nil {
		return statement{}, fmt.Errorf("second: %w", err)
	}
	switch {
	case a.attested != b.attested:
		return statement{}, fmt.Errorf("a batch and an attestation: %w", ErrEvidence)
	case a.member != b.member:
		return statement{}, fmt.Errorf("members %s and %s: %w", a.member, b.member, ErrEvidence)
	case a.core.Position != b.core.Position:
		return statement{}, fmt.Errorf("positions %s and %s: %w", a.core.Position, b.core.Position, ErrEvidence)
	case a.core.ID() == b.core.ID():
		return statement{}, fmt.Errorf("one batch, %s: %w", a.core.ID(), ErrEvidence)
	case max(a.core.Epoch, b.core.Epoch)-min(a.core.Epoch, b.core.Epoch) > 1:
		// Of two such batches one could not be ordered any more when the other one could
		// be attested. No member has to remember for longer what it signed.
		return statement{}, fmt.Errorf("epochs %d and %d, which were not open at the same time: %w", a.core.Epoch, b.core.Epoch, ErrEvidence)
	}
	// The offence is complete with the second signature. Which of both that was, the
	// epochs tell, and not the order in which they were handed in.
	if a.core.Epoch > b.core.Epoch {
		return a, nil
	}
	return b, nil
}

// statement checks one signature with the key that the member had in the batch's epoch.
func (k Keeper) statement(ctx context.Context, s *orderingv1.Signed) (statement, error) {
	core, err := order.DecodeBatchCore(s.GetCore())
	if err != nil {
		return statement{}, fmt.Errorf("%w: %w", err, ErrEvidence)
	}
	chainID := sdk.UnwrapSDKContext(ctx).ChainID()
	if core.ChainID != chainID {
		return statement{}, fmt.Errorf("batch is of chain %q, this one is %q: %w", core.ChainID, chainID, ErrEvidence)
	}
	committee, err := k.Committee(ctx, core.Epoch)
	if err != nil {
		return statement{}, err
	}
	out := statement{member: core.Owner, core: core}
	doc := core.SignBytes()
	if a := s.GetAttested(); a != nil {
		out.attested = true
		if out.member, err = order.OwnerFromBytes(a.Member); err != nil {
			return statement{}, fmt.Errorf("%w: %w", err, ErrEvidence)
		}
		doc = order.AttestationSignBytes(chainID, core.Position, core.ID(), a.Clock)
	}
	i, ok := committee.Index(out.member)
	if !ok || committee.Members[i].Key == ([ed25519.PublicKeySize]byte{}) {
		return statement{}, fmt.Errorf("%s could not sign in epoch %d: %w", out.member, core.Epoch, ErrEvidence)
	}
	member := &committee.Members[i]
	out.stake = member.Stake
	sdk.UnwrapSDKContext(ctx).GasMeter().ConsumeGas(verifyGas, "signature of evidence")
	if !cmted25519.PubKey(member.Key[:]).VerifySignature(doc, s.Signature) {
		return statement{}, fmt.Errorf("signature is not by the key of %s in epoch %d: %w", out.member, core.Epoch, ErrEvidence)
	}
	return out, nil
}
