package ordering

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

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
	// portStride is how far apart the ports of two validators are; the tenth is free.
	portStride = 10
	startLimit = 60 * time.Second
	// readerLabel is that of the node to read from.
	readerLabel = "reader"
)

// ordo is a network of Ordo's validators, started by the commands of an operator.
type ordo struct {
	*group
	o       Options
	n       int
	payers  []ed25519.PrivateKey
	clients []sequencerv1connect.SequencerServiceClient // for submitting
	urls    []string                                    // of the API: validators, then the node to read from
	genesis string
	info    *sequencerv1.GetInfoResponse
	lanes   []order.Owner // of the validators

	next   atomic.Uint64 // bundle
	height atomic.Uint64 // last one that was heard of
}

// apiURL of node i.
func apiURL(base, i int) string { return "http://" + loopback(base+portStride*i+2) }

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// startOrdo makes and starts a network. With reader it has one more node, which is no
// validator and serves the order.
func startOrdo(ctx context.Context, o Options, validators int, reader bool) (_ *ordo, err error) {
	g, err := newGroup(o, "ordo")
	if err != nil {
		return nil, err
	}
	s := &ordo{group: g, o: o, n: validators, lanes: make([]order.Owner, validators), genesis: filepath.Join(g.dir, "validator-0", "config", "genesis.json")}
	defer func() {
		if err != nil {
			_ = s.end() // the error that is returned says more
		}
	}()
	nodes := validators
	if reader {
		nodes++
	}
	base, err := o.FreePorts(nodes * portStride)
	if err != nil {
		return nil, err
	}
	args := []string{"sequencer", "init-network", g.dir, "--chain-id", chainID, "--validators", strconv.Itoa(validators),
		"--base-port", strconv.Itoa(base), "--block-time", o.BlockTime.String()}
	for range payers {
		pub, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("make a payer: %w", err)
		}
		s.payers = append(s.payers, key)
		args = append(args, "--account", fmt.Sprintf("%s=%d", keys.Address(pub), uint64(payerFunds)))
	}
	if err := run(ctx, o.Binary, args...); err != nil {
		return nil, err
	}
	if reader {
		if err := s.initReader(ctx, base+portStride*validators); err != nil {
			return nil, err
		}
	}
	for i := range nodes {
		label := "validator-" + strconv.Itoa(i)
		if i >= validators {
			label = readerLabel
		}
		if err := s.startNode(label, base, i); err != nil {
			return nil, err
		}
	}
	err = s.await(ctx, startLimit, func(i int) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		info, err := s.client(i).GetInfo(ctx, connect.NewRequest(new(sequencerv1.GetInfoRequest)))
		if err != nil {
			return err
		}
		if info.Msg.GetLatestHeight() < 2 {
			return fmt.Errorf("it is at height %d", info.Msg.GetLatestHeight())
		}
		if i < validators {
			if s.lanes[i], err = order.OwnerFromBytes(info.Msg.GetLaneOwner()); err != nil {
				return fmt.Errorf("it has no lane yet: %w", err)
			}
		}
		s.info = info.Msg
		s.height.Store(info.Msg.GetLatestHeight())
		return nil
	})
	return s, err
}

// initReader makes the home of a node that joins the chain, with all validators as peers.
func (s *ordo) initReader(ctx context.Context, base int) error {
	dir := filepath.Join(s.dir, readerLabel)
	if err := run(ctx, s.o.Binary, "sequencer", "init", "--home", dir, "--moniker", readerLabel,
		"--genesis", s.genesis, "--base-port", strconv.Itoa(base), "--block-time", s.o.BlockTime.String()); err != nil {
		return err
	}
	peers, err := setting(filepath.Join(s.dir, "validator-0", "config", "config.toml"), "persistent_peers")
	if err != nil {
		return err
	}
	return set(filepath.Join(dir, "config", "config.toml"), map[string]string{
		"persistent_peers": peers, "addr_book_strict": "false", "allow_duplicate_ip": "true", "pex": "false",
	})
}

func (s *ordo) startNode(label string, base, i int) error {
	dir := filepath.Join(s.dir, label)
	profile := loopback(base + portStride*i + portStride - 1)
	if err := set(filepath.Join(dir, "config", "config.toml"), map[string]string{"pprof_laddr": strconv.Quote(profile)}); err != nil {
		return err
	}
	// One address is all the clients here.
	if err := set(filepath.Join(dir, "config", "ordo.toml"), map[string]string{"client_share": "1"}); err != nil {
		return err
	}
	p, err := s.start(label, s.o.Binary, "sequencer", "start", "--home", dir, "--log-level", "warn")
	if err != nil {
		return err
	}
	p.metrics = "http://" + loopback(base+portStride*i+3) + "/metrics"
	p.profile = "http://" + profile
	s.urls = append(s.urls, apiURL(base, i))
	s.clients = append(s.clients, sequencerv1connect.NewSequencerServiceClient(
		newHTTPClient(nil), s.urls[i], connect.WithReadMaxBytes(64<<10)))
	return nil
}

func (s *ordo) client(i int) sequencerv1connect.SequencerServiceClient { return s.clients[i] }

// newHTTPClient keeps connections, and counts what comes in over them where
// received is given. Answers are not compressed: the payload would not shrink.
func newHTTPClient(received *atomic.Int64) *http.Client {
	dialer := net.Dialer{Timeout: 2 * time.Second}
	return &http.Client{Transport: plain{&http.Transport{
		MaxIdleConnsPerHost: 4 * callers, DisableCompression: true,
		WriteBufferSize: 64 << 10, ReadBufferSize: 64 << 10,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, addr)
			if err == nil && received != nil {
				conn = countedConn{conn, received}
			}
			return conn, err
		},
	}}}
}

// plain does not offer to take compressed answers.
type plain struct{ http.RoundTripper }

func (p plain) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Del("Accept-Encoding")
	r.Header.Del("Connect-Accept-Encoding")
	return p.RoundTripper.RoundTrip(r)
}

type countedConn struct {
	net.Conn
	received *atomic.Int64
}

func (c countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.received.Add(int64(n))
	return n, err
}

func (s *ordo) name() string { return "Ordo" }

func (s *ordo) validators() int { return s.n }

func (s *ordo) processes() []*process { return s.all }

func (s *ordo) close() error { return s.end() }

func (s *ordo) received(ctx context.Context) ([]float64, error) {
	return scrapeAll(ctx, s.all[:s.n], "ordo_transport_received_bytes_total", cometReceived)
}

// rollupOf names the rollup that a channel's payloads are for.
func rollupOf(ch channel) order.RollupID {
	return order.NewRollupID([channels]string{bulk: "bench-bulk", sample: "bench-sample"}[ch])
}

func (s *ordo) wrap(ch channel, validator int, payload []byte) (parcel, error) {
	var txs [][]byte
	for size := s.o.TransactionBytes; len(payload) > size; payload = payload[size:] {
		txs = append(txs, payload[:size:size])
	}
	return s.sign(validator, []order.Leg{{RollupID: rollupOf(ch), Transactions: append(txs, payload)}})
}

// sign makes a bundle of the legs for the validator's lane, by the payers in turn.
func (s *ordo) sign(validator int, legs []order.Leg) (parcel, error) {
	payer := s.payers[s.next.Add(1)%payers]
	b := order.Bundle{Legs: legs, Expiry: s.height.Load() + s.info.GetMaxExpiryBlocks()*9/10}
	copy(b.Payer[:], payer.Public().(ed25519.PublicKey))
	b.FeeLimit = (uint64(b.Size())+64)*s.info.GetFeePerKilobyte()/1000 + 1
	id := b.ID(chainID) // hashes the legs: once is enough
	copy(b.Signature[:], ed25519.Sign(payer, id.SignBytes(s.lanes[validator])))
	raw := b.Encode()
	if limit := s.info.GetMaxBundleBytes(); uint64(len(raw)) > limit {
		return parcel{}, fmt.Errorf("a bundle has %d bytes and the chain takes %d: make it smaller with --size", len(raw), limit)
	}
	return parcel{key: key(id), wire: raw}, nil
}

// submitTimeout is after which a validator counts as not answering.
const submitTimeout = 15 * time.Second

func (s *ordo) submit(ctx context.Context, validator int, p parcel) error {
	ctx, cancel := context.WithTimeout(ctx, submitTimeout)
	defer cancel()
	_, err := s.client(validator).SubmitBundle(ctx, connect.NewRequest(&sequencerv1.SubmitBundleRequest{Bundle: p.wire}))
	if connect.CodeOf(err) == connect.CodeResourceExhausted {
		return fmt.Errorf("%w: %w", errBusy, err)
	}
	return err
}
