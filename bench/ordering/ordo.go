package ordering

import (
	"context"
	"errors"
	"fmt"

	"github.com/ordo-network/ordo/bench/testnet"
	"github.com/ordo-network/ordo/order"
)

// ordo is a network of Ordo's validators.
type ordo struct {
	*testnet.Network
	o Options
}

// startOrdo makes and starts a network. With reader it has one more node, which is no
// validator and serves the order.
func startOrdo(ctx context.Context, o Options, validators int, reader bool) (*ordo, error) {
	n, err := testnet.Start(ctx, testnet.Options{
		Binary: o.Binary, Dir: o.Dir, Keep: o.Keep, Validators: validators, Reader: reader, BlockTime: o.BlockTime,
	})
	if err != nil {
		return nil, err
	}
	return &ordo{n, o}, nil
}

func (s *ordo) name() string { return "Ordo" }

func (s *ordo) validators() int { return s.Validators }

func (s *ordo) processes() []*testnet.Process { return s.All }

func (s *ordo) close() error { return s.End() }

func (s *ordo) received(ctx context.Context) ([]float64, error) {
	return scrapeAll(ctx, s.All[:s.Validators], "ordo_transport_received_bytes_total", cometReceived)
}

// rollupOf names the rollup that a channel's payloads are for. Each validator's samples have one
// of their own: what counts is when a batch is certified where it was made, and a validator
// rebuilds every batch in which those who wait there for certificates have something.
func rollupOf(ch channel, validator int) order.RollupID {
	if ch == bulk {
		return order.NewRollupID("bench-bulk")
	}
	return order.NewRollupID(fmt.Sprintf("bench-sample-%d", validator))
}

func (s *ordo) wrap(ch channel, validator int, payload []byte) (parcel, error) {
	var txs [][]byte
	for size := s.o.TransactionBytes; len(payload) > size; payload = payload[size:] {
		txs = append(txs, payload[:size:size])
	}
	return s.sign(validator, []order.Leg{{RollupID: rollupOf(ch, validator), Transactions: append(txs, payload)}})
}

// sign makes a bundle of the legs for the validator's lane.
func (s *ordo) sign(validator int, legs []order.Leg) (parcel, error) {
	id, raw, err := s.Sign(validator, legs)
	if err != nil {
		return parcel{}, fmt.Errorf("%w: see --size", err)
	}
	return parcel{key: key(id), wire: raw}, nil
}

func (s *ordo) submit(ctx context.Context, validator int, p parcel) error {
	err := s.Submit(ctx, validator, p.wire)
	if errors.Is(err, testnet.ErrBusy) {
		return fmt.Errorf("%w: %w", errBusy, err)
	}
	return err
}
