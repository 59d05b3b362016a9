package testnet

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"github.com/ordo-network/ordo/internal/freeport"
	"github.com/ordo-network/ordo/keys"
	"github.com/ordo-network/ordo/order"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
)

const (
	chainID = "ordo-bench-1"
	// payers are many, as one may use only a part of a validator's pool.
	payers = 32
	// payerFunds pay for all bundles of a benchmark.
	payerFunds = 1_000_000_000_000_000_000
	// portStride is how far apart the ports of two nodes are; the tenth is free.
	portStride = 10
	// StartLimit is how long processes may take until they answer.
	StartLimit = 60 * time.Second
	// ReaderLabel is that of the node to read from.
	ReaderLabel = "reader"
)

// Options of a network.
type Options struct {
	Binary     string // whose subcommands the nodes are
	Dir        string // for the network's data; empty: the system's for temporary files
	Keep       bool   // do not remove it
	Validators int
	Reader     bool // one more node, which is no validator and serves the order
	BlockTime  time.Duration
}

// Network is one of Ordo's validators.
type Network struct {
	*Group
	Validators int
	URLs       []string // of the API: validators, then the node to read from
	Genesis    string   // its file

	o       Options
	payers  []ed25519.PrivateKey
	clients []sequencerv1connect.SequencerServiceClient // for submitting
	info    *sequencerv1.GetInfoResponse
	lanes   []order.Owner // of the validators

	next   atomic.Uint64 // bundle
	height atomic.Uint64 // last one that was heard of
}

// Loopback is the address of a port of this machine.
func Loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// Start makes and starts a network, and returns when it makes blocks.
func Start(ctx context.Context, o Options) (_ *Network, err error) {
	g, err := NewGroup(o.Dir, "ordo", o.Keep)
	if err != nil {
		return nil, err
	}
	s := &Network{
		Group: g, Validators: o.Validators, Genesis: filepath.Join(g.Dir, "validator-0", "config", "genesis.json"),
		o: o, lanes: make([]order.Owner, o.Validators),
	}
	defer func() {
		if err != nil {
			_ = s.End() // the error that is returned says more
		}
	}()
	nodes := o.Validators
	if o.Reader {
		nodes++
	}
	base, err := freeport.Claim(nodes * portStride)
	if err != nil {
		return nil, err
	}
	args := []string{"sequencer", "init-network", g.Dir, "--chain-id", chainID, "--validators", strconv.Itoa(o.Validators),
		"--base-port", strconv.Itoa(base), "--block-time", o.BlockTime.String()}
	for range payers {
		pub, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("make a payer: %w", err)
		}
		s.payers = append(s.payers, key)
		args = append(args, "--account", fmt.Sprintf("%s=%d", keys.Address(pub), uint64(payerFunds)))
	}
	if err := Run(ctx, o.Binary, args...); err != nil {
		return nil, err
	}
	if o.Reader {
		if err := s.initReader(ctx, base+portStride*o.Validators); err != nil {
			return nil, err
		}
	}
	for i := range nodes {
		label := "validator-" + strconv.Itoa(i)
		if i >= o.Validators {
			label = ReaderLabel
		}
		if err := s.startNode(label, base+portStride*i); err != nil {
			return nil, err
		}
	}
	return s, s.Await(ctx, StartLimit, func(i int) error { return s.greet(ctx, i) })
}

// initReader makes the home of a node that joins the chain, with the peers of the first validator.
func (s *Network) initReader(ctx context.Context, port int) error {
	dir := filepath.Join(s.Dir, ReaderLabel)
	if err := Run(ctx, s.o.Binary, "sequencer", "init", "--home", dir, "--moniker", ReaderLabel,
		"--genesis", s.Genesis, "--base-port", strconv.Itoa(port), "--block-time", s.o.BlockTime.String()); err != nil {
		return err
	}
	peers, err := Setting(filepath.Join(s.Dir, "validator-0", "config", "config.toml"), "persistent_peers")
	if err != nil {
		return err
	}
	return Set(filepath.Join(dir, "config", "config.toml"), map[string]string{
		"persistent_peers": peers, "addr_book_strict": "false", "allow_duplicate_ip": "true", "pex": "false",
	})
}

// startNode starts a node whose ports begin at the one given.
func (s *Network) startNode(label string, port int) error {
	dir := filepath.Join(s.Dir, label)
	profile := Loopback(port + portStride - 1)
	if err := Set(filepath.Join(dir, "config", "config.toml"), map[string]string{"pprof_laddr": strconv.Quote(profile)}); err != nil {
		return err
	}
	// One address is all the clients here.
	if err := Set(filepath.Join(dir, "config", "ordo.toml"), map[string]string{"client_share": "1"}); err != nil {
		return err
	}
	p, err := s.Start(label, s.o.Binary, "sequencer", "start", "--home", dir, "--log-level", "warn")
	if err != nil {
		return err
	}
	p.Metrics = "http://" + Loopback(port+3) + "/metrics"
	p.Profile = "http://" + profile
	url := "http://" + Loopback(port+2)
	s.URLs = append(s.URLs, url)
	s.clients = append(s.clients, sequencerv1connect.NewSequencerServiceClient(HTTPClient(nil), url, connect.WithReadMaxBytes(64<<10)))
	return nil
}

// greet asks node i who it is; it fails until there are blocks and, of a validator, a lane.
func (s *Network) greet(ctx context.Context, i int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	info, err := s.Client(i).GetInfo(ctx, connect.NewRequest(new(sequencerv1.GetInfoRequest)))
	if err != nil {
		return err
	}
	if info.Msg.GetLatestHeight() < 2 {
		return fmt.Errorf("it is at height %d", info.Msg.GetLatestHeight())
	}
	if i < s.Validators {
		if s.lanes[i], err = order.OwnerFromBytes(info.Msg.GetLaneOwner()); err != nil {
			return fmt.Errorf("it has no lane yet: %w", err)
		}
	}
	s.info = info.Msg
	s.Saw(info.Msg.GetLatestHeight())
	return nil
}

// Client of a node, for submitting and for small answers.
func (s *Network) Client(i int) sequencerv1connect.SequencerServiceClient { return s.clients[i] }

// ReadFrom is the URL of the node to read the order from: the last.
func (s *Network) ReadFrom() string { return s.URLs[len(s.URLs)-1] }

// Saw notes a height of the chain, which bundles count their expiry from.
func (s *Network) Saw(height uint64) {
	for {
		last := s.height.Load()
		if height <= last || s.height.CompareAndSwap(last, height) {
			return
		}
	}
}

// Height is the last one that was seen.
func (s *Network) Height() uint64 { return s.height.Load() }

// MaxBundleBytes is what the chain takes.
func (s *Network) MaxBundleBytes() int { return int(s.info.GetMaxBundleBytes()) }

// Sign makes a bundle of the legs for the validator's lane, by the payers in turn.
func (s *Network) Sign(validator int, legs []order.Leg) (order.BundleID, []byte, error) {
	payer := s.payers[s.next.Add(1)%payers]
	b := order.Bundle{Legs: legs, Expiry: s.Height() + s.info.GetMaxExpiryBlocks()*9/10}
	copy(b.Payer[:], payer.Public().(ed25519.PublicKey))
	b.FeeLimit = (uint64(b.Size())+64)*s.info.GetFeePerKilobyte()/1000 + 1
	id := b.ID(chainID) // hashes the legs: once is enough
	copy(b.Signature[:], ed25519.Sign(payer, id.SignBytes(s.lanes[validator])))
	raw := b.Encode()
	if limit := s.MaxBundleBytes(); len(raw) > limit {
		return id, nil, fmt.Errorf("a bundle has %d bytes and the chain takes %d: make it smaller", len(raw), limit)
	}
	return id, raw, nil
}

// ErrBusy is returned by Submit where the validator has no room for now.
var ErrBusy = errors.New("validator is busy")

// submitTimeout is after which a validator counts as not answering.
const submitTimeout = 15 * time.Second

// Submit hands a bundle to the validator and returns when it has it in safe keeping.
// Errors: ErrBusy; any other: refused.
func (s *Network) Submit(ctx context.Context, validator int, bundle []byte) error {
	ctx, cancel := context.WithTimeout(ctx, submitTimeout)
	defer cancel()
	_, err := s.Client(validator).SubmitBundle(ctx, connect.NewRequest(&sequencerv1.SubmitBundleRequest{Bundle: bundle}))
	if connect.CodeOf(err) == connect.CodeResourceExhausted {
		return fmt.Errorf("%w: %w", ErrBusy, err)
	}
	return err
}
