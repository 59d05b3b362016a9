package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"github.com/ordo-network/ordo/order"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
)

// Errors of Sequencer.SubmitBundle, told apart by errors.Is. Any other error
// stands for a sequencer that did not answer: the bundle may be stored all the same.
var (
	// ErrBusy: the sequencer has no room for now.
	ErrBusy = errors.New("sequencer is busy")
	// ErrRefused: the sequencer does not take this bundle.
	ErrRefused = errors.New("sequencer refused the bundle")
	// ErrDropped: a block has dropped the bundle, and none will ever order it.
	ErrDropped = errors.New("chain dropped the bundle")
	// ErrUnfunded: the payer's account does not hold what the bundle costs.
	ErrUnfunded = errors.New("payer cannot pay for ordering")
	// ErrNoLane: the sequencer is no validator, or not one that can take bundles now.
	ErrNoLane = errors.New("sequencer takes no bundles: it has no lane")
)

// Info is what the gateway needs to know of the sequencer chain.
type Info struct {
	ChainID         string
	Height          uint64
	FeePerKilobyte  uint64 // uordo for 1,000 bytes
	MaxExpiryBlocks uint64
	MaxBundleBytes  uint64
	LaneOwner       order.Owner // whose lane takes the node's bundles; zero where it takes none
}

// SignFor returns a bundle's canonical encoding, signed for the owner's lane. Whatever
// the lane, it is the same bundle with the same ID.
type SignFor func(lane order.Owner) []byte

// Sequencer is one node of the sequencer chain. Methods are called concurrently.
type Sequencer interface {
	// String names the node in logs and metrics.
	String() string
	// SubmitBundle hands in a bundle, signed for the node's lane, and returns once the
	// node has it on disk. A bundle that the node knows already is no error.
	// Errors: ErrBusy, ErrRefused, ErrDropped, ErrUnfunded, ErrNoLane; any other: no answer.
	SubmitBundle(ctx context.Context, sign SignFor) error
	// Info describes the chain as this node sees it.
	Info(ctx context.Context) (Info, error)
}

// Remote is a sequencer node somewhere else.
type Remote struct {
	url       string
	http      *http.Client
	client    sequencerv1connect.SequencerServiceClient
	certified sequencerv1connect.SequencerServiceClient // for large messages
	lane      atomic.Pointer[order.Owner]               // as the node last told it; zero for none
}

var _ Sequencer = (*Remote)(nil)

// NewRemote returns the sequencer node whose API is at the URL, for example
// http://127.0.0.1:26680. Nothing is dialled before the first call.
func NewRemote(url string) *Remote {
	url = strings.TrimRight(url, "/")
	client := newHTTPClient()
	return &Remote{
		url: url, http: client,
		client: sequencerv1connect.NewSequencerServiceClient(client, url, connect.WithGRPC(), connect.WithReadMaxBytes(1<<16)),
		certified: sequencerv1connect.NewSequencerServiceClient(client, url, connect.WithGRPC(),
			connect.WithReadMaxBytes(maxCertifiedBytes), connect.WithCodec(certifiedCodec{})),
	}
}

// newHTTPClient speaks HTTP/2, without TLS too, so that bundles share one connection.
func newHTTPClient() *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Client{Transport: &http.Transport{
		Protocols:           protocols,
		DialContext:         (&net.Dialer{Timeout: 2 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS13},
		TLSHandshakeTimeout: 2 * time.Second,
		IdleConnTimeout:     time.Minute,
		HTTP2: &http.HTTP2Config{
			SendPingTimeout: 5 * time.Second,
			PingTimeout:     2 * time.Second,
		},
	}}
}

// String returns the URL.
func (r *Remote) String() string { return r.url }

// SubmitBundle implements Sequencer. The node is asked for its lane where that is not
// known, and where it refuses the bundle as it is: it may be another validator's by now.
func (r *Remote) SubmitBundle(ctx context.Context, sign SignFor) error {
	lane := r.lane.Load()
	if lane == nil || *lane == (order.Owner{}) {
		info, err := r.Info(ctx)
		if err != nil {
			return err
		}
		lane = &info.LaneOwner
	}
	for again := false; ; again = true {
		if *lane == (order.Owner{}) {
			return fmt.Errorf("%w: use the API of a validator that has", ErrNoLane)
		}
		raw := sign(*lane)
		err := r.submit(ctx, raw)
		if connect.CodeOf(err) != connect.CodeInvalidArgument || again {
			return r.explain(ctx, raw, err)
		}
		info, infoErr := r.Info(ctx)
		if infoErr != nil || info.LaneOwner == *lane {
			return r.explain(ctx, raw, err)
		}
		lane = &info.LaneOwner
	}
}

func (r *Remote) submit(ctx context.Context, raw []byte) error {
	_, err := r.client.SubmitBundle(ctx, connect.NewRequest(&sequencerv1.SubmitBundleRequest{Bundle: raw}))
	return err
}

// explain says in the gateway's terms why the node did not take the bundle.
func (r *Remote) explain(ctx context.Context, raw []byte, err error) error {
	if err == nil {
		return nil
	}
	reason := err.Error()
	if ce := new(connect.Error); errors.As(err, &ce) {
		reason = ce.Message()
	}
	switch connect.CodeOf(err) {
	case connect.CodeAlreadyExists:
		return nil
	case connect.CodeResourceExhausted:
		return fmt.Errorf("%w: %s", ErrBusy, reason)
	case connect.CodeFailedPrecondition:
		return fmt.Errorf("%w: %s", r.objection(ctx, raw), reason)
	case connect.CodeInvalidArgument, connect.CodeOutOfRange, connect.CodePermissionDenied:
		return fmt.Errorf("%w: %s", ErrRefused, reason)
	default:
		return err
	}
}

// objection finds out what the chain's state has against a bundle that the node
// refused for it: the code says no more than that. The node takes none, the bundle was
// dropped, or it is out of bounds; if nothing of that, the payer cannot pay.
func (r *Remote) objection(ctx context.Context, raw []byte) error {
	info, err := r.Info(ctx)
	if err != nil {
		return ErrRefused
	}
	if info.LaneOwner == (order.Owner{}) {
		return ErrNoLane // says nothing of the bundle: another node may take it
	}
	b, err := order.DecodeBundle(raw)
	if err != nil {
		return ErrRefused
	}
	id := b.ID(info.ChainID)
	status, err := r.client.GetBundleStatus(ctx, connect.NewRequest(&sequencerv1.GetBundleStatusRequest{BundleId: id[:]}))
	size := uint64(b.Size())
	switch {
	case err != nil:
		return ErrRefused
	case status.Msg.State == sequencerv1.BundleState_BUNDLE_STATE_DROPPED:
		return ErrDropped
	case b.Expiry <= info.Height, b.Expiry > info.Height+info.MaxExpiryBlocks, size > info.MaxBundleBytes,
		(size*info.FeePerKilobyte+999)/1000 > b.FeeLimit:
		return ErrRefused
	default:
		return ErrUnfunded
	}
}

// Info implements Sequencer.
func (r *Remote) Info(ctx context.Context) (Info, error) {
	resp, err := r.client.GetInfo(ctx, connect.NewRequest(&sequencerv1.GetInfoRequest{}))
	if err != nil {
		return Info{}, err
	}
	lane, err := order.OwnerFromBytes(resp.Msg.LaneOwner)
	if err != nil {
		lane = order.Owner{}
	}
	r.lane.Store(&lane)
	return Info{
		ChainID: resp.Msg.ChainId, Height: resp.Msg.LatestHeight, FeePerKilobyte: resp.Msg.FeePerKilobyte,
		MaxExpiryBlocks: resp.Msg.MaxExpiryBlocks, MaxBundleBytes: resp.Msg.MaxBundleBytes,
		LaneOwner: lane,
	}, nil
}
