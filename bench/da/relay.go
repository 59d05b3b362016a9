package da

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/ordo-network/ordo/bench/figures"
	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/layers"
	"github.com/ordo-network/ordo/follower"
)

// Relay is how a backlog went onto the layer. MB are of transactions where nothing
// else is said.
type Relay struct {
	MB         float64         `json:"mb"`
	PostedMB   float64         `json:"posted_mb"`
	Blobs      int             `json:"blobs"`
	Blocks     uint64          `json:"blocks"` // of the sequencer chain
	Seconds    float64         `json:"seconds"`
	MBps       float64         `json:"mb_per_second"`
	PostedMBps float64         `json:"posted_mb_per_second"`
	Processes  []figures.Usage `json:"processes"`
}

// Compression is how small the blocks of a kind of transactions got.
type Compression struct {
	Kind         string  `json:"kind"`
	Transactions int     `json:"transactions"`
	MB           float64 `json:"mb"`
	PostedMB     float64 `json:"posted_mb"` // blobs, with headers, signatures and proofs
	Ratio        float64 `json:"ratio"`     // of the two
}

// driver is the label of this process: who sends the load, reads, and serves the local layer.
const driver = "driver"

// relay lets a relayer post what is ordered up to the height, and measures what it
// made of it. The relayer runs on.
func (s *stage) relay(ctx context.Context, filled []ordered, height uint64, r *Report) (*runningRelayer, error) {
	names := make([]string, len(s.workloads))
	for i, w := range s.workloads {
		names[i] = w.name
	}
	began := time.Now()
	rel, err := s.startRelayer(ctx, "relayer", names, 1)
	if err != nil {
		return nil, err
	}
	pids := map[string]int{driver: os.Getpid(), rel.Label: rel.PID}
	for name, pid := range s.layer.pids {
		pids[name] = pid
	}
	for _, p := range s.network.All[:s.network.Validators] {
		pids[p.Label] = p.PID
	}
	meter := figures.NewMeter(pids)
	if err := rel.posted(ctx, height); err != nil {
		return nil, err
	}
	took := time.Since(began).Seconds()
	out := &Relay{Seconds: took, Blocks: height, Processes: meter.Read()}
	after, err := s.layerHead(ctx)
	if err != nil {
		return nil, err
	}
	for _, kind := range []string{kindTransfer, kindToken} {
		c := Compression{Kind: kind}
		for i, w := range s.workloads {
			if w.kind != kind {
				continue
			}
			blobs, bytes, err := s.onLayer(ctx, da.Namespace(w.id), s.from, after, height)
			if err != nil {
				return nil, err
			}
			c.Transactions += filled[i].transactions
			c.MB += float64(filled[i].bytes) / 1e6
			c.PostedMB += float64(bytes) / 1e6
			out.Blobs += blobs
		}
		if c.Transactions > 0 {
			c.Ratio = c.MB / c.PostedMB
			r.Compression = append(r.Compression, c)
		}
		out.MB += c.MB
		out.PostedMB += c.PostedMB
	}
	out.MBps, out.PostedMBps = out.MB/took, out.PostedMB/took
	r.Relay = out
	s.o.say("%.1f MB of transactions, %.1f MB of blobs, were posted in %.1f s: %.2f MB/s", out.MB, out.PostedMB, took, out.MBps)
	return rel, nil
}

func (s *stage) open() (layers.Layer, error) {
	return layers.Open(s.o.Layer, s.layer.settings, layers.Options{Logger: s.o.Logger})
}

func (s *stage) layerHead(ctx context.Context) (uint64, error) {
	l, err := s.open()
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Head(ctx)
}

// onLayer counts the blobs of a rollup between two heights of the layer, as far as
// they begin at or below a height of the sequencer chain.
func (s *stage) onLayer(ctx context.Context, ns da.Namespace, from, to, height uint64) (blobs, bytes int, err error) {
	l, err := s.open()
	if err != nil {
		return 0, 0, err
	}
	defer l.Close()
	for h := from; h <= to; h++ {
		stored, err := l.Blobs(ctx, h, ns)
		if err != nil {
			return 0, 0, fmt.Errorf("count blobs: %w", err)
		}
		for _, b := range stored {
			if r, err := follower.BlobRange(b.Data); err == nil && r.From <= height {
				blobs++
				bytes += len(b.Data)
			}
		}
	}
	return blobs, bytes, nil
}
