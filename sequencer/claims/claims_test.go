package claims

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/eigenda"
	"github.com/ordo-network/ordo/follower"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
)

// testNode answers as its fields say.
type testNode struct {
	sequencerv1connect.UnimplementedSequencerServiceHandler
	list func(*v1.ListClaimsRequest) (*v1.ListClaimsResponse, error)
	head func() uint64
}

func (n *testNode) ListClaims(_ context.Context, r *connect.Request[v1.ListClaimsRequest]) (*connect.Response[v1.ListClaimsResponse], error) {
	res, err := n.list(r.Msg)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(res), nil
}

func (n *testNode) GetInfo(context.Context, *connect.Request[v1.GetInfoRequest]) (*connect.Response[v1.GetInfoResponse], error) {
	return connect.NewResponse(&v1.GetInfoResponse{LatestHeight: n.head()}), nil
}

func serve(t *testing.T, n *testNode) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(sequencerv1connect.NewSequencerServiceHandler(n))
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

var alpha, beta = da.Namespace{1}, da.Namespace{2}

func recordedClaim(height uint64, c da.Claim) *v1.RecordedClaim {
	return &v1.RecordedClaim{Height: height, Relayer: "ordo1relayer", Claim: ToProto(c)}
}

func cert(ns da.Namespace, commitments ...string) da.Claim {
	c := da.Claim{Rollup: ns, Layer: "eigenda"}
	for _, text := range commitments {
		c.Parts = append(c.Parts, da.Part{Ref: da.Ref{Commitment: []byte(text)}, ID: da.ID([]byte(text))})
	}
	return c
}

func TestEntries(t *testing.T) {
	t.Parallel()
	n := &testNode{list: func(r *v1.ListClaimsRequest) (*v1.ListClaimsResponse, error) {
		if !bytes.Equal(r.RollupId, alpha[:]) || r.Layer != "eigenda" || r.FromHeight != 5 {
			return nil, fmt.Errorf("asked for %v", r)
		}
		return &v1.ListClaimsResponse{ToHeight: 9, Claims: []*v1.RecordedClaim{recordedClaim(5, cert(alpha, "a", "b")), recordedClaim(9, cert(alpha, "c"))}}, nil
	}}
	// The first node is down, and is not asked again once another has answered.
	x := NewIndex([]string{"http://127.0.0.1:1", serve(t, n)}, http.DefaultClient, nil)
	for range 2 {
		got, to, err := x.Entries(t.Context(), alpha, 5)
		want := []eigenda.Recorded{
			{Height: 5, Commitment: []byte("a"), ID: da.ID([]byte("a"))}, {Height: 5, Commitment: []byte("b"), ID: da.ID([]byte("b"))},
			{Height: 9, Commitment: []byte("c"), ID: da.ID([]byte("c"))},
		}
		if err != nil || to != 9 || !reflect.DeepEqual(got, want) {
			t.Fatalf("%v up to %d, %v", got, to, err)
		}
	}
	if x.current.Load() != 1 {
		t.Error("the first node is asked first still")
	}
}

func TestAnswersThatMakeNoSense(t *testing.T) {
	t.Parallel()
	bad := cert(alpha, "a")
	short := recordedClaim(5, bad)
	short.Claim.Parts[0].BlobId = []byte{1}
	many := recordedClaim(5, bad)
	for range da.MaxClaimParts {
		many.Claim.Parts = append(many.Claim.Parts, many.Claim.Parts[0])
	}
	other := bad
	other.Layer = "celestia"
	for name, m := range map[string]*v1.ListClaimsResponse{
		"goes back":            {ToHeight: 3},
		"before what is asked": {ToHeight: 9, Claims: []*v1.RecordedClaim{recordedClaim(4, bad)}},
		"after the end":        {ToHeight: 9, Claims: []*v1.RecordedClaim{recordedClaim(10, bad)}},
		"out of order":         {ToHeight: 9, Claims: []*v1.RecordedClaim{recordedClaim(7, bad), recordedClaim(6, bad)}},
		"another rollup":       {ToHeight: 9, Claims: []*v1.RecordedClaim{recordedClaim(5, cert(beta, "a"))}},
		"another layer":        {ToHeight: 9, Claims: []*v1.RecordedClaim{recordedClaim(5, other)}},
		"short ID":             {ToHeight: 9, Claims: []*v1.RecordedClaim{short}},
		"too many parts":       {ToHeight: 9, Claims: []*v1.RecordedClaim{many}},
		"no claim":             {ToHeight: 9, Claims: []*v1.RecordedClaim{{Height: 5}}},
	} {
		liar := serve(t, &testNode{list: func(*v1.ListClaimsRequest) (*v1.ListClaimsResponse, error) { return m, nil }})
		if _, _, err := NewIndex([]string{liar}, http.DefaultClient, nil).Entries(t.Context(), alpha, 5); !errors.Is(err, da.ErrUnavailable) {
			t.Errorf("%s: %v, want it to count as unavailable", name, err)
		}
	}
}

func TestWaitHead(t *testing.T) {
	t.Parallel()
	height := uint64(3)
	x := NewIndex([]string{serve(t, &testNode{head: func() uint64 { height++; return height }})}, http.DefaultClient, nil)
	if got, err := x.WaitHead(t.Context(), 5); err != nil || got != 6 {
		t.Fatalf("%d, %v", got, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := x.WaitHead(ctx, 1000); !errors.Is(err, da.ErrUnavailable) {
		t.Fatal(err)
	}
}

type claimer func([]da.Claim) (uint64, error)

func (c claimer) Claim(_ context.Context, list []da.Claim) (uint64, error) { return c(list) }

// What is not a blob is recorded, too: whoever reads it sees what it is.
func TestRecord(t *testing.T) {
	t.Parallel()
	var got []da.Claim
	x := NewIndex(nil, nil, claimer(func(list []da.Claim) (uint64, error) {
		got = list
		return 7, nil
	}))
	height, err := x.Record(t.Context(), []eigenda.Entry{
		{Namespace: alpha, Commitment: []byte("c1"), Data: []byte("junk")},
		{Namespace: beta, Commitment: []byte("c2"), Data: []byte("other")},
	})
	want := []da.Claim{
		{Rollup: alpha, Layer: "eigenda", Parts: []da.Part{{Ref: da.Ref{Commitment: []byte("c1")}, ID: da.ID([]byte("junk"))}}},
		{Rollup: beta, Layer: "eigenda", Parts: []da.Part{{Ref: da.Ref{Commitment: []byte("c2")}, ID: da.ID([]byte("other"))}}},
	}
	if err != nil || height != 7 || !reflect.DeepEqual(got, want) {
		t.Fatalf("%d, %v: %v", height, err, got)
	}
	if _, err := NewIndex(nil, nil, nil).Record(t.Context(), nil); !errors.Is(err, da.ErrRejected) {
		t.Fatalf("without an account: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("junk"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := Decode(raw)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		again, err := FromProto(ToProto(c))
		if err != nil || !reflect.DeepEqual(again, c) {
			t.Fatalf("%v came back as %v, %v", c, again, err)
		}
	})
}

// Parts of a blob that are recorded together become one claim, which validators can look
// at; those that are not become records.
func TestPartsBecomeOneClaim(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../follower/testdata/blob.hex")
	if err != nil {
		t.Fatal(err)
	}
	whole, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	// Of a blob's content nothing is looked at.
	large := append(bytes.Clone(whole), make([]byte, 300_000)...)
	parts, err := follower.SplitBlob(large, 120_000)
	if err != nil || len(parts) != 3 {
		t.Fatalf("%d parts, %v", len(parts), err)
	}
	entry := func(ns da.Namespace, data []byte) eigenda.Entry {
		id := da.ID(data)
		return eigenda.Entry{Namespace: ns, Commitment: id[:8], Data: data}
	}
	p := func(i int) eigenda.Entry { return entry(alpha, parts[i]) }
	foreign := entry(beta, parts[1])
	type claim struct {
		from, to uint64
		parts    int
	}
	for name, tc := range map[string]struct {
		entries []eigenda.Entry
		want    []claim
	}{
		"whole":         {[]eigenda.Entry{entry(alpha, whole)}, []claim{{1, 4, 1}}},
		"parts":         {[]eigenda.Entry{p(0), p(1), p(2), entry(beta, whole)}, []claim{{1, 4, 3}, {1, 4, 1}}},
		"not all":       {[]eigenda.Entry{p(0), p(1)}, []claim{{0, 0, 1}, {0, 0, 1}}},
		"the rest":      {[]eigenda.Entry{p(1), p(2)}, []claim{{0, 0, 1}, {0, 0, 1}}},
		"out of order":  {[]eigenda.Entry{p(0), p(2), p(1)}, []claim{{0, 0, 1}, {0, 0, 1}, {0, 0, 1}}},
		"of two":        {[]eigenda.Entry{p(0), foreign, p(2)}, []claim{{0, 0, 1}, {0, 0, 1}, {0, 0, 1}}},
		"one twice":     {[]eigenda.Entry{p(0), p(0), p(1), p(2)}, []claim{{0, 0, 1}, {1, 4, 3}}},
		"behind others": {[]eigenda.Entry{entry(alpha, []byte("junk")), p(0), p(1), p(2)}, []claim{{0, 0, 1}, {1, 4, 3}}},
	} {
		var got []claim
		for _, c := range claimsOf(tc.entries) {
			got = append(got, claim{c.From, c.To, len(c.Parts)})
		}
		if !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
	// Certificates too large for one claim.
	big := []eigenda.Entry{p(0), p(1), p(2)}
	for i := range big {
		big[i].Commitment = make([]byte, maxClaimBytes/3)
	}
	if got := claimsOf(big); len(got) != 3 || got[0].To != 0 {
		t.Errorf("%d claims", len(got))
	}
}
