package node

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	cmttypes "github.com/cometbft/cometbft/types"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/dispersal"
	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/dispersal/store"
	"github.com/ordo-network/ordo/dispersal/transport"
	"github.com/ordo-network/ordo/keys"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/api"
	"github.com/ordo-network/ordo/sequencer/api/shares"
)

// openStores opens what must outlive a crash of what this node attests, and of the
// certificates that it holds.
func (n *Node) openStores(h home, registerer prometheus.Registerer) (held, certificates *store.Store, err error) {
	for _, s := range []struct {
		name, dir string
		to        **store.Store
	}{{"shards", h.shards(), &held}, {"certificates", h.certificates(), &certificates}} {
		*s.to, err = store.Open(s.dir, store.Options{
			SegmentBytes: n.config.Dispersal.SegmentBytes, QueueBytes: n.config.Dispersal.QueueBytes,
			Logger: n.log.With("store", s.name), Registerer: prometheus.WrapRegistererWith(prometheus.Labels{"store": s.name}, registerer),
		})
		if err != nil {
			return nil, nil, fmt.Errorf("open the store of %s: %w", s.name, err)
		}
		n.closers = append(n.closers, (*s.to).Close)
	}
	return held, certificates, nil
}

// openLanes gives the application this node's part in dispersal: that of a validator
// or, where the node's consensus key is no validator's, that of a reader.
func (n *Node) openLanes(ctx context.Context, h home, doc *cmttypes.GenesisDoc, consensus cmttypes.Address, registerer prometheus.Registerer) error {
	owner, err := n.owner(ctx, doc, consensus)
	if err != nil {
		return err
	}
	// A home that was made before there were attestation keys gets one.
	if _, err := h.attestationKeys(); err != nil {
		return err
	}
	ring, err := keys.OpenRing(h.attestation())
	if err != nil {
		return err
	}
	n.watch = &watch{log: n.log, self: owner, ring: ring, file: h.attestation()}
	remote := shares.New(n.watch.api)
	n.closers = append(n.closers, func() error { remote.Close(); return nil })
	if owner == (order.Owner{}) {
		n.retriever, err = dispersal.NewRetriever(dispersal.RetrieverOptions{
			ChainID: n.chainID, Sources: []dispersal.ShareSource{remote}, CacheBytes: n.config.Dispersal.CacheBytes,
			Logger: n.log, Registerer: registerer,
		})
		if err != nil {
			return fmt.Errorf("open dispersal: %w", err)
		}
		n.app.SetLanes(n.watch)
		n.background = append(n.background, func(ctx context.Context) error { return n.awaitPromotion(ctx, doc, consensus) })
		return n.dispersalLn.Close() // only validators connect to each other
	}
	held, certificates, err := n.openStores(h, registerer)
	if err != nil {
		return err
	}
	evidence := newEvidence(h.evidence(), n.app.Encoding().Codec, n.log)
	c := n.config.Dispersal
	n.dispersal, err = dispersal.New(dispersal.Options{
		ChainID: n.chainID, Self: owner, Keys: n.watch.key, Dir: h.data(),
		Shards: held, Certificates: certificates, Source: n.app.Pool(), Verifier: n.app.Certificates(),
		Listener: n.dispersalLn, Afford: n.app.Afford, Evidence: evidence.take, Shares: []dispersal.ShareSource{remote},
		BatchBytes: c.BatchBytes, FlushAge: time.Duration(c.FlushAge), WindowBytes: c.WindowBytes,
		RetainBlocks: n.config.Retention.ShardHeights, Posted: n.posted().upTo, CacheBytes: c.CacheBytes,
		Transport: transport.Limits{PeerBytes: c.PeerBytes, BytesPerSecond: c.PeerRate},
		Logger:    n.log, Registerer: registerer,
	})
	if err != nil {
		return fmt.Errorf("open dispersal: %w", err)
	}
	n.background = append(n.background, n.dispersal.Run, evidence.run)
	n.retriever = n.dispersal.Retriever()
	n.app.SetLanes(validator{n.dispersal, n.watch})
	n.app.Pool().SetLane(owner, n.watch.attests)
	return nil
}

// validator is a validator's part in lanes, as the application sees it.
type validator struct {
	*dispersal.Node
	watch *watch
}

// Committed implements app.Lanes.
func (v validator) Committed(view *lane.View) {
	v.Node.Committed(view)
	v.watch.Committed(view)
}

// watch keeps the chain's last state as lanes see it, and looks whether this node can
// take part. By itself it is a full node's part in lanes: none.
type watch struct {
	log  *slog.Logger
	self order.Owner
	ring *keys.Ring
	file string

	view   atomic.Pointer[lane.View]
	member atomic.Bool // the committee of the next block's epoch lists a key that is here
	told   string      // what is wrong, as it was last told
}

// key implements lane.Keys.
func (w *watch) key(public [32]byte) ed25519.PrivateKey {
	key, _, err := w.ring.Key(public)
	if err != nil {
		w.log.Warn("the attestation keys in the home have changed and cannot be read, those known before are used", "err", err)
	}
	return key
}

// attests tells whether this node has a lane in the epoch of the next block.
func (w *watch) attests() bool { return w.member.Load() }

// committee returns that of an epoch whose batches the next block may order, or nil.
func (w *watch) committee(epoch uint64) *order.Committee {
	if v := w.view.Load(); v != nil {
		return v.Committee(epoch)
	}
	return nil
}

// api returns where a validator has registered its API.
func (w *watch) api(owner order.Owner) string {
	if v := w.view.Load(); v != nil {
		return v.Contacts[owner].API
	}
	return ""
}

// Committed implements app.Lanes.
func (w *watch) Committed(v *lane.View) {
	before := w.view.Swap(v)
	if w.self == (order.Owner{}) || before != nil && before.Epoch == v.Epoch {
		return
	}
	problem, ok := w.look(v.Committee(v.Epoch))
	w.member.Store(ok)
	if problem != "" && problem != w.told {
		w.log.Warn(problem, "epoch", v.Epoch)
	}
	w.told = problem
}

// look finds this node among the committee, and what keeps it from attesting.
func (w *watch) look(c *order.Committee) (problem string, ok bool) {
	i, listed := c.Index(w.self)
	if !listed {
		return "this validator is not bonded in this epoch: it attests nothing and takes no bundles", false
	}
	switch public := c.Members[i].Key; {
	case public == [32]byte{}:
		return "this validator's attestation key is not registered: run `ordo sequencer attester set`", false
	case w.key(public) == nil:
		return fmt.Sprintf("this validator's attestation key %x is not in %s: put it back, or run `ordo sequencer attester rotate`", public, w.file), false
	}
	return "", true
}

// A full node holds no certificates.

// Candidates implements app.Lanes.
func (*watch) Candidates() [][]*order.Certificate { return nil }

// Tips implements app.Lanes.
func (*watch) Tips() []order.Tip { return nil }

// Heard implements app.Lanes.
func (*watch) Heard(order.Owner, []order.Tip) {}

// Waiting implements app.Lanes.
func (*watch) Waiting() bool { return false }

// Arrived implements app.Lanes.
func (*watch) Arrived() <-chan struct{} { return nil }

// lanes returns what the API tells of this node's part, nil where it has none.
func (n *Node) lanes() api.Lanes {
	if n.dispersal == nil {
		return nil
	}
	return api.LanesOf(n.dispersal)
}
