package lane

import (
	"errors"

	"github.com/ordo-network/ordo/order"
)

var (
	// ErrKnown is returned for a certificate that is of no use: its position is ordered,
	// held, or its epoch over.
	ErrKnown = errors.New("the certificate is not needed")
	// ErrFull is returned for a certificate that there is no room for before the chain
	// has ordered others of its lane.
	ErrFull = errors.New("no room for more certificates of the lane")
	// ErrFork is returned for a certificate of another batch than the one that is held
	// for its position: more than a third of the stake equivocated.
	ErrFork = errors.New("another batch is certified for the position")
)

// BookLimits bound a Book's memory.
type BookLimits struct {
	LaneCertificates int
	LaneBytes        int
	Bytes            int // of all lanes
}

// Book holds the certificates that the chain has yet to order.
type Book struct{}

// Want is a run of certificates that this node lacks: those after After up to Tip.
type Want struct {
	Owner order.Owner
	After order.Mark
	Tip   order.Mark
}

// NewBook returns an empty book.
func NewBook(l BookLimits) *Book { return nil }

// View takes the chain's state after a block and drops what can not be ordered any more.
func (b *Book) View(v *View) {}

// Add takes a certificate that was verified. It may be put on disk then; Stored tells
// when it is. Errors: ErrKnown, ErrFull, ErrFork.
func (b *Book) Add(c *order.Certificate) error { return nil }

// Get returns the certificate held for the position, or nil.
func (b *Book) Get(p order.Position) *order.Certificate { return nil }

// Stored tells that the certificate held for the position is on disk.
func (b *Book) Stored(p order.Position) {}

// Candidates returns, for each lane that has some, the certificates that the chain can
// order next, in sequence. Lanes are by owner.
func (b *Book) Candidates() [][]*order.Certificate { return nil }

// Tips returns how far the candidates go that are on disk, by owner.
func (b *Book) Tips() []order.Tip { return nil }

// Missing returns what others hold, by their tips, and this node does not.
func (b *Book) Missing(tips []order.Tip) []Want { return nil }

// Range returns candidates of the lane after the mark, in sequence, at most that many
// and that many bytes.
func (b *Book) Range(owner order.Owner, after order.Mark, most, bytes int) []*order.Certificate { return nil }
