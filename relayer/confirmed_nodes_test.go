package relayer

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"connectrpc.com/connect"

	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
)

// availableNode says that alpha is confirmed up to a height.
type availableNode struct {
	sequencerv1connect.UnimplementedSequencerServiceHandler
	to   uint64
	down bool
}

func (n *availableNode) GetAvailability(_ context.Context, r *connect.Request[sequencerv1.GetAvailabilityRequest]) (*connect.Response[sequencerv1.GetAvailabilityResponse], error) {
	if n.down {
		return nil, connect.NewError(connect.CodeUnavailable, errors.New("down"))
	}
	out := &sequencerv1.GetAvailabilityResponse{Height: 100}
	for _, id := range r.Msg.RollupIds {
		a := &sequencerv1.RollupAvailability{RollupId: id, From: 1, To: n.to}
		out.Rollups = append(out.Rollups, a, a) // said twice it is not said by two
	}
	return connect.NewResponse(out), nil
}

func TestOneNodeAloneIsNotBelievedThatClaimsAreConfirmed(t *testing.T) {
	t.Parallel()
	alpha := order.NewRollupID("alpha")
	for name, tc := range map[string]struct {
		nodes []availableNode
		want  uint64 // 0: an error
	}{
		"one":                 {[]availableNode{{to: 5}}, 5},
		"one lies":            {[]availableNode{{to: 900}, {to: 5}, {to: 5}}, 5},
		"one lies, of two":    {[]availableNode{{to: 900}, {to: 5}}, 5},
		"one is behind":       {[]availableNode{{to: 2}, {to: 7}, {to: 6}}, 6},
		"one does not answer": {[]availableNode{{down: true}, {to: 6}}, 6},
		"none answers":        {[]availableNode{{down: true}, {down: true}}, 0},
	} {
		var cfg follower.GroupConfig
		for i := range tc.nodes {
			mux := http.NewServeMux()
			mux.Handle(sequencerv1connect.NewSequencerServiceHandler(&tc.nodes[i]))
			s := httptest.NewServer(mux)
			t.Cleanup(s.Close)
			cfg.Endpoints = append(cfg.Endpoints, s.URL)
		}
		cfg.Logger = slog.New(slog.DiscardHandler)
		client := &http.Client{Transport: &http.Transport{}}
		t.Cleanup(client.CloseIdleConnections)
		n := &nodes{cfg: cfg, client: client}
		got, err := n.confirmed(t.Context(), []order.RollupID{alpha})
		if got[alpha].To != tc.want || (err != nil) != (tc.want == 0) {
			t.Errorf("%s: confirmed up to %d, %v, want %d", name, got[alpha].To, err, tc.want)
		}
	}
}
