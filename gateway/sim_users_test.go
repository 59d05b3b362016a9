package gateway

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ordo-network/ordo/order"
)

// simUsers are those who hand in bundles.
type simUsers struct {
	all      []*simUser
	bySender map[string]*simUser
}

// simUser hands in one bundle, whose first transaction of its own names it.
type simUser struct {
	b         Bundle
	legs      []order.Leg
	acked     bool
	cancelled bool // and was told so
	bundles   []order.BundleID
}

// of returns whose bundle it is; nil for one of the gateway's own.
func (us *simUsers) of(b *order.Bundle) *simUser {
	for _, raw := range ownLeg(b) {
		if isTerms(raw) {
			continue
		}
		if sender, _ := parseSim(raw); us.bySender[sender] != nil && b.Payer == simPayer {
			return us.bySender[sender]
		}
	}
	return nil
}

var simPayer = order.Payer(simKey.Public().(ed25519.PublicKey))

func ownLeg(b *order.Bundle) [][]byte {
	i := slices.IndexFunc(b.Legs, func(l order.Leg) bool { return l.RollupID == simRollup })
	return b.Legs[i].Transactions
}

func isTerms(raw []byte) bool { return raw[0] == 0xff }

// simTerms are the rollup's: all of the leg or nothing, in these blocks.
func simTerms(b Bundle) []byte {
	raw := binary.BigEndian.AppendUint64([]byte{0xff}, b.FromBlock)
	return binary.BigEndian.AppendUint64(raw, b.UntilBlock)
}

// applies reports whether a leg with terms can be applied in the rollup's new block.
func (s *sim) applies(txs [][]byte) bool {
	from, until := binary.BigEndian.Uint64(txs[0][1:]), binary.BigEndian.Uint64(txs[0][9:])
	if s.number < from || until > 0 && s.number > until {
		return false
	}
	nonces := make(map[string]uint64)
	for _, raw := range txs[1:] {
		sender, nonce := parseSim(raw)
		if nonce != s.nonces[sender]+nonces[sender] {
			return false
		}
		nonces[sender]++
	}
	return true
}

// newUser makes up a bundle.
func (s *sim) newUser() *simUser {
	us := &s.users
	if us.bySender == nil {
		us.bySender = make(map[string]*simUser)
	}
	name := fmt.Sprint("user-", len(us.all))
	u := &simUser{b: Bundle{Ref: sha256.Sum256([]byte(name))}}
	b := &u.b
	for nonce := range uint64(1 + s.rng.IntN(3)) {
		b.Txs = append(b.Txs, simTx(name, nonce, 0))
	}
	if s.chance(30) { // with a copy of what somebody else sends
		sender := fmt.Sprint("sender-", s.rng.IntN(4))
		b.Txs = slices.Insert(b.Txs, s.rng.IntN(len(b.Txs)+1), simTx(sender, s.nonces[sender], 0))
	}
	if s.chance(40) {
		b.FromBlock = s.number + s.rng.Uint64N(6)
	}
	if s.chance(40) {
		b.UntilBlock = max(s.number, b.FromBlock) + s.rng.Uint64N(8)
	}
	if s.chance(20) {
		b.NotBefore = s.now.Add(time.Duration(s.rng.IntN(500)) * time.Millisecond)
	}
	if s.chance(30) {
		b.NotAfter = s.now.Add(time.Duration(500+s.rng.IntN(1500)) * time.Millisecond)
	}
	if s.chance(70) {
		b.Terms = simTerms(*b)
	}
	if s.chance(20) {
		b.Replacement = fmt.Sprint("name-", s.rng.IntN(3))
	}
	for i := range s.rng.IntN(3) {
		b.Others = append(b.Others, order.Leg{RollupID: order.RollupID{1, byte(i)}, Transactions: [][]byte{[]byte(name), {byte(i)}}})
	}
	b.Position = s.rng.IntN(len(b.Others) + 1)

	own := order.Leg{RollupID: simRollup}
	if b.Terms != nil {
		own.Transactions = append(own.Transactions, b.Terms)
	}
	for _, tx := range b.Txs {
		own.Transactions = append(own.Transactions, tx.Raw)
	}
	u.legs = slices.Insert(slices.Clone(b.Others), b.Position, own)
	us.all = append(us.all, u)
	us.bySender[name] = u
	return u
}

// useBundles hands in a bundle now and then, hands one in again, or takes one back.
func (s *sim) useBundles() {
	if s.fault(12) {
		s.handIn(s.newUser())
	}
	if len(s.users.all) == 0 {
		return
	}
	u := s.users.all[s.rng.IntN(len(s.users.all))]
	if s.fault(4) { // as who got no answer does
		known := s.core.parcels.byRef[u.b.Ref] != nil
		if s.handIn(u); u.acked && !known {
			s.t.Fatalf("user's bundle %x was accepted and is forgotten", u.b.Ref)
		}
	}
	if s.fault(4) {
		u = s.users.all[max(0, len(s.users.all)-1-s.rng.IntN(4))]
		switch err := s.core.cancel(s.core.parcels.byRef[u.b.Ref], s.now); {
		case err == nil:
			s.told = append(s.told, func() { u.cancelled = true })
		case errors.Is(err, ErrTooLate):
		case errors.Is(err, ErrUnknown) && !u.acked:
		default:
			s.t.Fatal(err)
		}
	}
}

func (s *sim) handIn(u *simUser) {
	switch err := s.core.admitBundle(u.b, s.now); {
	case err == nil && u.acked:
		s.t.Fatalf("user's bundle %x was taken twice", u.b.Ref)
	case err == nil, errors.Is(err, ErrKnown):
		s.told = append(s.told, func() { u.acked = true })
	case errors.Is(err, ErrFull), errors.Is(err, ErrUnfunded), errors.Is(err, ErrTooLate), errors.Is(err, ErrPast):
	default:
		s.t.Fatal(err)
	}
}

// checkTimely: nothing is sent that cannot be applied any more, or not yet.
func (s *sim) checkTimely(b *order.Bundle) {
	u := s.users.of(b)
	if u == nil {
		return
	}
	x := u.b
	if x.FromBlock > s.number+1 || x.NotBefore.After(s.now) {
		s.t.Fatalf("user's bundle from block %d, not before %s, is sent at block %d, %s", x.FromBlock, x.NotBefore, s.number, s.now)
	}
	if x.UntilBlock > 0 && s.core.block >= x.UntilBlock || !x.NotAfter.IsZero() && s.now.After(x.NotAfter) {
		s.t.Fatalf("user's bundle until block %d, not after %s, is sent at block %d, %s", x.UntilBlock, x.NotAfter, s.core.block, s.now)
	}
}

// checkUsers holds a new bundle against what its user handed in and against those that
// were sent for it before: it is whole, and none of them was or may be ordered.
func (s *sim) checkUsers(u *simUser, id order.BundleID, b *order.Bundle) {
	s.t.Helper()
	if !reflect.DeepEqual(b.Legs, u.legs) {
		s.t.Fatalf("bundle %s has legs %q, was handed in as %q", id, b.Legs, u.legs)
	}
	if u.cancelled {
		s.t.Fatalf("bundle %s was cancelled and is sent", id)
	}
	for _, earlier := range u.bundles {
		x := s.fate[earlier]
		if x.ordered > 0 || !x.dropped && x.b.Expiry > s.soft {
			s.t.Fatalf("bundle %s is sent as %s too: ordered at %d, expiry %d, rollup at %d", earlier, id, x.ordered, x.b.Expiry, s.soft)
		}
	}
	u.bundles = append(u.bundles, id)
}

// checkOutcomes compares what the gateway says of users' bundles with what the chain and
// the rollup did, and counts how they ended.
func (s *sim) checkOutcomes(ends map[string]int) {
	for i, u := range s.users.all {
		ordered := slices.DeleteFunc(slices.Clone(u.bundles), func(id order.BundleID) bool { return s.fate[id].ordered == 0 })
		if len(ordered) > 1 || u.cancelled && len(ordered) > 0 {
			s.t.Fatalf("user %d: ordered %d times, cancelled %v", i, len(ordered), u.cancelled)
		}
		p := s.core.parcels.byRef[u.b.Ref]
		if p == nil && !u.acked {
			continue
		}
		if p == nil || p.outcome == nil {
			s.t.Fatalf("user %d: accepted, and there is no outcome: %+v", i, p)
		}
		st := s.core.parcelState(p, s.now)
		if len(u.bundles) > 1 {
			ends["sent again"]++
		}
		switch {
		case st.Phase == BundleOrdered && st.Height > 0:
			x := s.fate[st.ID]
			if x.ordered != st.Height || !slices.Contains(u.bundles, st.ID) {
				s.t.Fatalf("user %d: ordered at %d, the gateway says %+v", i, x.ordered, st)
			}
			for _, tx := range st.Txs {
				if tx.Executed != slices.Contains(x.executed, tx.Hash) || tx.Executed != (tx.Reason == "") {
					s.t.Fatalf("user %d: executed %x, the gateway says %+v", i, x.executed, st)
				}
			}
			if len(x.executed) > 0 {
				ends["applied"]++
			} else {
				ends["not applied"]++
			}
		case st.Phase == BundleOrdered:
			ends["executed unseen"]++
		default:
			end := s.reasonOf(st)
			if end != "may have been" && len(ordered) > 0 {
				s.t.Fatalf("user %d: ordered as %s, the gateway says %+v", i, ordered[0], st)
			}
			ends[end]++
		}
	}
}

func (s *sim) reasonOf(st BundleState) string {
	for _, known := range slices.Sorted(maps.Keys(reasons)) {
		if strings.Contains(st.Reason, known) {
			return reasons[known]
		}
	}
	s.t.Fatalf("dropped for a reason that is none: %+v", st)
	return ""
}

var reasons = map[string]string{
	"cancelled": "cancelled", "replaced by": "replaced", "its last block was": "past", "its last time was": "past",
	"it may have been": "may have been", "times; the last time": "tried in vain",
}
