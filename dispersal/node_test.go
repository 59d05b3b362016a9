package dispersal

import (
	"testing"

	"github.com/ordo-network/ordo/order"
)

func TestCertifies(t *testing.T) {
	t.Parallel()
	w := start(t, 4, nil)
	w.connected()
	var all []*order.Bundle
	for _, v := range w.validators {
		bs := bundles(t, 20, 1000)
		all = append(all, bs...)
		v.source.submit(bs...)
	}
	eventually(t, "everyone knows all bundles certified", func() bool { return certified(w.validators, all) })
	eventually(t, "everyone reports all lanes", func() bool {
		for _, v := range w.validators {
			if len(v.Tips()) != 4 {
				return false
			}
		}
		return true
	})
	w.settle(all)
	if certified(w.validators[:1], all[:1]) {
		t.Error("an ordered bundle still counts as certified")
	}
	for _, v := range w.validators {
		if len(v.Tips()) != 0 || v.Waiting() {
			t.Errorf("after all is ordered %v still has tips %v", v.owner, v.Tips())
		}
	}
	for id, n := range w.bundles {
		if n != 1 {
			t.Errorf("bundle %v was ordered %d times", id, n)
		}
	}
}
