package lane

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"

	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/order"
)

var (
	// ErrSession is returned for a batch that was built for a session that has ended: its
	// bundles are handed out again by the source that was rewound.
	ErrSession = errors.New("the lane's session has ended, its bundles are dispersed again")
	// ErrAnswer is returned for what no correct member answers.
	ErrAnswer = errors.New("not an answer to what was offered")
)

// DisperserOptions are what a Disperser works with.
type DisperserOptions struct {
	Self     order.Owner
	Keys     Keys
	Verifier *Verifier
	// WindowBytes and WindowBatches bound what is in flight: a batch is begun while there
	// is less. All shards of it are in memory, several times its bytes.
	WindowBytes   uint64
	WindowBatches int
	// RetryMin and RetryMax, in milliseconds, bound the time after which a member that
	// does not answer is sent everything again. It doubles each time.
	RetryMin, RetryMax uint64
}

// Room is what may be dispersed now: one batch of at most that size. There is none
// where Bytes is 0.
type Room struct {
	Session     uint64
	Epoch       uint64 // whose committee the batch is coded for
	Bytes       int    // of the batch's encoding
	HeaderBytes int    // of the summaries in the header, each with order.SummarySizeInHeader
}

// fixedHeaderBytes bounds a batch header without summaries.
const fixedHeaderBytes = 256

// Payload is a batch that is coded for the committee of Room.Epoch.
type Payload struct {
	Bundles []order.BundleSummary
	Length  int // of the encoding
	Layout  *shard.Layout
	Coded   *shard.Coded // kept until the batch is certified or given up
}

// Send is what goes to one member: the certificate if there is one, then the offer if
// there is one.
type Send struct {
	To          order.Owner
	Certificate *order.Certificate
	Offer       *Offer
}

// Ready is what a Disperser wants done, in the order of the fields.
type Ready struct {
	// Ended, if not nil, says why a session ended: the source is to be rewound. What was
	// in flight will not be certified, but for certificates that were in Persist.
	Ended error
	// Session, if not 0, is to be durable before anything that follows, in this Ready or
	// a later one, is sent: it is what Restore is given after a restart.
	Session uint64
	// Send goes to members, in this order for each. What cannot be sent may be
	// dropped: it is sent again. To may be this node.
	Send []Send
	// Persist is to be made durable, in this order. Then call Persisted for each.
	Persist []*order.Certificate
	// Announce goes to all members and this node's Book and Keeper. It is durable.
	Announce []*order.Certificate
}

// Disperser owns this node's lane.
type Disperser struct {
	o    DisperserOptions
	view *View

	used     uint64 // sessions up to here have been begun
	session  uint64 // 0 while none is open
	after    order.Mark
	next     uint64 // sequence
	beginAt  uint64 // not before, after a session that was refused
	patience uint64 // how long the next refused session delays the one after

	own     []*order.Certificate // from disk, until the first View
	waiting []*certified         // not ordered: a run from the chain's mark on
	flight  []*flight            // in sequence: signed, not durably certified
	peers   []*peer              // by owner
	ready   Ready
}

// certified is a durable certificate of this lane.
type certified struct {
	*order.Certificate
	charge uint64
	bytes  int
}

// NewDisperser returns a disperser whose lane is closed until the first View.
func NewDisperser(o DisperserOptions) *Disperser {
	d := &Disperser{o: o, patience: o.RetryMin}
	d.peer(o.Self).connected = true
	return d
}

// Restore tells, before the first View, what is on disk: the last session that was made
// durable, 0 if none was, and this owner's certificates, verified.
func (d *Disperser) Restore(session uint64, own []*order.Certificate) {
	d.used, d.own = session, own
}

// View takes the chain's state after a block.
func (d *Disperser) View(now uint64, v *View) {
	first := d.view == nil
	d.view = v
	mark := v.Mark(d.o.Self)
	if first {
		d.resume(mark)
	}
	for len(d.waiting) > 0 && d.waiting[0].Header.Mark.Compare(mark) <= 0 {
		d.waiting = d.waiting[1:]
	}
	if why := d.overtaken(); why != nil {
		d.waiting, d.ready.Announce = nil, nil
		d.end(0, why)
	}
	d.begin(now)
}

// resume finds, among the certificates from disk, those that the chain can still order.
// Crash after they were made durable and before they were announced: they are announced now.
func (d *Disperser) resume(mark order.Mark) {
	var own []*shelved
	for _, c := range d.own {
		d.used = max(d.used, c.Header.Session)
		own = append(own, &shelved{certificate: c})
	}
	d.own = nil
	slices.SortFunc(own, func(a, b *shelved) int { return a.mark().Compare(b.mark()) })
	for _, c := range path(own, mark) {
		d.announce(c.certificate)
	}
}

func (d *Disperser) announce(c *order.Certificate) {
	d.waiting = append(d.waiting, &certified{c, Charge(&c.Header), c.Size()})
	d.ready.Announce = append(d.ready.Announce, c)
}

// overtaken says why the chain will not order what this lane has to be ordered next.
func (d *Disperser) overtaken() error {
	var next *order.BatchHeader
	switch {
	case len(d.waiting) > 0:
		next = &d.waiting[0].Header
	case len(d.flight) > 0:
		next = &d.flight[0].batch.Header
	case d.session > 0:
		next = d.header()
		next.Epoch = d.view.Epoch
	default:
		return nil
	}
	if mark := d.view.Mark(d.o.Self); !mark.Takes(next) {
		return fmt.Errorf("the chain has ordered the lane to %s, which %s does not follow on", mark, next.Mark)
	}
	if !d.view.open(next.Epoch) { // what comes after cannot be ordered either: the lane has no gaps
		return fmt.Errorf("epoch %d was over before batch %s was ordered", next.Epoch, next.Mark)
	}
	return nil
}

// header is that of the next batch.
func (d *Disperser) header() *order.BatchHeader {
	h := &order.BatchHeader{Position: order.Position{Owner: d.o.Self, Mark: order.Mark{Session: d.session, Sequence: d.next}}}
	if d.next == 1 {
		h.After = d.after
	}
	return h
}

// end gives up what is in flight from index from on, and the session.
func (d *Disperser) end(from int, why error) {
	if d.session == 0 && len(d.flight) == 0 {
		return
	}
	d.flight = d.flight[:from]
	d.session = 0
	d.ready.Ended = why
	d.ready.Send = nil // it was of the session
}

// begin begins a session if there is none and there can be one.
func (d *Disperser) begin(now uint64) {
	if d.session > 0 || d.view == nil || len(d.flight) > 0 || now < d.beginAt {
		return
	}
	if _, key := d.key(d.view.Epoch); key == nil {
		return
	}
	d.after = d.view.Mark(d.o.Self)
	if len(d.waiting) > 0 {
		d.after = d.waiting[len(d.waiting)-1].Header.Mark
	}
	d.used = max(d.used, d.after.Session) + 1
	d.session, d.next, d.beginAt = d.used, 1, 0
	// Crash before it is durable: nothing of it was signed. After: the next one is greater.
	d.ready.Session = d.session
}

// key returns this node's key in the committee of the epoch, and the committee; nil
// where it cannot own a lane.
func (d *Disperser) key(epoch uint64) (*order.Committee, ed25519.PrivateKey) {
	c := d.view.Committee(epoch)
	if c == nil {
		return nil, nil
	}
	i, ok := c.Index(d.o.Self)
	if !ok || c.Members[i].Key == ([32]byte{}) {
		return nil, nil
	}
	return c, d.o.Keys(c.Members[i].Key)
}

// Room tells what may be dispersed now.
func (d *Disperser) Room() Room {
	if d.session == 0 {
		return Room{}
	}
	if _, key := d.key(d.view.Epoch); key == nil {
		return Room{}
	}
	var flying, outstanding uint64
	var bytes, batches int
	for _, f := range d.flight {
		outstanding, bytes = outstanding+f.charge, bytes+f.bytes
		if f.certificate == nil {
			flying, batches = flying+f.batch.Header.Length, batches+1
		}
	}
	for _, c := range d.waiting {
		outstanding, bytes = outstanding+c.charge, bytes+c.bytes
	}
	p := d.view.Params
	most, limits := int(min(p.MaxBatchBytes, order.MaxBatchBytes)), DefaultBookLimits()
	switch {
	case flying >= d.o.WindowBytes || batches >= d.o.WindowBatches,
		// After a session that was refused, one batch at a time until one is certified:
		// what members stored of it counts against the quota until its epoch is over.
		batches > 0 && d.patience > d.o.RetryMin,
		// A quarter of what members grant is left for the end of an earlier session, and
		// for members that have not seen the last blocks.
		outstanding > 0 && outstanding+uint64(most+order.MaxHeaderBytes) > p.LaneQuotaBytes/4*3,
		len(d.flight)+len(d.waiting) >= limits.LaneCertificates/4*3,
		bytes >= limits.LaneBytes/2:
		return Room{}
	}
	return Room{Session: d.session, Epoch: d.view.Epoch, Bytes: most, HeaderBytes: order.MaxHeaderBytes - fixedHeaderBytes}
}

// Disperse signs the batch and sends it off. The room is what the batch was built for.
// Errors: ErrSession; order.ErrEpoch where the batch must be coded for the epoch that
// Room tells now.
func (d *Disperser) Disperse(now uint64, room Room, p Payload) (order.Position, error) {
	if d.session == 0 || room.Session != d.session {
		return order.Position{}, ErrSession
	}
	if room.Epoch != d.view.Epoch {
		return order.Position{}, fmt.Errorf("batch for epoch %d, want %d: %w", room.Epoch, d.view.Epoch, order.ErrEpoch)
	}
	committee, key := d.key(room.Epoch)
	if key == nil {
		return order.Position{}, fmt.Errorf("no key of epoch %d: %w", room.Epoch, order.ErrEpoch)
	}
	batch := &order.SignedBatch{Header: *d.header()}
	h := &batch.Header
	h.Epoch, h.Root, h.Length, h.Bundles = room.Epoch, order.Digest(p.Coded.Root()), uint64(p.Length), p.Bundles
	batch.Sign(d.view.ChainID, key)
	f := newFlight(d.view.ChainID, batch, committee, key, p)
	f.since = now
	d.flight = append(d.flight, f)
	d.next++
	for i := range committee.Members {
		to := d.peer(committee.Members[i].Owner)
		if to.connected && d.offer(to, f, i) && to.retryAt == 0 {
			to.retryAt = now + to.patience
		}
	}
	return h.Position, nil
}

// Persisted tells that the certificate at the mark is on disk.
func (d *Disperser) Persisted(now uint64, m order.Mark) {
	for _, f := range d.flight {
		if f.batch.Header.Mark == m && f.asked {
			f.durable = true
		}
	}
	for len(d.flight) > 0 && d.flight[0].durable {
		d.announce(d.flight[0].certificate)
		d.flight = d.flight[1:]
		d.patience = d.o.RetryMin
	}
	d.begin(now)
}

// Ready returns what is to be done, and forgets it.
func (d *Disperser) Ready() Ready {
	r := d.ready
	d.ready = Ready{}
	return r
}
