package eigenda

import (
	"bytes"
	"container/list"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	"github.com/ordo-network/ordo/da"
)

const (
	minRefusals = 3
	// maxCases bounds the certificates of all files together, about 64 bytes each. It is
	// many times what one block of the sequencer chain has room for, so that the file of
	// the height that a reader is at does not go before its verdict.
	maxCases = 1 << 20
	// fileCost is what a file takes beside its certificates, in certificates.
	fileCost    = 8
	maxCanaries = 8
)

// verdicts decide which certificates the proxy will never serve. It does not say: it
// answers a certificate that somebody made up with the same status 500 as a failure of
// EigenDA's that passes. Were both taken for a failure, one made-up certificate on the
// sequencer chain would hold every reader up for good; were both taken for a verdict, a
// failure would make readers pass by what they need.
//
// So what stands at a height is asked for in rounds, and what the proxy refused in at least
// three of them, over the whole of the patience, is given up where it serves another
// certificate at the end: then the proxy and EigenDA are well. What was given up is not
// asked for again while its file is kept. There is one file for all that a height
// holds: however much strangers record there, none of it is forgotten before the rest.
type verdicts struct {
	patience time.Duration
	now      func() time.Time

	mu       sync.Mutex
	files    map[[32]byte]*list.Element
	order    *list.List // of *file, the last used in front
	cases    int        // of all files, with what files cost
	canaries [][]byte   // the certificates served last, the newest first
	servedAt time.Time
}

func newVerdicts(patience time.Duration, now func() time.Time) *verdicts {
	return &verdicts{patience: patience, now: now, files: map[[32]byte]*list.Element{}, order: list.New()}
}

// item is a certificate, and what it is recorded for.
type item struct {
	commitment []byte
	ids        []da.BlobID // empty: for whatever it is of
}

// isFor says whether the certificate is recorded for the blob.
func (it *item) isFor(id da.BlobID) bool {
	for _, want := range it.ids {
		if want == id {
			return true
		}
	}
	return len(it.ids) == 0
}

type status uint8

const (
	statusOpen    status = iota // not served yet
	statusServed                // and it was what is recorded
	statusForeign               // served, and it is something else
	statusGivenUp
)

// file is what is known of the certificates of one height, or of a single one.
type file struct {
	turn chan struct{} // holds a token while nobody works with the rest
	key  [32]byte

	items  []item
	status []status
	held   map[int]da.BlobID // of those that were served
	open   int               // how many are

	rounds int       // over all that are open
	first  time.Time // when the first of them ended
	next   int       // the item with which the round goes on; 0: none is under way
	began  time.Time // the last round
	well   bool      // the proxy was, whenever a part of the round ended
}

// of returns the file of the items.
func (v *verdicts) of(items []item) *file {
	key := digest(items)
	v.mu.Lock()
	defer v.mu.Unlock()
	if e, ok := v.files[key]; ok {
		v.order.MoveToFront(e)
		return e.Value.(*file)
	}
	f := &file{
		turn: make(chan struct{}, 1), key: key, items: items, open: len(items),
		status: make([]status, len(items)), held: map[int]da.BlobID{},
	}
	f.turn <- struct{}{}
	v.files[key] = v.order.PushFront(f)
	v.cases += f.cost()
	for v.cases > maxCases && v.order.Len() > 1 {
		last := v.order.Remove(v.order.Back()).(*file)
		delete(v.files, last.key)
		v.cases -= last.cost()
	}
	return f
}

func (f *file) cost() int { return len(f.items) + fileCost }

// digest names items.
func digest(items []item) (key [32]byte) {
	h := sha256.New()
	var n [8]byte
	for _, it := range items {
		binary.BigEndian.PutUint32(n[:4], uint32(len(it.commitment)))
		binary.BigEndian.PutUint32(n[4:], uint32(len(it.ids)))
		h.Write(n[:])
		h.Write(it.commitment)
		for _, id := range it.ids {
			h.Write(id[:])
		}
	}
	h.Sum(key[:0])
	return key
}

// set notes what became of an open item.
func (f *file) set(i int, s status) {
	f.status[i] = s
	f.open--
}

// doubt opens an item that was served before.
func (f *file) doubt(i int) {
	if f.open == 0 {
		f.rounds, f.next = 0, 0
	}
	delete(f.held, i)
	f.status[i] = statusOpen
	f.open++
}

// begin begins a round, or goes on with the one under way. It says false where it is too
// early for the next.
func (f *file) begin(now time.Time, pause time.Duration) bool {
	if f.next > 0 {
		return true
	}
	if f.rounds > 0 && now.Sub(f.began) < pause {
		return false
	}
	f.began, f.well = now, true
	return true
}

// pause is what lies between two rounds for who waits for what is in the file: the less is
// open, the sooner a failure of the proxy that has passed is noticed.
func (f *file) pause(patience time.Duration) time.Duration {
	return patience / minRefusals * time.Duration(min(f.open, lookAhead)) / lookAhead
}

// ripe says whether what is open at the end of the round is given up where the proxy is
// well.
func (f *file) ripe(patience time.Duration) bool {
	return f.rounds+1 >= minRefusals && f.began.Sub(f.first) >= patience
}

// end ends a round.
func (f *file) end(now time.Time, patience time.Duration) {
	if f.ripe(patience) && f.well {
		for i, s := range f.status {
			if s == statusOpen {
				f.set(i, statusGivenUp)
			}
		}
	}
	if f.rounds == 0 {
		f.first = now
	}
	f.rounds++
	f.next = 0
}

// serve notes that the proxy served the certificate's blob.
func (v *verdicts) serve(commitment []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.servedAt = v.now()
	kept := [][]byte{commitment}
	for _, c := range v.canaries {
		if len(kept) < maxCanaries && !bytes.Equal(c, commitment) {
			kept = append(kept, c)
		}
	}
	v.canaries = kept
}

// health says whether the proxy served something just now. Where it did not, one of the
// canaries is what to ask for to know; there may be none.
func (v *verdicts) health() (well bool, canaries [][]byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return !v.servedAt.IsZero() && v.now().Sub(v.servedAt) <= v.patience/10, v.canaries
}
