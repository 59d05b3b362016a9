package api

import (
	"sync"
	"testing"

	"github.com/ordo-network/ordo/order"
)

// certificate has a leg of each rollup in each of n bundles.
func certificate(n int, rollups ...order.RollupID) *order.Certificate {
	c := new(order.Certificate)
	for i := range n {
		s := order.BundleSummary{Expiry: uint64(i + 1)}
		for _, r := range rollups {
			s.Legs = append(s.Legs, order.LegSummary{RollupID: r, Length: 100, Count: 1})
		}
		c.Header.Bundles = append(c.Header.Bundles, s)
	}
	return c
}

func TestCertificatesAreReadOnce(t *testing.T) {
	t.Parallel()
	one, two, none := order.RollupID{1}, order.RollupID{2}, order.RollupID{3}
	x, cert := newCertLegs("chain"), certificate(50, one, two)
	var all sync.WaitGroup
	first := make([]*order.LegRecord, 20)
	for i := range first {
		all.Go(func() { first[i] = &x.of(cert, two)[0] })
	}
	all.Wait()
	for _, p := range first {
		if p != first[0] {
			t.Fatal("streams do not share what was read")
		}
	}
	for i, r := range x.of(cert, two) {
		if r.BatchIndex != uint64(i) || r.LegIndex != 1 || r.LegCount != 2 || r.BundleID != cert.Header.Bundles[i].ID("chain") {
			t.Errorf("leg %d: %+v", i, r)
		}
	}
	if len(x.of(cert, one)) != 50 || x.of(cert, none) != nil {
		t.Error("other rollups' legs")
	}
}

func TestCertificatesReadAreBounded(t *testing.T) {
	t.Parallel()
	x, id := newCertLegs("chain"), order.RollupID{1}
	const legs = 500
	for range 4 * indexedBytes / (legs * recordBytes) {
		if len(x.of(certificate(legs, id), id)) != legs {
			t.Fatal("legs are missing")
		}
	}
	if x.recent.held > indexedBytes || x.recent.entries.Len() > indexedCertificates {
		t.Errorf("%d certificates of %d bytes", x.recent.entries.Len(), x.recent.held)
	}
	if large := certificate(indexedBytes/recordBytes+1, id); len(x.of(large, id)) != len(large.Header.Bundles) {
		t.Error("one that is too large is not read")
	}
}
