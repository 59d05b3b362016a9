package api

import (
	"sync"

	"github.com/ordo-network/ordo/order"
)

const (
	// indexedCertificates is as many as a slow stream may be behind.
	indexedCertificates = 1 << 12
	// indexedBytes bounds what is known of them together.
	indexedBytes = 32 << 20
	// recordBytes is about what a leg takes there.
	recordBytes = 256
)

// certLegs knows the legs of certificates by rollup, for all streams: each looks through
// a certificate at the cost of its own legs.
type certLegs struct {
	chainID string
	recent  *cache[*order.Certificate, *legsByRollup]
}

// legsByRollup are a certificate's legs, read once by whoever is first.
type legsByRollup struct {
	read sync.Once
	size int
	legs map[order.RollupID][]order.LegRecord
}

func (l *legsByRollup) bytes() int { return l.size }

func newCertLegs(chainID string) *certLegs {
	return &certLegs{chainID, newCache[*order.Certificate, *legsByRollup](indexedCertificates, indexedBytes)}
}

// of returns the legs that the batch has for the rollup, as far as they are known before
// they are ordered. The certificate does not change, and is the same for all streams.
func (c *certLegs) of(cert *order.Certificate, id order.RollupID) []order.LegRecord {
	known, ok := c.recent.get(cert)
	if !ok {
		fresh := &legsByRollup{size: cert.Size()} // which it keeps in memory
		for i := range cert.Header.Bundles {
			fresh.size += recordBytes * len(cert.Header.Bundles[i].Legs)
		}
		c.recent.put(cert, fresh)
		if known, ok = c.recent.get(cert); !ok {
			known = fresh // it made room for others already
		}
	}
	known.read.Do(func() { known.legs = legsOf(cert, c.chainID) })
	return known.legs[id]
}

func legsOf(cert *order.Certificate, chainID string) map[order.RollupID][]order.LegRecord {
	out := make(map[order.RollupID][]order.LegRecord)
	for i := range cert.Header.Bundles {
		b := &cert.Header.Bundles[i]
		id := b.ID(chainID)
		for j, l := range b.Legs {
			out[l.RollupID] = append(out[l.RollupID], order.LegRecord{
				BundleID: id, LegIndex: uint64(j), LegCount: uint64(len(b.Legs)), Digest: l.Digest, Length: l.Length, Count: l.Count,
				BatchIndex: uint64(i),
			})
		}
	}
	return out
}
