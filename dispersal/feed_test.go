package dispersal

import (
	"context"
	"errors"
	"testing"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/test/await"
)

func TestSubscription(t *testing.T) {
	t.Parallel()
	w := start(t, 4, nil)
	w.connected()
	early := bundles(t, 3, 100)
	w.validators[0].source.submit(early...)
	await.Until(t, "the first are certified", func() bool { return certified(w.validators, early) })
	ctx, cancel := context.WithCancel(t.Context())
	s := w.validators[1].Certified(ctx)
	late := bundles(t, 3, 100)
	w.validators[0].source.submit(late...)
	got := map[order.BundleID]bool{}
	for len(got) < len(early)+len(late) {
		c, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		for i := range c.Header.Bundles {
			got[c.Header.Bundles[i].ID(chainID)] = true
		}
	}
	for _, b := range append(early, late...) {
		if !got[b.ID(chainID)] {
			t.Errorf("bundle %v was not told", b.ID(chainID))
		}
	}
	cancel()
	if _, err := s.Next(); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}

func TestSlowSubscriber(t *testing.T) {
	t.Parallel()
	s := &Subscription{more: make(chan struct{}, 1)}
	f := feed{subscribers: []*Subscription{s}}
	for range maxBehind + 1 {
		f.publish(&order.Certificate{})
	}
	if _, err := s.Next(); !errors.Is(err, ErrSlow) {
		t.Errorf("next: %v", err)
	}
	if len(f.subscribers) != 0 {
		t.Error("a subscriber that was cut off is still told")
	}
}
