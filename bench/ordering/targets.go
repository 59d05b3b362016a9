package ordering

import (
	"fmt"
	"time"
)

// Target is an aim and what was measured.
type Target struct {
	What string  `json:"what"`
	Got  float64 `json:"got"`
	Want float64 `json:"want"`
	// AtLeast: more is better; otherwise less is.
	AtLeast bool   `json:"at_least"`
	Unit    string `json:"unit"`
	Met     bool   `json:"met"`
}

func find(ts []*Trial, system string) *Trial {
	for _, t := range ts {
		if t.System == system {
			return t
		}
	}
	return nil
}

// targets are those of the network's makers, as far as they were measured.
func (r *Report) targets() (out []Target) {
	atLeast := func(what string, got, want float64, unit string) {
		out = append(out, Target{what, got, want, true, unit, got >= want})
	}
	atMost := func(what string, got, want float64, unit string) {
		out = append(out, Target{what, got, want, false, unit, got > 0 && got <= want})
	}
	if t := find(r.Highest, "Ordo"); t != nil {
		atLeast("ordered, verified by a reader", t.OrderedMBps, 40, "MB/s")
		if peer := find(r.Highest, "CometBFT"); peer != nil && peer.OrderedMBps > 0 {
			atLeast("times what CometBFT orders inline", t.OrderedMBps/peer.OrderedMBps, 10, "")
		}
		atMost("p99 to ordered at that rate", t.Read.P99, float64(time.Second.Milliseconds()), "ms")
		atMost("most memory of a validator", t.peakMB(), 500, "MB")
	}
	if t := find(r.Half, "Ordo"); t != nil {
		atMost("p50 to certified at half of that rate", t.Certified.P50, 25, "ms")
		atMost("p50 to ordered at half of that rate", t.Read.P50, 250, "ms")
	}
	if t := find(r.Idle, "Ordo"); t != nil {
		atMost("p50 to certified, idle", t.Certified.P50, 5, "ms")
		atMost("p50 to ordered, idle", t.Read.P50, 1.2*r.BlockTime, "ms")
	}
	if t := find(r.Small, "Ordo"); t != nil {
		atLeast("small bundles ordered a second", t.OrderedPerS, 0.98*t.OfferedMBps*1e6/float64(t.PayloadBytes), "")
		atMost("p99 to ordered of small bundles", t.Read.P99, float64(time.Second.Milliseconds()), "ms")
	}
	if r.Reading != nil {
		atMost("bytes to read one rollup among many, to alone", r.Reading.BytesRatio, 1.3, "times")
		atMost("CPU to read one rollup among many, to alone", r.Reading.CPURatio, 1.3, "times")
	}
	for _, t := range r.Scale {
		if t.System != "Ordo" || t.Validators < 7 {
			continue
		}
		_, most := t.receivedShare()
		atMost(fmt.Sprintf("received by a validator of %d, of all that is ordered", t.Validators), most, 3.5/float64(t.Validators), "")
	}
	return out
}
