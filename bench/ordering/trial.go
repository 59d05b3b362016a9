package ordering

import (
	"errors"
	"slices"
	"time"

	"github.com/ordo-network/ordo/bench/figures"
	"github.com/ordo-network/ordo/bench/testnet"
)

// driver is the label of this process: who sends the load and reads the order.
const driver = "driver"

// Trial is what came of one load. Latencies are in milliseconds and count from when
// a payload was due; those to certified are of a sample.
type Trial struct {
	System       string  `json:"system"`
	Validators   int     `json:"validators"`
	PayloadBytes int     `json:"payload_bytes"`
	OfferedMBps  float64 `json:"offered_mb_per_second"`
	Seconds      float64 `json:"seconds"` // of the load
	// Overloaded: more than one in a hundred were not ordered within a second. The load was cut short.
	Overloaded bool `json:"overloaded"`

	Sent         int     `json:"sent"`
	Refused      int     `json:"refused"`
	Ordered      int     `json:"ordered"`
	Missing      int     `json:"missing"`
	Duplicates   int     `json:"duplicates"`
	OrderedMB    float64 `json:"ordered_mb"`
	OrderedMBps  float64 `json:"ordered_mb_per_second"`
	OrderedPerS  float64 `json:"ordered_per_second"`
	Blocks       int     `json:"blocks"`
	FirstRefusal string  `json:"first_refusal,omitempty"`

	Ack       figures.Percentiles `json:"to_accepted_ms"`
	Certified figures.Percentiles `json:"to_certified_ms"`
	Committed figures.Percentiles `json:"to_committed_ms"` // the block, at the first who hears of it
	Read      figures.Percentiles `json:"to_ordered_ms"`   // fetched and verified

	// ReceivedMB is what each validator received from others meanwhile.
	ReceivedMB []float64       `json:"received_mb"`
	Processes  []figures.Usage `json:"processes"`

	carriedMB float64 // ordered since the processes were first looked at: more than OrderedMB where there was a warm-up
}

// summarize reads the entries of a load that is over.
func (st *stage) summarize(ld load, entries []*entry, began time.Time) *Trial {
	l := st.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	t := &Trial{
		System: st.name(), Validators: st.validators(), PayloadBytes: ld.size,
		OfferedMBps: ld.rate / 1e6, Seconds: ld.duration.Seconds(), Duplicates: l.duplicates,
	}
	var ack, certified, committed, read []time.Duration
	var last time.Time
	for _, e := range entries {
		if e.ordered.IsZero() && (errors.Is(e.refused, errCut) || e.acked.IsZero() && e.refused == nil) {
			continue // the load was cut short before it was handed in
		}
		t.Sent++
		if !e.acked.IsZero() {
			ack = append(ack, e.acked.Sub(e.due))
		}
		if !e.certified.IsZero() {
			certified = append(certified, e.certified.Sub(e.due))
		}
		switch {
		case !e.ordered.IsZero():
			t.Ordered++
			t.OrderedMB += float64(e.size) / 1e6
			read = append(read, e.ordered.Sub(e.due))
			if head, known := l.heads[e.height]; known {
				committed = append(committed, head.Sub(e.due))
			}
			if e.ordered.After(last) {
				last = e.ordered
			}
		case e.refused != nil:
			t.Refused++
			if t.FirstRefusal == "" {
				t.FirstRefusal = e.refused.Error()
			}
		default:
			t.Missing++
		}
	}
	if span := last.Sub(began).Seconds(); span > 0 {
		t.OrderedMBps, t.OrderedPerS = t.OrderedMB/span, float64(t.Ordered)/span
	}
	t.Ack, t.Certified, t.Committed, t.Read = figures.Of(ack), figures.Of(certified), figures.Of(committed), figures.Of(read)
	return t
}

// receivedShare is what the median and the busiest validator received, as a share
// of all that was ordered.
func (t *Trial) receivedShare() (median, most float64) {
	carried := max(t.carriedMB, t.OrderedMB)
	if carried == 0 || len(t.ReceivedMB) == 0 {
		return 0, 0
	}
	sorted := slices.Sorted(slices.Values(t.ReceivedMB))
	return sorted[len(sorted)/2] / carried, sorted[len(sorted)-1] / carried
}

// peakMB is the most memory that a validator had, since it began.
func (t *Trial) peakMB() (most float64) {
	for _, u := range t.Processes {
		if u.Name != driver && u.Name != testnet.ReaderLabel {
			most = max(most, u.PeakMB)
		}
	}
	return most
}

// cores is what all processes of the network used together, and what this one did.
func (t *Trial) cores() (network, own float64) {
	for _, u := range t.Processes {
		if u.Name == driver {
			own = u.Cores
		} else {
			network += u.Cores
		}
	}
	return network, own
}
