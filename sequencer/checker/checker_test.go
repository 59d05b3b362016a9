package checker

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
)

// blob is one of blocks 1 to 4.
func blob(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("../../follower/testdata/blob.hex")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := follower.BlobRange(raw); err != nil || r.From != 1 || r.To != 4 {
		t.Fatalf("blob of %+v, %v", r, err)
	}
	return raw
}

// errHangs makes a layer not answer at all.
var errHangs = errors.New("hangs")

// layer answers Get by the height of the part, and nothing else.
type layer struct {
	da.Layer
	get func(height uint64) ([]byte, error)

	mu   sync.Mutex
	gets []uint64
}

func (l *layer) Get(ctx context.Context, _ da.Namespace, ref da.Ref) ([]byte, error) {
	l.mu.Lock()
	l.gets = append(l.gets, ref.Height)
	l.mu.Unlock()
	data, err := l.get(ref.Height)
	if errors.Is(err, errHangs) {
		<-ctx.Done()
		return nil, fmt.Errorf("%w: %w", ctx.Err(), da.ErrUnavailable)
	}
	return data, err
}

// asked returns the heights that were asked for since the last time.
func (l *layer) asked() []uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.gets
	l.gets = nil
	return out
}

// blocks is a node's own chain: it knows the blocks up to a height.
type blocks uint64

func (blocks) ChainID() string { return "test" }

func (b blocks) Hash(height uint64) (hash [32]byte, known bool) { return hash, height <= uint64(b) }

// chain is what the source says.
type chain struct {
	mu      sync.Mutex
	claims  []Claim
	ignored string // a relayer
	asked   int    // for how many claims
}

func (c *chain) source(wanted func(uint64) bool) (numbers []uint64, out []Claim, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, claim := range c.claims {
		numbers = append(numbers, claim.Number)
		if wanted(claim.Number) {
			if c.asked++; claim.Relayer != c.ignored {
				out = append(out, claim)
			}
		}
	}
	return numbers, out, nil
}

func (c *chain) add(claims ...Claim) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.claims = append(c.claims, claims...)
}

func (c *chain) settle(numbers ...uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.claims = slices.DeleteFunc(c.claims, func(claim Claim) bool { return slices.Contains(numbers, claim.Number) })
}

func (c *chain) ignore(relayer string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ignored = relayer
}

func newClaim(number uint64, relayer string, blob []byte, heights ...uint64) Claim {
	c := Claim{Number: number, Relayer: relayer, Claim: da.Claim{Layer: "test", From: 1, To: 4}}
	for _, h := range heights {
		c.Parts = append(c.Parts, da.Part{Ref: da.Ref{Height: h}, ID: da.ID(blob)})
	}
	return c
}

// start runs a checker over the layer, whose blobs are good as far as check says.
func start(t *testing.T, l *layer, check error, change func(*Options)) (*chain, *Checker) {
	t.Helper()
	ch := new(chain)
	o := Options{Layers: map[string]da.Layer{"test": l}, Source: ch.source, Chain: blocks(100), Workers: 1, Registerer: prometheus.NewRegistry()}
	if change != nil {
		change(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	c.check = func([][]byte, order.RollupID, uint64, uint64, follower.Chain) error { return check }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	synctest.Wait() // it has found nothing: what is added now it learns of together
	return ch, c
}

func votes(t *testing.T, c *Checker, yes, no []uint64) {
	t.Helper()
	synctest.Wait()
	if y, n := c.Votes(7); !slices.Equal(y, yes) || !slices.Equal(n, no) {
		t.Fatalf("confirms %v and denies %v, want %v and %v", y, n, yes, no)
	}
}

func TestWhatIsSaidOfClaims(t *testing.T) {
	raw := blob(t)
	other := []byte("something else")
	for name, tc := range map[string]struct {
		get     func(uint64) ([]byte, error)
		check   error
		claim   func(*Claim)
		yes, no bool
		looks   int // in ten seconds
	}{
		"true":                     {yes: true, looks: 1},
		"not there":                {get: func(uint64) ([]byte, error) { return nil, da.ErrNotFound }, no: true, looks: 2},
		"something else is there":  {get: func(uint64) ([]byte, error) { return other, nil }, no: true, looks: 2},
		"garbage was claimed":      {get: func(uint64) ([]byte, error) { return other, nil }, claim: func(c *Claim) { c.Parts[0].ID = da.ID(other) }, no: true, looks: 2},
		"does not verify":          {check: fmt.Errorf("look: %w", follower.ErrFalseClaim), no: true, looks: 2},
		"of other blocks":          {claim: func(c *Claim) { c.To = 5 }, no: true, looks: 2},
		"of too many parts":        {claim: func(c *Claim) { c.Parts = append(c.Parts, c.Parts[0]) }, no: true, looks: 2},
		"of blocks beyond numbers": {claim: func(c *Claim) { c.To = 1<<64 - 1 }, no: true},
		// Again after 2 s, 4 s, 8 s.
		"layer does not answer": {get: func(uint64) ([]byte, error) { return nil, da.ErrUnavailable }, looks: 3},
		"layer is behind":       {get: func(uint64) ([]byte, error) { return nil, da.ErrNotYet }, looks: 3},
		"blocks are not known":  {check: errors.New("block 3 is not known"), looks: 3},
		"another layer":         {claim: func(c *Claim) { c.Layer = "other" }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &layer{get: tc.get}
				if l.get == nil {
					l.get = func(uint64) ([]byte, error) { return raw, nil }
				}
				ch, c := start(t, l, tc.check, nil)
				claim := newClaim(3, "a", raw, 10)
				if tc.claim != nil {
					tc.claim(&claim)
				}
				ch.add(claim)
				time.Sleep(time.Second)
				if tc.no { // one look is not enough to accuse somebody
					votes(t, c, nil, nil)
				}
				time.Sleep(9 * time.Second)
				var yes, no []uint64
				if tc.yes {
					yes = []uint64{3}
				}
				if tc.no {
					no = []uint64{3}
				}
				votes(t, c, yes, no)
				if got := len(l.asked()); got != tc.looks {
					t.Errorf("%d looks, want %d", got, tc.looks)
				}
				// What is settled is not spoken of any more.
				ch.settle(3)
				time.Sleep(time.Second)
				votes(t, c, nil, nil)
			})
		})
	}
}

// A layer that was away for a moment costs nobody anything.
func TestClaimIsConfirmedAfterDoubt(t *testing.T) {
	raw := blob(t)
	synctest.Test(t, func(t *testing.T) {
		answers := []error{da.ErrUnavailable, da.ErrNotFound, da.ErrUnavailable, nil}
		l := &layer{get: func(uint64) ([]byte, error) {
			err := answers[0]
			answers = answers[1:]
			return raw, err
		}}
		ch, c := start(t, l, nil, nil)
		ch.add(newClaim(1, "a", raw, 10))
		time.Sleep(time.Minute)
		votes(t, c, []uint64{1}, nil)
		var m dto.Metric
		if err := c.metrics.looks.WithLabelValues("test", "doubted").Write(&m); err != nil || m.GetCounter().GetValue() != 1 {
			t.Errorf("doubts: %v, %v", &m, err)
		}
	})
}

// A relayer that floods the chain holds up itself, not others.
func TestRelayersTakeTurns(t *testing.T) {
	raw := blob(t)
	synctest.Test(t, func(t *testing.T) {
		l := &layer{get: func(uint64) ([]byte, error) { return raw, nil }}
		// A blob takes ten seconds.
		ch, c := start(t, l, nil, func(o *Options) { o.BytesPerSecond = len(raw) / 10 })
		for i := range uint64(100) {
			ch.add(newClaim(i+1, "flood", raw, i+1))
		}
		ch.add(newClaim(101, "b", raw, 1001), newClaim(102, "b", raw, 1002), newClaim(103, "c", raw, 2001))
		time.Sleep(65 * time.Second)
		synctest.Wait()
		if got, want := l.asked(), []uint64{1, 1001, 2001, 2, 1002, 3, 4}; !slices.Equal(got, want) {
			t.Errorf("looked at %v, want %v", got, want)
		}
		// What was settled meanwhile is not fetched.
		ch.settle(5, 6, 7)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if got, want := l.asked(), []uint64{8, 9}; !slices.Equal(got, want) {
			t.Errorf("looked at %v, want %v", got, want)
		}
		_ = c
	})
}

// A claim of wrong parts is found out by the first.
func TestFalseClaimCostsOneFetch(t *testing.T) {
	raw := blob(t)
	synctest.Test(t, func(t *testing.T) {
		l := &layer{get: func(uint64) ([]byte, error) { return raw, nil }}
		ch, c := start(t, l, nil, nil)
		heights := make([]uint64, da.MaxClaimParts)
		for i := range heights {
			heights[i] = uint64(i + 1)
		}
		ch.add(newClaim(1, "a", raw, heights...))
		time.Sleep(time.Minute)
		votes(t, c, nil, []uint64{1})
		if got := l.asked(); !slices.Equal(got, []uint64{1, 1}) {
			t.Errorf("fetched %v", got)
		}
	})
}

// What is more than a vote can hold takes turns, and validators that know of different
// claims still say the same of some at each height.
func TestVotesTakeTurns(t *testing.T) {
	know := func(numbers ...uint64) *Checker {
		c := &Checker{known: make(map[uint64]*state)}
		for _, n := range numbers {
			c.known[n] = &state{result: confirmed}
			if n%5 == 0 {
				c.known[n].result = denied
			}
		}
		return c
	}
	var all []uint64
	for n := uint64(1); n <= 4000; n++ {
		if n%3 != 0 {
			all = append(all, n)
		}
	}
	a, b := know(all...), know(all[:len(all)/3]...)
	said := make(map[uint64]int)
	both := make(map[uint64]bool)
	for height := uint64(100); height < 100+64; height++ {
		yes, no := a.Votes(height)
		v := order.VoteExtension{Confirmed: yes, Denied: no}
		if back, err := order.DecodeVoteExtension(v.Encode()); err != nil || len(back.Confirmed) != len(yes) {
			t.Fatalf("height %d: %v", height, err)
		}
		for _, n := range yes {
			said[n]++
		}
		for _, n := range no {
			if n%5 != 0 {
				t.Fatalf("denies %d", n)
			}
			said[n]++
		}
		otherYes, otherNo := b.Votes(height)
		for _, n := range append(otherYes, otherNo...) {
			if slices.Contains(yes, n) || slices.Contains(no, n) {
				both[n] = true
			}
		}
	}
	for i, n := range all {
		if said[n] == 0 {
			t.Fatalf("nothing is said of %d", n)
		}
		if i < len(all)/3 && !both[n] {
			t.Fatalf("of %d not both speak at one height", n)
		}
	}
	few := know(1, 2, 3, 200, 100_000, 1<<40)
	for height := range uint64(10) {
		if yes, no := few.Votes(height); len(yes)+len(no) != 6 {
			t.Fatalf("height %d: %v, %v", height, yes, no)
		}
	}
}
