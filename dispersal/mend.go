package dispersal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/dispersal/transport"
	"github.com/ordo-network/ordo/internal/pause"
	"github.com/ordo-network/ordo/order"
)

// mender makes damaged records whole: it rebuilds the batch from others' shards, cuts
// this node's share anew, and writes the same bytes as before. The store refuses others.
type mender struct {
	node  *Node
	queue chan order.Position

	mu     sync.Mutex
	queued map[order.Position]int // how often each was tried
}

const (
	maxMending = 256
	// mendTries is how often a record is tried before it has to be found again: after a
	// restart peers are not there at once.
	mendTries = 10
	mendPause = time.Second
)

func newMender(n *Node) *mender {
	return &mender{node: n, queue: make(chan order.Position, maxMending), queued: make(map[order.Position]int)}
}

// mend notes a damaged record. It does not block; what there is no room for is found
// again when it is read again.
func (m *mender) mend(p order.Position) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, there := m.queued[p]; !there {
		m.add(p, 0)
	}
}

func (m *mender) add(p order.Position, tries int) {
	select {
	case m.queue <- p:
		m.queued[p] = tries
	default:
		delete(m.queued, p)
	}
}

func (m *mender) run(ctx context.Context) error {
	for {
		var p order.Position
		select {
		case p = <-m.queue:
		case <-ctx.Done():
			return nil
		}
		err := m.repair(ctx, p)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		wait := 10 * time.Millisecond // a bad disk must not take all of the network
		m.mu.Lock()
		tries := m.queued[p] + 1
		switch {
		case err == nil:
			delete(m.queued, p)
			m.node.metrics.repaired.Inc()
			m.node.opts.Logger.Info("a damaged share was made whole", "position", p.String())
		case tries < mendTries && !errors.Is(err, errForgotten):
			m.add(p, tries)
			wait = mendPause
		default:
			delete(m.queued, p)
			m.node.opts.Logger.Warn("a damaged share could not be made whole", "position", p.String(), "error", err)
		}
		m.mu.Unlock()
		if err := pause.For(ctx, wait); err != nil {
			return err
		}
	}
}

var errForgotten = errors.New("the attestation's clock is not known any more")

// repair needs the header and the clock that stand in the certificate, the owner's
// signature that any holder has, and the batch.
func (m *mender) repair(ctx context.Context, p order.Position) error {
	n := m.node
	cert, err := n.library.load(p)
	if err != nil {
		return fmt.Errorf("find certificate: %w", err)
	}
	v := n.chain()
	committee := v.Committee(cert.Header.Epoch)
	if committee == nil {
		return fmt.Errorf("epoch %d: %w", cert.Header.Epoch, order.ErrEpoch)
	}
	record := &lane.Record{}
	self, ok := committee.Index(n.opts.Self)
	for i := range cert.Attestations {
		if a := &cert.Attestations[i]; ok && int(a.Member) == self {
			record.Clock = a.Clock
		}
	}
	if record.Clock == 0 {
		return errForgotten
	}
	core := cert.Header.Core(n.opts.ChainID)
	if record.Batch, err = m.signed(ctx, core, committee); err != nil {
		return err
	}
	batch, _, err := n.retriever.Batch(ctx, core, committee)
	if err != nil {
		return fmt.Errorf("rebuild batch: %w", err)
	}
	if batch == nil {
		return fmt.Errorf("rebuild batch: %w", shard.ErrVoid)
	}
	layout, err := n.layouts.get(committee)
	if err != nil {
		return err
	}
	var coded shard.Coded
	if err := coded.Encode(layout, batch.Encode()); err != nil {
		return fmt.Errorf("code batch: %w", err)
	}
	if record.Share, err = coded.Share(layout.Range(n.opts.Self[:])); err != nil {
		return fmt.Errorf("cut share: %w", err)
	}
	if err := n.opts.Shards.Repair(ctx, certificateKey(p), record.Head(), record.Share.Append(nil)); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	return nil
}

// signed asks the holders, one after the other, for the header with its owner's signature.
func (m *mender) signed(ctx context.Context, core order.BatchCore, committee *order.Committee) (*order.SignedBatch, error) {
	get := &transport.GetShare{Position: core.Position, Epoch: core.Epoch, Batch: core.ID(), Header: true}
	for i := range committee.Members {
		holder := committee.Members[i].Owner
		if holder == m.node.opts.Self {
			continue
		}
		ask, cancel := context.WithTimeout(ctx, pullTimeout)
		batch, _, release, err := peerShares{m.node}.ask(ask, holder, get)
		cancel()
		if err != nil {
			continue
		}
		release()
		if batch == nil {
			continue
		}
		if id, err := committee.VerifyBatch(m.node.opts.ChainID, batch); err == nil && id == get.Batch {
			return batch, nil
		}
	}
	return nil, fmt.Errorf("no peer has the signed header: %w", ErrNoShare)
}
