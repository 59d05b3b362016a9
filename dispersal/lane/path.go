package lane

import (
	"slices"

	"github.com/ordo-network/ordo/order"
)

// shelved is a certificate in a lane, with what is known of it.
type shelved struct {
	certificate *order.Certificate
	bytes       int
	stored      bool
}

func (s *shelved) mark() order.Mark { return s.certificate.Header.Mark }

// path returns, of a lane's certificates by mark, those that lead from the chain's mark
// as far as can be: each follows on the one before it. Where an owner's sessions fork, it
// is the way to the greatest mark, since that reaches whatever others may hold.
func path(certs []*shelved, from order.Mark) []*shelved {
	reached := make([]int, len(certs)) // index of the one before, plus 1; 0 for from
	last := -1
	for i, s := range certs {
		h := &s.certificate.Header
		prev := Before(h.Mark, h.After)
		at, ok := find(certs[:i], prev)
		switch {
		case prev == from:
			reached[i], last = 0, i
		case ok && reached[at] >= 0:
			reached[i], last = at+1, i
		default:
			reached[i] = -1
		}
	}
	var way []*shelved
	for i := last; i >= 0; i = reached[i] - 1 {
		way = append(way, certs[i])
	}
	slices.Reverse(way)
	return way
}

// find searches the certificates, which are by mark.
func find(certs []*shelved, m order.Mark) (int, bool) {
	return slices.BinarySearchFunc(certs, m, func(s *shelved, m order.Mark) int { return s.mark().Compare(m) })
}
