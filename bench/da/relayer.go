package da

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/ordo-network/ordo/bench/testnet"
	"github.com/ordo-network/ordo/config"
	"github.com/ordo-network/ordo/internal/freeport"
	"github.com/ordo-network/ordo/relayer"
)

// runningRelayer is a relayer's process.
type runningRelayer struct {
	*testnet.Process
	url string
}

// startRelayer lays out a relayer and starts it. It posts from the height on.
func (s *stage) startRelayer(ctx context.Context, label string, rollups []string, from uint64) (*runningRelayer, error) {
	port, err := freeport.Claim(1)
	if err != nil {
		return nil, err
	}
	cfg := relayer.DefaultConfig()
	cfg.Sequencers, cfg.SequencerGenesis, cfg.Rollups = s.network.URLs, s.network.Genesis, rollups
	cfg.Layer = s.o.Layer
	cfg.Layers = map[string]relayer.LayerConfig{s.o.Layer: {Config: s.layer.settings}}
	cfg.Metrics.Listen = testnet.Loopback(port)
	cfg.TrustingPeriod = config.Duration(24 * time.Hour)
	for _, name := range rollups {
		cfg.StartHeights[name] = from
	}
	home := filepath.Join(s.network.Dir, label)
	if err := relayer.Init(home, cfg); err != nil {
		return nil, fmt.Errorf("lay out %s: %w", label, err)
	}
	p, err := s.network.Start(label, s.o.Binary, "relayer", "start", "--home", home, "--log-level", "warn")
	if err != nil {
		return nil, err
	}
	r := &runningRelayer{p, "http://" + cfg.Metrics.Listen}
	for limit := time.Now().Add(testnet.StartLimit); ; {
		if _, err = r.status(ctx); err == nil {
			return r, nil
		}
		if gone := p.Ended(); gone != nil {
			return nil, gone
		}
		if ctx.Err() != nil || time.Now().After(limit) {
			return nil, fmt.Errorf("%s does not answer: %w", label, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// maxStatusBytes is more than the status of ten thousand rollups has.
const maxStatusBytes = 16 << 20

// status asks the relayer how it does.
func (r *runningRelayer) status(ctx context.Context) (out relayer.Status, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/status", nil)
	if err != nil {
		return out, fmt.Errorf("ask the relayer: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return out, fmt.Errorf("ask the relayer: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return out, fmt.Errorf("ask the relayer: HTTP status %s", resp.Status)
	}
	if err := json.NewDecoder(http.MaxBytesReader(nil, resp.Body, maxStatusBytes)).Decode(&out); err != nil {
		return out, fmt.Errorf("ask the relayer: %w", err)
	}
	return out, nil
}

// posted waits until everything up to the height is on the layer, for all rollups. It
// gives up when nothing was posted for a while.
func (r *runningRelayer) posted(ctx context.Context, height uint64) error {
	var before uint64
	moved := time.Now()
	for {
		st, err := r.status(ctx)
		if err != nil {
			return errors.Join(err, r.Ended())
		}
		done, sum := len(st.Rollups) > 0, uint64(0)
		for _, ru := range st.Rollups {
			done = done && ru.PostedHeight >= height
			sum += ru.PostedHeight
		}
		if done {
			return nil
		}
		if sum != before {
			before, moved = sum, time.Now()
		}
		if time.Since(moved) > settleLimit {
			return fmt.Errorf("the relayer has posted nothing for %v, and not all up to height %d", settleLimit, height)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.Done():
			return r.Ended()
		case <-time.After(50 * time.Millisecond):
		}
	}
}
