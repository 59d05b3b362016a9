package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/ordo-network/ordo/order"
)

// Errors of users' bundles, told apart by errors.Is.
var (
	// ErrTooLate: the bundle was sent and cannot be held back any more.
	ErrTooLate = errors.New("bundle is being ordered already")
	// ErrPast: the last block or time in which the bundle may be applied has passed.
	ErrPast = errors.New("bundle's time has passed")
	// ErrUnknown: nothing is known here by that name.
	ErrUnknown = errors.New("not known here")
)

// Bundle is handed in by a user as one: its transactions are ordered together, as they
// stand, in one bundle that holds nothing else, or not at all.
type Bundle struct {
	// Ref names the bundle here; the caller derives it from what makes two bundles the
	// same. A Ref that is known is not taken again.
	Ref [32]byte
	// Txs are the leg for this gateway's rollup, at least one. Sender and Nonce are of no
	// account: they are ordered as they stand, whatever else of their senders waits.
	Txs []Tx
	// Terms stands before them in the leg where it is not empty.
	Terms []byte
	// Others are the legs for other rollups; Position is the index of the own leg among
	// all of them.
	Others   []order.Leg
	Position int
	// The bundle is held until the rollup's head has number FromBlock-1 or more and the
	// clock shows NotBefore. It is dropped where it has not been sent when the head has
	// UntilBlock or the clock has passed NotAfter. Zero stands for no bound.
	FromBlock, UntilBlock uint64
	NotBefore, NotAfter   time.Time
	// Replacement, where not empty, names it for CancelReplacement, and ends the bundle
	// that was handed in under the same name before. At most 256 bytes.
	Replacement string
}

// BundlePhase is where a user's bundle stands.
type BundlePhase uint8

// The phases of a user's bundle.
const (
	BundleHeld      BundlePhase = iota + 1 // waits for its block or its time
	BundleReceived                         // is sent, or about to be
	BundleCertified                        // a sequencer says that it is certified
	BundleOrdered                          // ended: what its transactions did is known
	BundleDropped                          // ended, and was not seen to be ordered; Reason says why
)

// String returns the phase in a word.
func (p BundlePhase) String() string {
	switch p {
	case BundleHeld:
		return "held"
	case BundleReceived:
		return "received"
	case BundleCertified:
		return "certified"
	case BundleOrdered:
		return "ordered"
	case BundleDropped:
		return "dropped"
	}
	return "unknown"
}

// BundleState is what the gateway knows of a user's bundle.
type BundleState struct {
	Ref   [32]byte
	Phase BundlePhase
	// Reason says why it was dropped, or what keeps it from being ordered.
	Reason string
	// ID in the order; zero while it is held. One that expired before it was ordered is
	// sent again, if its time allows, under another ID.
	ID order.BundleID
	// Height of the sequencer chain that ordered it; 0 where none did or none was seen to.
	Height uint64
	// Block is the number of the rollup's head after that height.
	Block    uint64
	Received time.Time
	// Certified is when a sequencer said that the bundle is certified: a hint, and
	// forgotten at a restart. Zero where none did.
	Certified time.Time
	Ended     time.Time // zero while it has not ended
	// Txs are the transactions of the own leg, in order.
	Txs []TxOutcome
}

// TxOutcome is what became of one transaction of a user's bundle.
type TxOutcome struct {
	Hash     [32]byte
	Executed bool
	Reason   string // why it was ordered and not executed; "" where it was not ordered
}

// AdmitBundle hands in a user's bundle. As with Admit, it is accepted when Wait of the
// Admission has returned: from then on it ends as ordered, or as dropped with a reason that can be asked for.
// Errors: ErrKnown, ErrFull, ErrTooLarge, ErrPast, ErrUnfunded, ErrTooLate where what it
// would replace was sent, ErrStopped; any other says what is wrong with it.
func (g *Gateway) AdmitBundle(b Bundle) (*Admission, error) {
	if g.hasStopped() {
		return nil, ErrStopped
	}
	a, err := g.take(func(c *core, now time.Time) error { return c.admitBundle(b, now) })
	g.metrics.handedIn(err)
	return a, err
}

// CancelBundle ends a user's bundle that was not sent yet; it returns once that is on
// disk. One that was dropped already is no error. Errors: ErrUnknown, ErrTooLate, ErrStopped.
func (g *Gateway) CancelBundle(ctx context.Context, ref [32]byte) error {
	_, err := g.cancel(ctx, func(c *core) *parcel { return c.parcels.byRef[ref] })
	return err
}

// CancelReplacement is CancelBundle for the bundle that was handed in last under the
// name, as long as it has not ended; it returns which one that was.
func (g *Gateway) CancelReplacement(ctx context.Context, replacement string) (ref [32]byte, err error) {
	return g.cancel(ctx, func(c *core) *parcel { return c.parcels.byName[replacement] })
}

func (g *Gateway) cancel(ctx context.Context, find func(*core) *parcel) (ref [32]byte, err error) {
	if g.hasStopped() {
		return ref, ErrStopped
	}
	a, err := g.take(func(c *core, now time.Time) error {
		p := find(c)
		if p != nil {
			ref = p.ref
		}
		return c.cancel(p, now)
	})
	if err != nil {
		return ref, err
	}
	return ref, a.Wait(ctx)
}

// Bundle returns what is known of a user's bundle, by its Ref or by its ID.
func (g *Gateway) Bundle(name [32]byte) (BundleState, bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	p := g.core.parcels.byRef[name]
	if p == nil {
		p = g.core.parcels.byID[name]
	}
	if p == nil {
		return BundleState{}, false
	}
	return g.core.parcelState(p, g.cfg.Now()), true
}
