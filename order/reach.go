package order

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

var (
	// ErrCensored is returned for a block that leaves out what it must carry.
	ErrCensored = errors.New("block leaves out certified batches")
	// ErrLimits is returned for a block that carries more than it may.
	ErrLimits = errors.New("block carries more than its limits allow")
)

// BlockLimits bound what one block carries.
type BlockLimits struct {
	Certificates     int
	CertificateBytes int    // of their canonical encodings
	BatchBytes       uint64 // of the batches that they stand for
}

type load struct {
	certificates, bytes int
	batchBytes          uint64
}

func (l *load) add(c *Certificate) {
	l.certificates++
	l.bytes += c.Size()
	l.batchBytes += c.Header.Length
}

// full reports whether some certificate would not fit any more. It asks for the
// largest that there may be, so that a validator can tell without knowing which
// certificate was left out.
func (l load) full(most BlockLimits) bool {
	return l.certificates >= most.Certificates || l.bytes+MaxCertificateBytes > most.CertificateBytes ||
		l.batchBytes+MaxBatchBytes > most.BatchBytes
}

// Report is what one validator says that it holds.
type Report struct {
	Power uint64
	Tips  []Tip // by owner, at most one for each
}

// Required returns, by owner, the greatest mark of each lane that validators with more
// than a third of the power report at least. One of them is correct, so the
// certificates up to there can be had, and the next block has to carry them.
func Required(power uint64, reports []Report) []Tip {
	type said struct {
		tip   Tip
		power uint64
	}
	var all []said
	for _, r := range reports {
		for _, t := range r.Tips {
			all = append(all, said{t, r.Power})
		}
	}
	slices.SortFunc(all, func(a, b said) int {
		return cmp.Or(a.tip.Owner.Compare(b.tip.Owner), b.tip.Compare(a.tip.Mark))
	})
	var required []Tip
	for i := 0; i < len(all); {
		owner, sum, found := all[i].tip.Owner, uint64(0), false
		for ; i < len(all) && all[i].tip.Owner == owner; i++ {
			if sum += all[i].power; !found && moreThan(sum, 1, power) {
				required, found = append(required, all[i].tip), true
			}
		}
	}
	return required
}

// turn is the owner at which the lanes' turns begin in the block of that height. It
// changes from block to block, so that no lane is always the last.
func turn(height uint64) Owner {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("ordo/turn/v1\x00"), height))
	return Owner(sum[:20])
}

// before reports whether lane a has its turn before lane b.
func before(first, a, b Owner) bool {
	lateA, lateB := a.Compare(first) < 0, b.Compare(first) < 0
	if lateA != lateB {
		return lateB
	}
	return a.Compare(b) < 0
}

// Fill chooses what the block of that height carries, from the lanes' certificates, each
// lane's in sequence from where it stands on. One after the other the lanes put in
// their next certificate, first up to what is required, then what else there is,
// until the block is full. What it returns passes CheckReach, if lanes hold all
// that is required.
func Fill(limits BlockLimits, height uint64, lanes [][]*Certificate, required []Tip) []*Certificate {
	var queues [][]*Certificate
	for _, q := range lanes {
		if len(q) > 0 {
			queues = append(queues, q)
		}
	}
	first := turn(height)
	slices.SortFunc(queues, func(a, b []*Certificate) int {
		if before(first, a[0].Header.Owner, b[0].Header.Owner) {
			return -1
		}
		return 1
	})
	must := make(map[Owner]Mark, len(required))
	for _, t := range required {
		must[t.Owner] = t.Mark
	}
	var block []*Certificate
	var carried load
	reached := make([]Mark, len(queues))
	fill := func(wanted func(lane int) bool) {
		for again := true; again; {
			again = false
			for i, q := range queues {
				if len(q) == 0 || !wanted(i) {
					continue
				}
				if carried.full(limits) {
					return
				}
				carried.add(q[0])
				block, reached[i], queues[i], again = append(block, q[0]), q[0].Header.Mark, q[1:], true
			}
		}
	}
	// Until the mark is reached, and not while the next certificate is below it: where
	// sessions fork, the way that this node holds may step over the mark.
	fill(func(i int) bool { return reached[i].Compare(must[queues[i][0].Header.Owner]) < 0 })
	fill(func(int) bool { return true })
	return block
}

// CheckReach checks that the block of that height carries what validators' reports
// require. A lane may stop short only where the block is full and the lane had
// its turn as often as the others. lane returns where a lane stands before the block.
// Errors: ErrCensored, ErrLimits.
func CheckReach(limits BlockLimits, height uint64, certs []*Certificate, lane func(Owner) LaneState, required []Tip) error {
	var carried load
	end := make(map[Owner]Mark)
	turns := make(map[Owner]int)
	var owners []Owner
	for _, c := range certs {
		carried.add(c)
		o := c.Header.Owner
		if turns[o]++; turns[o] == 1 {
			owners = append(owners, o)
		}
		if c.Header.Mark.Compare(end[o]) > 0 {
			end[o] = c.Header.Mark
		}
	}
	if carried.certificates > limits.Certificates || carried.bytes > limits.CertificateBytes || carried.batchBytes > limits.BatchBytes {
		return fmt.Errorf("%d certificates of %d bytes for %d bytes of batches, at most %d of %d for %d: %w", carried.certificates,
			carried.bytes, carried.batchBytes, limits.Certificates, limits.CertificateBytes, limits.BatchBytes, ErrLimits)
	}
	first := turn(height)
	for _, t := range required {
		reached, ok := end[t.Owner]
		if !ok {
			reached = lane(t.Owner).Mark
		}
		if reached.Compare(t.Mark) >= 0 {
			continue
		}
		if !carried.full(limits) {
			return fmt.Errorf("lane %s stops at %s, more than a third of the power holds it up to %s, and there is room: %w",
				t.Owner, reached, t.Mark, ErrCensored)
		}
		for _, o := range owners {
			allowed := turns[t.Owner]
			if before(first, o, t.Owner) {
				allowed++
			}
			if o != t.Owner && turns[o] > allowed {
				return fmt.Errorf("lane %s stops at %s short of %s after %d batches, lane %s has %d: %w",
					t.Owner, reached, t.Mark, turns[t.Owner], o, turns[o], ErrCensored)
			}
		}
	}
	return nil
}
