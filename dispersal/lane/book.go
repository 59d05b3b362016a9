package lane

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ordo-network/ordo/order"
)

var (
	// ErrKnown is returned for a certificate that is of no use: its position is ordered
	// or held, or its epoch is over.
	ErrKnown = errors.New("the certificate is not needed")
	// ErrFull is returned for a certificate that there is no room for before the chain
	// has ordered others.
	ErrFull = errors.New("no room for more certificates")
	// ErrFork is returned for a certificate of another batch than the one that is held
	// for its position: more than a third of the stake equivocated.
	ErrFork = errors.New("another batch is certified for the position")
)

// BookLimits bound a Book's memory. Owners keep well below DefaultBookLimits in their
// own lanes; only those who do not meet them.
type BookLimits struct {
	LaneCertificates int
	LaneBytes        int
	Bytes            int // of all lanes
}

// DefaultBookLimits hold all that lanes of correct owners have waiting.
func DefaultBookLimits() BookLimits {
	return BookLimits{LaneCertificates: MaxLaneBatches, LaneBytes: 32 << 20, Bytes: 512 << 20}
}

// Book holds the certificates that the chain has yet to order. Where there are too many
// it keeps, of each lane, those that the chain needs first, and of the lanes those that
// take less.
type Book struct {
	limits BookLimits
	view   *View
	lanes  map[order.Owner]*shelf
	bytes  int
}

// shelf is one lane in the book. It is never empty.
type shelf struct {
	certs []*shelved // by mark
	way   []*shelved // of them, those that the chain can order next
	bytes int
}

// Want is a run of certificates that this node lacks: those after After up to Tip.
type Want struct {
	Owner order.Owner
	After order.Mark
	Tip   order.Mark
}

// NewBook returns an empty book, which takes nothing before the first View.
func NewBook(l BookLimits) *Book { return &Book{limits: l, lanes: make(map[order.Owner]*shelf)} }

// View takes the chain's state after a block and drops what can not be ordered any more.
func (b *Book) View(v *View) {
	before := b.view
	b.view = v
	for owner, s := range b.lanes { // each by itself, so their order does not matter
		mark := v.Mark(owner)
		if before != nil && before.Epoch == v.Epoch && before.Mark(owner) == mark {
			continue
		}
		s.certs = slices.DeleteFunc(s.certs, func(c *shelved) bool {
			if c.mark().Session >= mark.Session && c.mark().Compare(mark) > 0 && v.open(c.certificate.Header.Epoch) {
				return false
			}
			b.forget(s, c)
			return true
		})
		b.settle(owner, s)
	}
}

func (b *Book) forget(s *shelf, c *shelved) {
	s.bytes -= c.bytes
	b.bytes -= c.bytes
}

// settle finds the way anew after certificates came or went.
func (b *Book) settle(owner order.Owner, s *shelf) {
	if len(s.certs) == 0 {
		delete(b.lanes, owner)
		return
	}
	s.way = path(s.certs, b.view.Mark(owner))
}

// Add takes a certificate that was verified. It may be put on disk then; Stored tells
// when it is. Errors: ErrKnown, ErrFull, ErrFork.
func (b *Book) Add(c *order.Certificate) error {
	h := &c.Header
	if b.view == nil {
		return fmt.Errorf("certificate %s before the first block is known: %w", h.Position, ErrFull)
	}
	if mark := b.view.Mark(h.Owner); h.Mark.Compare(mark) <= 0 || !b.view.open(h.Epoch) {
		return fmt.Errorf("certificate %s of epoch %d, its lane is ordered to %s, the epoch is %d: %w", h.Position, h.Epoch, mark, b.view.Epoch, ErrKnown)
	}
	s := b.lanes[h.Owner]
	if s == nil {
		s = &shelf{}
	}
	at, held := find(s.certs, h.Mark)
	if held {
		if have := &s.certs[at].certificate.Header; have.ID(b.view.ChainID) != h.ID(b.view.ChainID) {
			return fmt.Errorf("certificate %s: %w", h.Position, ErrFork)
		}
		return fmt.Errorf("certificate %s is held: %w", h.Position, ErrKnown)
	}
	n := &shelved{certificate: c, bytes: c.Size()}
	if !b.room(s, n) {
		return fmt.Errorf("certificate %s: %w", h.Position, ErrFull)
	}
	b.lanes[h.Owner] = s
	s.certs = slices.Insert(s.certs, at, n) // room took away only what comes later
	s.bytes += n.bytes
	b.bytes += n.bytes
	b.extend(h.Owner, s, n)
	return nil
}

// extend finds the way anew after a certificate came. As a rule it is the next one.
func (b *Book) extend(owner order.Owner, s *shelf, n *shelved) {
	end := b.view.Mark(owner)
	if len(s.way) > 0 {
		end = s.way[len(s.way)-1].mark()
	}
	if s.certs[len(s.certs)-1] == n && end.Takes(&n.certificate.Header) {
		s.way = append(s.way, n)
		return
	}
	b.settle(owner, s)
}

// room makes room for n, at the cost of what its lane needs later or of the lane that
// takes most.
func (b *Book) room(s *shelf, n *shelved) bool {
	shrunk := false
	defer func() {
		if shrunk {
			b.settle(n.certificate.Header.Owner, s)
		}
	}()
	later := func() bool { return len(s.certs) > 0 && s.certs[len(s.certs)-1].mark().Compare(n.mark()) > 0 }
	for len(s.certs) >= b.limits.LaneCertificates || s.bytes+n.bytes > b.limits.LaneBytes {
		if !later() {
			return false
		}
		b.drop(s)
		shrunk = true
	}
	for b.bytes+n.bytes > b.limits.Bytes {
		owner, most := b.largest()
		switch {
		case most == nil:
			return false
		case most == s || most.bytes <= s.bytes+n.bytes:
			if !later() {
				return false
			}
			b.drop(s)
			shrunk = true
		default:
			b.drop(most)
			b.settle(owner, most)
		}
	}
	return true
}

// drop forgets the lane's last certificate. If it was stored it still is, and comes back
// from a peer when its turn comes.
func (b *Book) drop(s *shelf) {
	last := len(s.certs) - 1
	b.forget(s, s.certs[last])
	s.certs = slices.Delete(s.certs, last, last+1)
}

// largest is the lane that takes most memory.
func (b *Book) largest() (order.Owner, *shelf) {
	var owner order.Owner
	var most *shelf
	for _, o := range b.owners() {
		if s := b.lanes[o]; most == nil || s.bytes > most.bytes {
			owner, most = o, s
		}
	}
	return owner, most
}

func (b *Book) owners() []order.Owner {
	owners := make([]order.Owner, 0, len(b.lanes))
	for o := range b.lanes {
		owners = append(owners, o)
	}
	slices.SortFunc(owners, order.Owner.Compare)
	return owners
}

func (b *Book) get(p order.Position) *shelved {
	s := b.lanes[p.Owner]
	if s == nil {
		return nil
	}
	if at, ok := find(s.certs, p.Mark); ok {
		return s.certs[at]
	}
	return nil
}

// Get returns the certificate held for the position, or nil.
func (b *Book) Get(p order.Position) *order.Certificate {
	if c := b.get(p); c != nil {
		return c.certificate
	}
	return nil
}

// Stored tells that the certificate held for the position is on disk.
func (b *Book) Stored(p order.Position) {
	if c := b.get(p); c != nil {
		c.stored = true
	}
}

// Candidates returns, for each lane that has some, the certificates that the chain can
// order next, in sequence. Lanes are by owner.
func (b *Book) Candidates() [][]*order.Certificate {
	var out [][]*order.Certificate
	for _, o := range b.owners() {
		way := b.lanes[o].way
		if len(way) == 0 {
			continue
		}
		certs := make([]*order.Certificate, len(way))
		for i, c := range way {
			certs[i] = c.certificate
		}
		out = append(out, certs)
	}
	return out
}

// Tips returns how far the candidates go that are on disk, by owner. A vote extension
// for the next block says them, and they bind the block after it. So they end before
// what that block may not order any more, its epoch being over: nobody could propose it.
func (b *Book) Tips() []order.Tip {
	var tips []order.Tip
	for _, o := range b.owners() {
		way := b.lanes[o].way
		n := 0
		for n < len(way) && way[n].stored && b.view.stays(way[n].certificate.Header.Epoch) {
			n++
		}
		if n > 0 {
			tips = append(tips, order.Tip{Owner: o, Mark: way[n-1].mark()})
		}
	}
	return tips[:min(len(tips), order.MaxTips)]
}

// Missing returns what others hold, by their tips, and this node does not. A lane that
// there is no room for is left out.
func (b *Book) Missing(tips []order.Tip) []Want {
	if b.view == nil {
		return nil
	}
	var wants []Want
	for _, t := range tips {
		w := Want{Owner: t.Owner, After: b.view.Mark(t.Owner), Tip: t.Mark}
		if s := b.lanes[t.Owner]; s != nil {
			if len(s.way) > 0 {
				w.After = s.way[len(s.way)-1].mark()
			}
			if len(s.way) >= b.limits.LaneCertificates || s.bytes+order.MaxCertificateBytes > b.limits.LaneBytes {
				continue
			}
		}
		if w.Tip.Compare(w.After) > 0 && b.owner(t.Owner) {
			wants = append(wants, w)
		}
	}
	return wants
}

// owner tells whether there can be certificates of that owner now.
func (b *Book) owner(o order.Owner) bool {
	for _, c := range b.view.Committees {
		if c == nil {
			continue
		}
		if _, ok := c.Index(o); ok {
			return true
		}
	}
	return false
}

// Range returns candidates of the lane after the mark, in sequence, at most that many
// and that many bytes.
func (b *Book) Range(owner order.Owner, after order.Mark, most, bytes int) []*order.Certificate {
	s := b.lanes[owner]
	if s == nil {
		return nil
	}
	var out []*order.Certificate
	for _, c := range s.way {
		if c.mark().Compare(after) <= 0 {
			continue
		}
		if bytes -= c.bytes; len(out) == most || bytes < 0 {
			break
		}
		out = append(out, c.certificate)
	}
	return out
}
