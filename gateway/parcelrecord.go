package gateway

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/ordo-network/ordo/order"
)

// parcelBundleRecord is a live bundle of a parcel on disk.
type parcelBundleRecord struct {
	seq, parcel uint64
	id          order.BundleID
	payer       order.Payer
	expiry      uint64
	feeLimit    uint64
	unsure      bool
}

// parcelRecord reads a record of a user's bundle.
func (l *loaded) parcelRecord(prefix byte, seq uint64, v []byte) error {
	switch prefix {
	case 'u', 'w':
		decode := decodeParcel
		if prefix == 'w' {
			decode = decodeOutcome
		}
		p, err := decode(v)
		if err != nil {
			return err
		}
		p.seq = seq
		l.parcels = append(l.parcels, p)
		l.nextParcel = max(l.nextParcel, seq+1)
	case 'v':
		b, err := decodeParcelBundle(v)
		if err != nil {
			return err
		}
		b.seq = seq
		l.parcelBundles = append(l.parcelBundles, b)
		l.nextBundle = max(l.nextBundle, seq+1)
	default:
		return errRecord
	}
	return nil
}

// loadParcels takes up the users' bundles. It makes no changes.
func (c *core) loadParcels(l *loaded) error {
	ps := &c.parcels
	bySeq := make(map[uint64]*parcel)
	for _, p := range l.parcels {
		if ps.byRef[p.ref] != nil {
			return fmt.Errorf("user's bundle %x is there twice", p.ref)
		}
		if p.outcome == nil {
			bySeq[p.seq] = p
			ps.index(p)
			continue
		}
		ps.byRef[p.ref] = p
		ps.indexTxs(p)
		ps.ended = append(ps.ended, p)
		ps.kept += len(p.hashes)
		if id := p.outcome.ID; id != (order.BundleID{}) {
			ps.byID[id] = p
		}
	}
	slices.SortStableFunc(ps.ended, func(a, b *parcel) int { return a.outcome.Ended.Compare(b.outcome.Ended) })
	for _, rec := range l.parcelBundles {
		p := bySeq[rec.parcel]
		if p == nil || p.live != nil {
			return fmt.Errorf("bundle %s: user's bundle %d is missing or in two bundles", rec.id, rec.parcel)
		}
		b := &bundle{seq: rec.seq, id: rec.id, payer: rec.payer, expiry: rec.expiry, feeLimit: rec.feeLimit, unsure: rec.unsure, parcel: p}
		b.sent = true // for all that is known
		if id := c.wire(b).ID(c.cfg.ChainID); id != b.id {
			return fmt.Errorf("bundle %s: its legs make bundle %s", b.id, id)
		}
		if !c.signs(b) {
			b.trouble = otherPayer
		}
		c.board(b)
	}
	for _, p := range bySeq {
		if p.live == nil {
			ps.wait(p)
		}
	}
	slices.SortFunc(c.live, func(a, b *bundle) int { return cmp.Compare(a.seq, b.seq) })
	return nil
}

func encodeParcel(p *parcel) []byte {
	whole := order.Bundle{Legs: p.legs}
	b := make([]byte, 0, 128+len(p.replacement)+32*len(p.hashes)+whole.Size())
	b = append(b, p.ref[:]...)
	b = appendString(b, p.replacement)
	b = appendUints(b, p.fromBlock, p.untilBlock, millis(p.notBefore), millis(p.notAfter), millis(p.received), uint64(len(p.hashes)))
	for _, h := range p.hashes {
		b = append(b, h[:]...)
	}
	return append(b, whole.Encode()...)
}

func decodeParcel(v []byte) (*parcel, error) {
	r := reader{buf: v}
	p := new(parcel)
	copy(p.ref[:], r.take(32))
	p.replacement = r.string()
	p.fromBlock, p.untilBlock = r.uint(), r.uint()
	p.notBefore, p.notAfter, p.received = r.bound(), r.bound(), r.time()
	n := r.uint()
	if r.bad || n == 0 || n > maxParcelTxs {
		return nil, errRecord
	}
	p.hashes = make([][32]byte, n)
	for i := range p.hashes {
		copy(p.hashes[i][:], r.take(32))
	}
	if r.bad {
		return nil, errRecord
	}
	whole, err := order.DecodeBundle(slices.Clone(r.buf))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRecord, err)
	}
	p.legs = whole.Legs
	return p, nil
}

func encodeParcelBundle(x *bundle) []byte {
	b := make([]byte, 0, 32+32+4*8)
	b = append(b, x.id[:]...)
	b = append(b, x.payer[:]...)
	return appendUints(b, x.expiry, x.feeLimit, flag(x.unsure), x.parcel.seq)
}

func decodeParcelBundle(v []byte) (parcelBundleRecord, error) {
	r := reader{buf: v}
	var b parcelBundleRecord
	copy(b.id[:], r.take(32))
	copy(b.payer[:], r.take(32))
	b.expiry, b.feeLimit = r.uint(), r.uint()
	unsure := r.uint()
	b.unsure, b.parcel = unsure == 1, r.uint()
	if r.bad || len(r.buf) > 0 || unsure > 1 {
		return b, errRecord
	}
	return b, nil
}

func encodeOutcome(s *BundleState) []byte {
	b := make([]byte, 0, 128+len(s.Reason)+64*len(s.Txs))
	b = append(b, s.Ref[:]...)
	b = append(b, s.ID[:]...)
	b = appendUints(b, uint64(s.Phase), s.Height, s.Block, millis(s.Received), millis(s.Ended))
	b = appendString(b, s.Reason)
	for _, tx := range s.Txs {
		b = append(b, tx.Hash[:]...)
		b = appendUints(b, flag(tx.Executed))
		b = appendString(b, tx.Reason)
	}
	return b
}

func decodeOutcome(v []byte) (*parcel, error) {
	r := reader{buf: v}
	s := new(BundleState)
	copy(s.Ref[:], r.take(32))
	copy(s.ID[:], r.take(32))
	phase := r.uint()
	s.Height, s.Block = r.uint(), r.uint()
	s.Received, s.Ended = r.time(), r.time()
	s.Reason = r.string()
	p := &parcel{ref: s.Ref, received: s.Received, outcome: s}
	for len(r.buf) > 0 && !r.bad {
		var tx TxOutcome
		copy(tx.Hash[:], r.take(32))
		tx.Executed = r.uint() == 1
		tx.Reason = r.string()
		s.Txs = append(s.Txs, tx)
		p.hashes = append(p.hashes, tx.Hash)
	}
	s.Phase = BundlePhase(phase)
	if r.bad || phase != uint64(BundleOrdered) && phase != uint64(BundleDropped) {
		return nil, errRecord
	}
	return p, nil
}

func encodeBlock(number uint64, at time.Time) []byte { return appendUints(nil, number, millis(at)) }

func decodeBlock(v []byte) (uint64, time.Time, error) {
	r := reader{buf: v}
	number, at := r.uint(), r.bound()
	if r.bad || len(r.buf) > 0 {
		return 0, time.Time{}, errRecord
	}
	return number, at, nil
}

func appendUints(b []byte, vs ...uint64) []byte {
	for _, v := range vs {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return b
}

func flag(v bool) uint64 {
	if v {
		return 1
	}
	return 0
}

// bound reads a time, where zero stands for none.
func (r *reader) bound() time.Time {
	if t := r.time(); t.UnixMilli() > 0 {
		return t
	}
	return time.Time{}
}
