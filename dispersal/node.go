package dispersal

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/dispersal/transport"
	"github.com/ordo-network/ordo/order"
)

// Node runs dispersal for a validator. Its methods may be called by many goroutines.
type Node struct {
	opts    Options
	metrics *metrics
	mesh    *transport.Mesh
	layouts *layouts
	workers chan struct{}  // holds a token for each worker at work
	coders  sync.Pool      // of *shard.Coded
	batches buffers        // for batches as they are encoded
	shares  buffers        // for shares that are sent
	running sync.WaitGroup // what offers and requests of peers started

	view   atomic.Pointer[lane.View]
	viewed chan struct{} // holds a token after Committed

	library   *library
	attester  *attester
	owner     *owner
	batcher   *batcher
	puller    *puller
	server    *server
	mender    *mender
	recent    *recent
	retriever *Retriever
}

// New makes a node, which does nothing but to answer the chain until Run.
func New(opts Options) (*Node, error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	n := &Node{
		opts: opts, metrics: newMetrics(), layouts: new(layouts), workers: make(chan struct{}, opts.Workers),
		coders: sync.Pool{New: func() any { return new(shard.Coded) }}, viewed: make(chan struct{}, 1),
		recent: newRecent(opts.RecentBytes),
	}
	if err := n.metrics.register(opts.Registerer); err != nil {
		return nil, err
	}
	n.library, n.attester, n.owner = newLibrary(n), newAttester(n), newOwner(n)
	n.batcher, n.puller, n.server, n.mender = &batcher{node: n}, newPuller(n), newServer(n), newMender(n)
	sources := append([]ShareSource{ownShares{n.attester, opts.Self}, peerShares{n}}, opts.Shares...)
	n.retriever = newRetriever(RetrieverOptions{ChainID: opts.ChainID, Self: opts.Self, Sources: sources, CacheBytes: opts.CacheBytes, Logger: opts.Logger}, n.metrics, n.layouts)
	var err error
	n.mesh, err = transport.New(transport.Options{
		ChainID: opts.ChainID, Self: opts.Self, Listener: opts.Listener, Dial: opts.Dial, Handler: n, Limits: opts.Transport,
		Now: opts.Now, Logger: opts.Logger, Registerer: opts.Registerer,
	})
	return n, err
}

// Retriever rebuilds batches from the shares of this node and its peers.
func (n *Node) Retriever() *Retriever { return n.retriever }

// Run disperses, attests and serves until the context ends, or until the disk fails. It
// begins with the first Committed.
func (n *Node) Run(ctx context.Context) error {
	defer n.running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	select {
	case <-n.viewed:
	case <-ctx.Done():
		return n.close()
	}
	if err := n.restore(ctx); err != nil {
		return errors.Join(fmt.Errorf("restore lanes: %w", err), n.close())
	}
	all, running := errgroup.WithContext(ctx)
	for _, run := range []func(context.Context) error{
		n.mesh.Run, n.follow, n.owner.run, n.owner.store, n.batcher.run, n.library.run, n.puller.run, n.mender.run,
	} {
		all.Go(func() error { return run(running) })
	}
	err := all.Wait()
	if ctx.Err() != nil { // told to stop: what fails then fails for that reason
		return nil
	}
	return err
}

func (n *Node) close() error {
	if n.opts.Listener == nil {
		return nil
	}
	return n.opts.Listener.Close()
}

// restore reads from both stores what was attested and certified before this start.
func (n *Node) restore(ctx context.Context) error {
	v := n.chain()
	if err := n.attester.restore(v); err != nil {
		return err
	}
	n.attester.view(v)
	own, err := n.library.restore(ctx, v)
	if err != nil {
		return err
	}
	session, err := readSession(n.opts.Dir)
	if err != nil {
		return err
	}
	for _, held := range n.opts.Shards.Lanes() { // the own lane's sessions that this node attested
		if o, err := order.OwnerFromBytes(held.Owner); err == nil && o == n.opts.Self {
			session = max(session, held.Session)
		}
	}
	n.owner.disperser.Restore(session, own)
	n.opts.Logger.Info("lanes restored", "height", v.Height, "own_certificates", len(own), "last_session", session)
	nudge(n.viewed) // the first that follow takes to everyone
	return nil
}

// follow takes each view of the chain to those who need it. Views in between may be
// skipped.
func (n *Node) follow(ctx context.Context) error {
	prune := pruner{node: n}
	for {
		select {
		case <-n.viewed:
		case <-ctx.Done():
			return nil
		}
		v := n.chain()
		n.attester.view(v)
		n.owner.post(func(now uint64) { n.owner.disperser.View(now, v) })
		members, err := n.members(v)
		if err != nil {
			return err
		}
		if err := n.mesh.SetMembers(members); err != nil {
			return err
		}
		prune.view(v)
	}
}

// members says who may connect: members of both committees, with the keys that these
// list. This node shows the older of its keys, for a peer may be a block behind.
func (n *Node) members(v *lane.View) (*transport.Members, error) {
	m := &transport.Members{Allowed: make(map[transport.Key]order.Owner), Addresses: make(map[order.Owner]string)}
	most := int(min(v.Params.MaxBatchBytes, shard.MaxBatchBytes))
	for _, c := range v.Committees { // the newer one first
		if c == nil {
			continue
		}
		layout, err := n.layouts.get(c)
		if err != nil {
			return nil, err
		}
		for _, member := range c.Members {
			if member.Key == (transport.Key{}) {
				continue
			}
			if _, listed := m.Allowed[member.Key]; !listed {
				m.Allowed[member.Key] = member.Owner
			}
			m.Addresses[member.Owner] = v.Contacts[member.Owner].Address
			m.MaxShare = max(m.MaxShare, shareBound(layout.Range(member.Owner[:]).Count*layout.ShardSize(max(1, most))))
			if member.Owner == n.opts.Self {
				if key := n.opts.Keys(member.Key); len(key) == ed25519.PrivateKeySize {
					m.Key = key
				}
			}
		}
	}
	return m, nil
}

// shareBound is the length of an encoded share with that many bytes of shards, at most.
func shareBound(shards int) int { return shards + 1024 }

// chain is the last view, nil before the first.
func (n *Node) chain() *lane.View { return n.view.Load() }

// height is the last block's: the tag of what is stored now.
func (n *Node) height() uint64 {
	if v := n.chain(); v != nil {
		return v.Height
	}
	return 0
}

// work runs what costs processor time, as soon as a worker is free. Errors: f's, the
// context's.
func (n *Node) work(ctx context.Context, f func() error) error {
	select {
	case n.workers <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-n.workers }()
	return f()
}

// answer sends an attester's answer to the owner of the lane.
func (n *Node) answer(to order.Owner, a *lane.Answer) {
	if to == n.opts.Self {
		n.owner.answered(to, a, nil)
		return
	}
	var out transport.Outgoing
	if a.Attestation != nil {
		out = (&transport.Attest{Position: a.Position, Batch: a.Batch, Attestation: *a.Attestation}).Outgoing()
	} else {
		out = (&transport.Refuse{Position: a.Position, Batch: a.Batch, Reason: uint8(a.Refusal.Reason), Expected: a.Refusal.Expect}).Outgoing()
	}
	_ = n.mesh.Send(to, out) // the owner offers again what was not answered
}

// broadcast sends to all peers. Whom it does not reach hears of it by tips.
func (n *Node) broadcast(out transport.Outgoing) {
	for _, p := range n.mesh.Peers() {
		_ = p.Send(out)
	}
}

// fault punishes a peer that sent what no correct peer sends.
func (n *Node) fault(p *transport.Peer, err error) {
	n.metrics.faults.Inc()
	n.opts.Logger.Warn("a peer breaks the protocol of lanes", "owner", p.Owner.String(), "address", p.Address, "error", err)
	p.Punish(err)
}
