package devnet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/ordo-network/ordo/internal/jsonrpc"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
)

const probeTimeout = time.Second

// Probe asks a network how it stands, from outside, as any client would.
type Probe struct {
	endpoints *Endpoints
	http      *http.Client

	// What the last call of status saw.
	last     Status
	executed float64
	asked    time.Time
}

// NewProbe returns a probe of the network with these endpoints.
func NewProbe(e *Endpoints) *Probe {
	p := &Probe{endpoints: e, http: &http.Client{Timeout: probeTimeout}}
	for _, r := range e.Rollups {
		p.last.Rollups = append(p.last.Rollups, RollupStatus{Name: r.Name})
	}
	return p
}

// missing returns the names of those that do not answer yet.
func (p *Probe) missing(ctx context.Context) []string {
	var owners []string // of the metrics, in the order of Endpoints.Metrics
	var checks []func() string
	check := func(owner string, ask func() error) {
		checks = append(checks, func() string {
			if ask() != nil {
				return owner
			}
			return ""
		})
	}
	for i, url := range p.endpoints.Sequencers {
		owners = append(owners, validatorName(i))
		check(validatorName(i), func() error {
			info, err := p.SequencerInfo(ctx, url)
			switch {
			case err != nil:
				return err
			case info.GetLatestHeight() == 0:
				return errNoBlock
			case len(info.GetLaneOwner()) == 0:
				return errNoLane
			}
			return nil
		})
	}
	owners = append(owners, "relayer")
	for _, r := range p.endpoints.Rollups {
		owners = append(owners, "rollup "+r.Name)
		check("rollup "+r.Name, func() error {
			_, err := p.Block(ctx, r.RPC, "latest")
			return err
		})
	}
	for i, url := range p.endpoints.Metrics {
		check(owners[i], func() error {
			_, err := p.Metric(ctx, url, "")
			return err
		})
	}
	for _, d := range p.endpoints.DA {
		if d.Layer != localLayer { // which is in the relayer, or in another network's
			check("DA layer "+d.Layer, func() error { return p.answers(ctx, d.URL) })
		}
	}
	var missing []string
	for _, name := range concurrently(checks) {
		if name != "" && !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
	}
	return missing
}

var (
	errNoBlock   = errors.New("the chain has no block yet")
	errNoLane    = errors.New("the validator takes no bundles yet")
	errNoMetrics = errors.New("the endpoints name no such metrics")
)

// status asks everybody at once. Who does not answer keeps the values it had.
func (p *Probe) status(ctx context.Context) *Status {
	next := Status{Height: p.last.Height, Rollups: make([]RollupStatus, len(p.last.Rollups))}
	heights := make([]func() uint64, len(p.endpoints.Sequencers))
	for i, url := range p.endpoints.Sequencers {
		heights[i] = func() uint64 {
			h, _ := p.SequencerHeight(ctx, url) // one that is down counts as 0
			return h
		}
	}
	executed := make([]func() float64, len(p.endpoints.Rollups))
	for i, r := range p.endpoints.Rollups {
		executed[i] = func() float64 {
			s := p.last.Rollups[i]
			latest, err := p.Block(ctx, r.RPC, "latest")
			if err == nil {
				s.Latest = latest
			}
			if safe, err := p.Block(ctx, r.RPC, "safe"); err == nil {
				s.Safe = safe
			}
			s.Up = err == nil
			next.Rollups[i] = s
			n, _ := p.Metric(ctx, p.endpoints.rollupMetrics(i), `ordo_rollup_transactions_total{outcome="executed"}`)
			return n
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for _, h := range concurrently(heights) {
			next.Height = max(next.Height, h)
		}
	})
	sum := 0.0
	wg.Go(func() {
		for _, n := range concurrently(executed) {
			sum += n
		}
	})
	wg.Wait()
	now := time.Now()
	// A counter falls where its process started anew: no rate can be told then.
	if span := now.Sub(p.asked).Seconds(); !p.asked.IsZero() && sum >= p.executed && span > 0 {
		next.PerSecond = (sum - p.executed) / span
	}
	p.executed, p.asked = sum, now
	p.last = next
	return &next
}

// SequencerHeight returns the last height of the sequencer node at url.
func (p *Probe) SequencerHeight(ctx context.Context, url string) (uint64, error) {
	info, err := p.SequencerInfo(ctx, url)
	return info.GetLatestHeight(), err
}

// SequencerInfo returns what the sequencer node at url says of itself.
func (p *Probe) SequencerInfo(ctx context.Context, url string) (*sequencerv1.GetInfoResponse, error) {
	client := sequencerv1connect.NewSequencerServiceClient(p.http, url, connect.WithReadMaxBytes(1<<20))
	info, err := client.GetInfo(ctx, connect.NewRequest(&sequencerv1.GetInfoRequest{}))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", url, err)
	}
	return info.Msg, nil
}

// Block returns the number of the block that a rollup has under a tag, such as
// "latest" or "safe".
func (p *Probe) Block(ctx context.Context, rpc, tag string) (uint64, error) {
	var head struct {
		Number jsonrpc.Quantity `json:"number"`
	}
	client := jsonrpc.Client{URL: rpc, HTTP: p.http}
	err := client.Call(ctx, &head, "eth_getBlockByNumber", tag, false)
	return uint64(head.Number), err
}

// RelayedHeight returns up to which height of the order a rollup's data is on the DA
// layer.
func (p *Probe) RelayedHeight(ctx context.Context, rollup string) (uint64, error) {
	h, err := p.Metric(ctx, p.endpoints.relayerMetrics(), fmt.Sprintf("ordo_relayer_confirmed_height{rollup=%q}", rollup))
	return uint64(h), err
}

// answers asks for anything: whatever the answer, something answers.
func (p *Probe) answers(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	return resp.Body.Close()
}

// Metric returns one series of a Prometheus endpoint, and 0 where it is not there.
func (p *Probe) Metric(ctx context.Context, url, series string) (float64, error) {
	if url == "" {
		return 0, errNoMetrics
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, fmt.Errorf("ask %s: %w", url, err)
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return 0, fmt.Errorf("ask %s: %w", url, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("ask %s: HTTP status %s", url, resp.Status)
	}
	lines := bufio.NewScanner(io.LimitReader(resp.Body, 8<<20))
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), series+" "); ok && series != "" {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, lines.Err()
}

// concurrently runs the functions at once and returns their results in order.
func concurrently[T any](fs []func() T) []T {
	out := make([]T, len(fs))
	var wg sync.WaitGroup
	for i, f := range fs {
		wg.Go(func() { out[i] = f() })
	}
	wg.Wait()
	return out
}
