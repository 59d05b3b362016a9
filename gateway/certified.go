package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/ordo-network/ordo/order"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
)

// Certified is what one certified batch holds for the rollup, as a sequencer node
// says. None of it is proven.
type Certified struct {
	Position  order.Position
	Batch     order.BatchID
	OrderTime uint64 // in milliseconds since 1970
	Bundles   []CertifiedBundle
}

// CertifiedBundle is what one bundle's legs hold for the rollup.
type CertifiedBundle struct {
	ID           order.BundleID
	Index        uint64 // position in its batch
	Legs         int    // of the bundle, over all rollups; 0 where the node does not tell
	Transactions [][]byte
}

const (
	// maxCertifiedBytes bounds one message: a batch that is all for one rollup.
	maxCertifiedBytes = order.MaxBatchBytes + 1<<20
	// openTimeout is how long a node may take to say that the stream stands.
	openTimeout = 5 * time.Second
)

var (
	errMalformed = errors.New("malformed message")
	errNoStream  = errors.New("node did not open the stream")
)

// Subscribe reads what becomes certified for the rollup, from now on, until ctx
// ends or the node fails: it always returns an error. Batches may be missing. An
// error of yield ends it and is returned.
func (r *Remote) Subscribe(ctx context.Context, rollup order.RollupID, opened func(), yield func(Certified) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := time.AfterFunc(openTimeout, func() { cancel(errNoStream) })
	defer late.Stop()
	stream, err := r.certified.SubscribeCertified(ctx, connect.NewRequest(&sequencerv1.SubscribeCertifiedRequest{RollupId: rollup[:]}))
	if err != nil {
		return causeOf(ctx, err)
	}
	defer func() {
		cancel(nil)        // else Close waits for the rest of the stream
		_ = stream.Close() // nothing of it is wanted any more
	}()
	for first := true; stream.Receive(); first = false {
		if first {
			late.Stop()
			opened()
		}
		if len(stream.Msg().GetBundles()) == 0 {
			continue
		}
		batch, err := certifiedFromProto(stream.Msg())
		if err != nil {
			return err
		}
		if err := yield(batch); err != nil {
			return err
		}
	}
	if err := stream.Err(); err != nil {
		return causeOf(ctx, err)
	}
	return errors.New("stream ended")
}

// causeOf says why a call ended, where it was this side that ended it.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

func certifiedFromProto(m *sequencerv1.SubscribeCertifiedResponse) (Certified, error) {
	owner, err := order.OwnerFromBytes(m.GetOwner())
	if err != nil {
		return Certified{}, fmt.Errorf("%w: %w", errMalformed, err)
	}
	if len(m.GetBatchId()) != len(order.BatchID{}) {
		return Certified{}, fmt.Errorf("%w: batch ID of %d bytes", errMalformed, len(m.GetBatchId()))
	}
	c := Certified{
		Position: order.Position{Owner: owner, Mark: order.Mark{Session: m.GetSession(), Sequence: m.GetSequence()}},
		Batch:    order.BatchID(m.GetBatchId()), OrderTime: m.GetOrderTime(),
	}
	if c.Position.Session == 0 || c.Position.Sequence == 0 {
		return Certified{}, fmt.Errorf("%w: position %s", errMalformed, c.Position)
	}
	for _, b := range m.GetBundles() {
		id, err := order.BundleIDFromBytes(b.GetBundleId())
		if err != nil {
			return Certified{}, fmt.Errorf("%w: %w", errMalformed, err)
		}
		if b.GetLegCount() > order.MaxLegs {
			return Certified{}, fmt.Errorf("%w: bundle of %d legs, at most %d", errMalformed, b.GetLegCount(), order.MaxLegs)
		}
		next := CertifiedBundle{ID: id, Index: b.GetBatchPosition(), Legs: int(b.GetLegCount()), Transactions: b.GetTransactions()}
		switch last := len(c.Bundles) - 1; {
		case last < 0 || next.Index > c.Bundles[last].Index:
			c.Bundles = append(c.Bundles, next)
		case next.Index == c.Bundles[last].Index && id == c.Bundles[last].ID: // another leg of it
			c.Bundles[last].Transactions = append(c.Bundles[last].Transactions, next.Transactions...)
		default:
			return Certified{}, fmt.Errorf("%w: positions in batch %s do not rise", errMalformed, c.Position)
		}
	}
	return c, nil
}

// Fields of SubscribeCertifiedResponse and CertifiedBundle that repeat.
const (
	fieldBundles      = 7
	fieldTransactions = 3
)

// certifiedCodec is the protobuf codec, which counts what repeats before it decodes:
// an empty transaction has two bytes on the wire and many more in memory.
type certifiedCodec struct{}

func (certifiedCodec) Name() string { return "proto" }

func (certifiedCodec) Marshal(m any) ([]byte, error) {
	msg, ok := m.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("marshal %T: not a protobuf message", m)
	}
	return proto.Marshal(msg)
}

func (certifiedCodec) Unmarshal(raw []byte, m any) error {
	msg, ok := m.(proto.Message)
	if !ok {
		return fmt.Errorf("unmarshal %T: not a protobuf message", m)
	}
	bundles, txs := 0, 0
	err := eachMessage(raw, fieldBundles, func(b []byte) error {
		if bundles++; bundles > order.MaxBatchBundles {
			return fmt.Errorf("%w: more than %d bundles", errMalformed, order.MaxBatchBundles)
		}
		return eachMessage(b, fieldTransactions, func(tx []byte) error {
			// More transactions than that fit no batch unless most are empty.
			if txs++; len(tx) == 0 || txs > 4*order.MaxLegTransactions {
				return fmt.Errorf("%w: an empty transaction, or more than %d", errMalformed, 4*order.MaxLegTransactions)
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	return proto.Unmarshal(raw, msg)
}

// eachMessage calls f with the content of each length-delimited field of that number.
func eachMessage(raw []byte, field protowire.Number, f func([]byte) error) error {
	for len(raw) > 0 {
		num, typ, n := protowire.ConsumeField(raw)
		if n < 0 {
			return fmt.Errorf("%w: %w", errMalformed, protowire.ParseError(n))
		}
		if num == field && typ == protowire.BytesType {
			_, _, tag := protowire.ConsumeTag(raw)
			content, _ := protowire.ConsumeBytes(raw[tag:n])
			if err := f(content); err != nil {
				return err
			}
		}
		raw = raw[n:]
	}
	return nil
}
