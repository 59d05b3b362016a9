package availability

import (
	"encoding/base64"
	"fmt"
	"strconv"

	abci "github.com/cometbft/cometbft/abci/types"

	sdk "github.com/cosmos/cosmos-sdk/types"

	availabilityv1 "github.com/ordo-network/ordo/sequencer/availability/v1"
)

// Events of the module. A claim's event is in the result of its transaction, and has
// all of the claim; that a claim is settled is among the events of the block.
const (
	EventClaim   = "ordo_claim"
	EventSettled = "ordo_claim_settled"

	attributeNumber  = "number"
	attributeRelayer = "relayer"
	attributeRollup  = "rollup"
	attributeLayer   = "layer"
	attributeFrom    = "from"
	attributeTo      = "to"
	attributeClaim   = "claim" // base64 of its encoding
	attributeOutcome = "outcome"
)

// What becomes of a claim.
const (
	outcomeConfirmed = "confirmed"
	outcomeDenied    = "denied"
	outcomeExpired   = "expired"
	outcomeGaveWay   = "gave_way"  // to a newer one
	outcomeOvertaken = "overtaken" // its blocks were confirmed by another one
)

func emitClaim(ctx sdk.Context, number uint64, relayer sdk.AccAddress, c *availabilityv1.Claim) error {
	raw, err := c.Marshal()
	if err != nil {
		return fmt.Errorf("encode claim: %w", err)
	}
	ctx.EventManager().EmitEvent(sdk.NewEvent(EventClaim,
		sdk.NewAttribute(attributeNumber, strconv.FormatUint(number, 10)),
		sdk.NewAttribute(attributeRelayer, relayer.String()),
		sdk.NewAttribute(attributeRollup, fmt.Sprintf("%x", c.RollupId)),
		sdk.NewAttribute(attributeLayer, c.Layer),
		sdk.NewAttribute(attributeFrom, strconv.FormatUint(c.From, 10)),
		sdk.NewAttribute(attributeTo, strconv.FormatUint(c.To, 10)),
		sdk.NewAttribute(attributeClaim, base64.StdEncoding.EncodeToString(raw)),
	))
	return nil
}

func emitSettled(ctx sdk.Context, p *availabilityv1.PendingClaim, outcome string) {
	ctx.EventManager().EmitEvent(sdk.NewEvent(EventSettled,
		sdk.NewAttribute(attributeNumber, strconv.FormatUint(p.Number, 10)),
		sdk.NewAttribute(attributeRelayer, p.Relayer),
		sdk.NewAttribute(attributeRollup, fmt.Sprintf("%x", p.Claim.RollupId)),
		sdk.NewAttribute(attributeOutcome, outcome),
	))
}

// Recorded is a claim that a block has.
type Recorded struct {
	Relayer string
	Claim   []byte // its encoding, as of ordo.sequencer.v1.Claim
}

// RecordedBy returns the claims of a block, from the results of its transactions, in order.
func RecordedBy(results []*abci.ExecTxResult) ([]Recorded, error) {
	var out []Recorded
	for i, r := range results {
		if !r.IsOK() { // nothing of it counts
			continue
		}
		for _, e := range r.Events {
			if e.Type != EventClaim {
				continue
			}
			var c Recorded
			for _, a := range e.Attributes {
				switch a.Key {
				case attributeRelayer:
					c.Relayer = a.Value
				case attributeClaim:
					var err error
					if c.Claim, err = base64.StdEncoding.DecodeString(a.Value); err != nil {
						return nil, fmt.Errorf("event of a claim in transaction %d: %w", i, err)
					}
				}
			}
			out = append(out, c)
		}
	}
	return out, nil
}
