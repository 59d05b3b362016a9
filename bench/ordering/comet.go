package ordering

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"time"

	cmttypes "github.com/cometbft/cometbft/types"
	"golang.org/x/sync/errgroup"

	"github.com/ordo-network/ordo/bench/peers"
	"github.com/ordo-network/ordo/bench/testnet"
	"github.com/ordo-network/ordo/internal/freeport"
)

// comet is a network of plain CometBFT validators.
type comet struct {
	*testnet.Group
	n       int
	clients []peers.Client
	genesis *cmttypes.GenesisDoc
}

func startComet(ctx context.Context, o Options, validators int) (_ *comet, err error) {
	g, err := testnet.NewGroup(o.Dir, "comet", o.Keep)
	if err != nil {
		return nil, err
	}
	s := &comet{Group: g, n: validators}
	defer func() {
		if err != nil {
			_ = s.End() // the error that is returned says more
		}
	}()
	const ports = 4
	base, err := freeport.Claim(ports * validators)
	if err != nil {
		return nil, err
	}
	err = peers.Init(g.Dir, validators, o.Peer, func(i int) peers.Ports {
		at := base + ports*i
		return peers.Ports{P2P: at, Door: at + 1, Metrics: at + 2, Profile: at + 3}
	})
	if err != nil {
		return nil, err
	}
	if s.genesis, err = cmttypes.GenesisDocFromFile(peers.GenesisFile(g.Dir)); err != nil {
		return nil, fmt.Errorf("read genesis: %w", err)
	}
	for i := range validators {
		p, err := s.Start("peer-"+strconv.Itoa(i), o.Binary, "bench", "peer", "--home", peers.Home(g.Dir, i))
		if err != nil {
			return nil, err
		}
		at := base + ports*i
		p.Metrics = "http://" + testnet.Loopback(at+2) + "/metrics"
		p.Profile = "http://" + testnet.Loopback(at+3)
		s.clients = append(s.clients, peers.Client{URL: "http://" + testnet.Loopback(at+1), HTTP: testnet.HTTPClient(nil)})
	}
	err = s.Await(ctx, testnet.StartLimit, func(i int) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		h, err := s.clients[i].Height(ctx)
		if err == nil && h == 0 {
			err = errors.New("it has no block yet")
		}
		return err
	})
	return s, err
}

func (s *comet) name() string { return "CometBFT" }

func (s *comet) validators() int { return s.n }

func (s *comet) processes() []*testnet.Process { return s.All }

func (s *comet) close() error { return s.End() }

func (s *comet) received(ctx context.Context) ([]float64, error) {
	return scrapeAll(ctx, s.All, cometReceived)
}

func (s *comet) wrap(_ channel, _ int, payload []byte) (parcel, error) {
	return parcel{key: sha256.Sum256(payload), wire: payload}, nil
}

func (s *comet) submit(ctx context.Context, validator int, p parcel) error {
	ctx, cancel := context.WithTimeout(ctx, submitTimeout)
	defer cancel()
	err := s.clients[validator].Submit(ctx, p.wire)
	if errors.Is(err, peers.ErrBusy) {
		return fmt.Errorf("%w: %w", errBusy, err)
	}
	return err
}

// follow reads blocks, and heads, from the last validator. Its streams stand from
// their first moment on, which is when the door answers.
func (s *comet) follow(ctx context.Context, l *ledger, ready func()) error {
	group, ctx := errgroup.WithContext(ctx)
	from := s.clients[s.n-1]
	group.Go(func() error { return from.Heads(ctx, l.head) })
	group.Go(func() error {
		return from.Blocks(ctx, s.genesis, ready, func(b peers.Block) {
			for _, tx := range b.Txs {
				l.order(key(tx.Key), tx.Size, b.Height)
			}
		})
	})
	return group.Wait()
}
