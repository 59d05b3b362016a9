package relayer

import (
	"time"
)

// Status is how a relayer does, as GET /status tells it.
type Status struct {
	// SequencerHeight is the height of the sequencer chain, as far as nodes tell.
	SequencerHeight uint64         `json:"sequencer_height"`
	Layers          []LayerStatus  `json:"layers"`
	Rollups         []RollupStatus `json:"rollups"`
	WaitingClaims   int            `json:"waiting_claims"` // not recorded on the sequencer chain yet
	// UnconfirmedClaims are recorded there, and not known to be confirmed.
	UnconfirmedClaims int `json:"unconfirmed_claims"`
}

// LayerStatus is one DA layer.
type LayerStatus struct {
	Name         string  `json:"name"`
	Answers      bool    `json:"answers"`
	HeadHeight   uint64  `json:"head_height"`
	PostedHeight uint64  `json:"posted_height"` // DA height of the last blob; 0: none
	InFlight     int     `json:"in_flight"`     // submissions
	PricePerMB   float64 `json:"price_per_mb"`
	PriceUnit    string  `json:"price_unit"` // empty: not known, or nothing is charged
	// Of the rollups that belong on the layer. The lag is that of the one farthest behind.
	Rollups      int     `json:"rollups"`
	PendingBytes int     `json:"pending_bytes"`
	LagBlocks    uint64  `json:"lag_blocks"`
	LagSeconds   float64 `json:"lag_seconds"`
	// Fallback takes their blobs while FallbackActive; empty: there is none.
	Fallback       string `json:"fallback"`
	FallbackActive bool   `json:"fallback_active"`
}

// RollupStatus is one rollup. Heights are those of the sequencer chain.
type RollupStatus struct {
	Name           string  `json:"name"`
	RollupID       string  `json:"rollup_id"`
	Layer          string  `json:"layer"` // that it belongs on
	FallbackActive bool    `json:"fallback_active"`
	ReadHeight     uint64  `json:"read_height"`
	PostedHeight   uint64  `json:"posted_height"`
	PendingBytes   int     `json:"pending_bytes"`
	LagBlocks      uint64  `json:"lag_blocks"`  // of what is posted
	LagSeconds     float64 `json:"lag_seconds"` // age of the first block that is not; 0 without lag
}

// Status tells how the relayer does.
func (r *Relayer) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.core.status(r.now())
}

func (c *core) status(now time.Time) Status {
	out := Status{SequencerHeight: c.chainHead, Layers: []LayerStatus{}, Rollups: []RollupStatus{}, WaitingClaims: c.claims.fresh, UnconfirmedClaims: c.claims.kept - c.claims.fresh}
	at := map[*layer]int{}
	for i, l := range c.layers {
		at[l] = i
		s := LayerStatus{
			Name: l.name, Answers: l.answered && !l.down(), HeadHeight: l.head, PostedHeight: l.posted, InFlight: l.inFlight,
			PricePerMB: l.price.PerMB, PriceUnit: l.price.Unit, FallbackActive: l.away(),
		}
		if l.fallback != nil {
			s.Fallback = l.fallback.name
		}
		out.Layers = append(out.Layers, s)
	}
	for _, r := range c.rollups {
		s := RollupStatus{
			Name: r.Name, RollupID: r.ID.String(), Layer: r.main.name, FallbackActive: r.target() != r.main,
			ReadHeight: r.next - 1, PostedHeight: r.posted.height, PendingBytes: r.bytes,
		}
		if from := max(r.posted.height, r.Start-min(r.Start, 1)); c.chainHead > from {
			s.LagBlocks = c.chainHead - from
			if t := r.begins(); !t.IsZero() {
				s.LagSeconds = max(0, now.Sub(t).Seconds())
			}
		}
		out.Rollups = append(out.Rollups, s)
		l := &out.Layers[at[r.main]]
		l.Rollups++
		l.PendingBytes += s.PendingBytes
		l.LagBlocks, l.LagSeconds = max(l.LagBlocks, s.LagBlocks), max(l.LagSeconds, s.LagSeconds)
	}
	return out
}

// silent returns the names of the layers that do not answer and that blobs wait for.
func (r *Relayer) silent() (names []string) {
	for _, l := range r.Status().Layers {
		if !l.Answers && l.Rollups > 0 {
			names = append(names, l.Name)
		}
	}
	return names
}
