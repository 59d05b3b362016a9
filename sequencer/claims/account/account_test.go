package account

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	sdk "github.com/cosmos/cosmos-sdk/types"
	authsigning "github.com/cosmos/cosmos-sdk/x/auth/signing"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/sequencer/app"
	"github.com/ordo-network/ordo/sequencer/availability"
	availabilityv1 "github.com/ordo-network/ordo/sequencer/availability/v1"
	"github.com/ordo-network/ordo/sequencer/claims"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
)

// seen is a transaction as it was submitted.
type seen struct {
	sequence, gas uint64
	fee           string
	messages      []*availabilityv1.MsgClaim
}

// testNode takes what its field says.
type testNode struct {
	sequencerv1connect.UnimplementedSequencerServiceHandler
	t      *testing.T
	enc    *app.Encoding
	answer func(seen) (*v1.SubmitTransactionResponse, error)

	mu       sync.Mutex
	sequence uint64 // as it tells
	unknown  bool   // the account
	got      []seen
	recorded []*v1.RecordedClaim
	list     func() error // where set, comes before an answer of ListClaims
	infos    int          // how often it was asked about the chain
}

func (n *testNode) GetInfo(context.Context, *connect.Request[v1.GetInfoRequest]) (*connect.Response[v1.GetInfoResponse], error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.infos++
	return connect.NewResponse(&v1.GetInfoResponse{ChainId: "ordo-test"}), nil
}

func (n *testNode) GetAccount(context.Context, *connect.Request[v1.GetAccountRequest]) (*connect.Response[v1.GetAccountResponse], error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.unknown {
		return nil, connect.NewError(connect.CodeNotFound, errors.New("no such account: send it some uordo first"))
	}
	return connect.NewResponse(&v1.GetAccountResponse{AccountNumber: 3, Sequence: n.sequence}), nil
}

func (n *testNode) SubmitTransaction(_ context.Context, r *connect.Request[v1.SubmitTransactionRequest]) (*connect.Response[v1.SubmitTransactionResponse], error) {
	tx, err := n.enc.TxConfig.TxDecoder()(r.Msg.Transaction)
	if err != nil {
		n.t.Error(err)
		return nil, err
	}
	var s seen
	fees := tx.(sdk.FeeTx)
	s.gas, s.fee = fees.GetGas(), fees.GetFee().String()
	sigs, err := tx.(authsigning.SigVerifiableTx).GetSignaturesV2()
	if err != nil {
		n.t.Error(err)
		return nil, err
	}
	s.sequence = sigs[0].Sequence
	for _, m := range tx.GetMsgs() {
		s.messages = append(s.messages, m.(*availabilityv1.MsgClaim))
	}
	n.mu.Lock()
	n.got = append(n.got, s)
	n.mu.Unlock()
	res, err := n.answer(s)
	if err != nil {
		return nil, err
	}
	if res.Code == 0 && res.Height > 0 {
		n.record(s, res.Height)
	}
	return connect.NewResponse(res), nil
}

func (n *testNode) record(s seen, height uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.note(s, height)
}

func (n *testNode) note(s seen, height uint64) {
	for _, m := range s.messages {
		for _, c := range m.Claims {
			r := &v1.RecordedClaim{Height: height, Relayer: m.Relayer, Claim: new(v1.Claim)}
			raw, err := c.Marshal()
			if err := errors.Join(err, proto.Unmarshal(raw, r.Claim)); err != nil {
				n.t.Error(err)
			}
			n.recorded = append(n.recorded, r)
		}
	}
}

func (n *testNode) ListClaims(_ context.Context, r *connect.Request[v1.ListClaimsRequest]) (*connect.Response[v1.ListClaimsResponse], error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.list != nil {
		if err := n.list(); err != nil {
			return nil, err
		}
	}
	out := &v1.ListClaimsResponse{ToHeight: 100}
	for _, c := range n.recorded {
		if bytes.Equal(c.Claim.RollupId, r.Msg.RollupId) && c.Height >= r.Msg.FromHeight {
			out.Claims = append(out.Claims, c)
		}
	}
	return connect.NewResponse(out), nil
}

func start(t *testing.T, answer func(seen) (*v1.SubmitTransactionResponse, error)) (*testNode, *Account) {
	t.Helper()
	n, url := serve(t, answer)
	return n, account(t, "ordo-test", "http://127.0.0.1:1", url)
}

func serve(t *testing.T, answer func(seen) (*v1.SubmitTransactionResponse, error)) (*testNode, string) {
	t.Helper()
	enc, err := app.NewEncoding()
	if err != nil {
		t.Fatal(err)
	}
	n := &testNode{t: t, enc: enc, answer: answer, sequence: 5}
	mux := http.NewServeMux()
	mux.Handle(sequencerv1connect.NewSequencerServiceHandler(n))
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return n, s.URL
}

func account(t *testing.T, chainID string, endpoints ...string) *Account {
	t.Helper()
	a, err := New(Options{Endpoints: endpoints, ChainID: chainID, Key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func included(seen) (*v1.SubmitTransactionResponse, error) {
	return &v1.SubmitTransactionResponse{Height: 9}, nil
}

func refused(height uint64, code uint32, codespace string) (*v1.SubmitTransactionResponse, error) {
	return &v1.SubmitTransactionResponse{Height: height, Code: code, Codespace: codespace, Log: "the reason"}, nil
}

func list(n, commitment int) []da.Claim {
	out := make([]da.Claim, n)
	for i := range out {
		out[i] = da.Claim{Rollup: da.Namespace{byte(i), byte(i >> 8)}, Layer: "celestia", From: 1, To: 2, Parts: []da.Part{{Ref: da.Ref{Height: 3, Commitment: make([]byte, commitment)}}}}
	}
	return out
}

func TestClaim(t *testing.T) {
	t.Parallel()
	n, a := start(t, included)
	for i := range uint64(3) {
		height, err := a.Claim(t.Context(), list(100, 61))
		if err != nil || height != 9 {
			t.Fatalf("%d, %v", height, err)
		}
		got := n.got[i]
		// The node tells the same sequence each time: it is behind the block that it told of.
		if got.sequence != 5+i || len(got.messages) != 2 || len(got.messages[0].Claims) != availability.MaxMessageClaims || len(got.messages[1].Claims) != 100-availability.MaxMessageClaims {
			t.Fatalf("transaction %d: %+v", i, got)
		}
		if m := got.messages[1]; m.Relayer != a.Address() || m.Claims[0].RollupId[0] != availability.MaxMessageClaims || len(m.Claims[0].Parts[0].Commitment) != 61 {
			t.Fatalf("message %v", m)
		}
	}
	n.sequence = 20
	if _, err := a.Claim(t.Context(), list(1, 0)); err != nil || n.got[3].sequence != 20 {
		t.Fatalf("%+v, %v", n.got[3], err)
	}
}

// As many as a layer's largest submission fit into one transaction, with certificates.
func TestLargestTransaction(t *testing.T) {
	t.Parallel()
	n, a := start(t, included)
	if _, err := a.Claim(t.Context(), list(128, 1500)); err != nil {
		t.Fatal(err)
	}
	if got := n.got[0]; got.gas > maxGas || len(got.messages) != 2 {
		t.Fatalf("%d messages of %d gas", len(got.messages), got.gas)
	}
	if _, err := a.Claim(t.Context(), list(256, 4000)); !errors.Is(err, da.ErrTooLarge) {
		t.Fatal(err)
	}
}

// A claim holds the parts of the largest blob, cut for the layer with the smallest limit,
// wherever a layer calls a part by no more than a namespace and a hash, as Celestia does:
// all layers that have heights do.
func TestTheLargestBlobCanBeClaimed(t *testing.T) {
	t.Parallel()
	blob := make([]byte, follower.DefaultBlobLimits.MaxBytes)
	copy(blob, "ordb\x02")
	binary.BigEndian.PutUint64(blob[5:], 1)
	binary.BigEndian.PutUint32(blob[13:], 1)
	parts, err := follower.SplitBlob(blob, follower.MinBlobLimit)
	if err != nil {
		t.Fatal(err)
	}
	c := da.Claim{Rollup: da.Namespace{1}, Layer: "sixteen-bytes-ok", From: math.MaxInt64 - 1, To: math.MaxInt64}
	for _, p := range parts {
		c.Parts = append(c.Parts, da.Part{Ref: da.Ref{Height: math.MaxInt64, Commitment: make([]byte, 29+32)}, ID: da.ID(p)})
	}
	n, a := start(t, included)
	if _, err := a.Claim(t.Context(), []da.Claim{c}); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d parts, %d bytes", len(parts), n.got[0].messages[0].Claims[0].Size())
}

func TestAnswersAreClassed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answer func() (*v1.SubmitTransactionResponse, error)
		want   error
		says   string
	}{
		"malformed claim": {func() (*v1.SubmitTransactionResponse, error) {
			return refused(9, availability.CodeClaim, availability.ModuleName)
		}, da.ErrRejected, "the reason"},
		"no room": {func() (*v1.SubmitTransactionResponse, error) {
			return refused(9, availability.CodeNoRoom, availability.ModuleName)
		}, claims.ErrNoRoom, "the reason"},
		"no money":          {func() (*v1.SubmitTransactionResponse, error) { return refused(0, 5, "sdk") }, da.ErrUnavailable, "the reason"},
		"wrong sequence":    {func() (*v1.SubmitTransactionResponse, error) { return refused(0, 32, "sdk") }, da.ErrUnavailable, "code 32 of sdk"},
		"always more gas":   {func() (*v1.SubmitTransactionResponse, error) { return refused(9, 11, "sdk") }, da.ErrTooLarge, "the reason"},
		"always more money": {func() (*v1.SubmitTransactionResponse, error) { return refused(0, 13, "sdk") }, da.ErrUnavailable, "code 13 of sdk"},
		"node is full": {func() (*v1.SubmitTransactionResponse, error) {
			return nil, connect.NewError(connect.CodeUnavailable, errors.New("full"))
		}, da.ErrUnavailable, "full"},
		"never in a block": {func() (*v1.SubmitTransactionResponse, error) {
			return nil, connect.NewError(connect.CodeDeadlineExceeded, errors.New("late"))
		}, da.ErrUnavailable, "late"},
		"nothing in it":       {func() (*v1.SubmitTransactionResponse, error) { return new(v1.SubmitTransactionResponse), nil }, da.ErrUnavailable, "makes no sense"},
		"code like another's": {func() (*v1.SubmitTransactionResponse, error) { return refused(9, availability.CodeClaim, "sdk") }, da.ErrUnavailable, "the reason"},
	} {
		_, a := start(t, func(seen) (*v1.SubmitTransactionResponse, error) { return tc.answer() })
		if _, err := a.Claim(t.Context(), list(1, 0)); !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	n, a := start(t, included)
	n.unknown = true
	if _, err := a.Claim(t.Context(), list(1, 0)); !errors.Is(err, da.ErrUnavailable) || !strings.Contains(err.Error(), "send it some uordo") {
		t.Errorf("unknown account: %v", err)
	}
	bad := list(1, 0)
	bad[0].Layer = "No Layer"
	for _, wrong := range [][]da.Claim{nil, bad} {
		if _, err := a.Claim(t.Context(), wrong); !errors.Is(err, da.ErrRejected) {
			t.Errorf("%v", err)
		}
	}
}

// A node may ask for a higher price, and a transaction may need more gas, than was thought.
func TestPaysWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	n, a := start(t, func(s seen) (*v1.SubmitTransactionResponse, error) {
		switch fee, err := sdk.ParseCoinNormalized(s.fee); {
		case err != nil:
			return nil, err
		case float64(fee.Amount.Int64()) < math.Floor(float64(s.gas)*0.01):
			return refused(0, 13, "sdk")
		case s.gas < 500_000:
			return refused(9, 11, "sdk")
		}
		return &v1.SubmitTransactionResponse{Height: 10}, nil
	})
	if height, err := a.Claim(t.Context(), list(1, 0)); err != nil || height != 10 {
		t.Fatal(err)
	}
	var sequences []uint64
	for _, s := range n.got {
		sequences = append(sequences, s.sequence)
	}
	// What ran out of gas was in a block.
	if want := []uint64{5, 5, 5, 6}; !slices.Equal(sequences, want) {
		t.Errorf("sequences %v, want %v", sequences, want)
	}
	// The next one is tried for less again.
	if _, err := a.Claim(t.Context(), list(1, 0)); err != nil || n.got[4].fee != n.got[0].fee {
		t.Errorf("%d transactions, the last first for %s, %v", len(n.got), n.got[4].fee, err)
	}
}

// Callers at the same time go one after the other.
func TestConcurrentClaims(t *testing.T) {
	t.Parallel()
	n, a := start(t, included)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := a.Claim(t.Context(), list(1, 0)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for i, s := range n.got {
		if s.sequence != 5+uint64(i) {
			t.Errorf("transaction %d has sequence %d", i, s.sequence)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	key := make(ed25519.PrivateKey, ed25519.PrivateKeySize)
	for _, o := range []Options{
		{Key: key}, {Endpoints: []string{"http://a"}}, {Endpoints: []string{"http://a"}, Key: key, GasPrice: -1}, {Endpoints: []string{"http://a"}, Key: key, GasPrice: math.NaN()},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}
