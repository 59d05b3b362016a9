package lane

import (
	"bytes"
	"container/heap"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/order"
)

const simChain = "ordo-sim"

// cast are the validators of a network: two committees, which take turns by epoch, with
// other stakes and other keys.
type cast struct {
	members [2][]order.Member
	layouts [2]*shard.Layout
	keys    map[[32]byte]ed25519.PrivateKey
	owners  []order.Owner
}

// casts are made once: keys and layouts cost more than a run.
var casts = sync.OnceValue(func() []*cast {
	rng := rand.New(rand.NewPCG(1, 1))
	var out []*cast
	for _, n := range []int{4, 4, 4, 4, 4, 4, 5, 5, 6, 6, 7, 7, 7, 8, 10, 13, 19, 31} {
		out = append(out, newCast(rng, n))
	}
	return out
})

func newCast(rng *rand.Rand, n int) *cast {
	c := &cast{keys: make(map[[32]byte]ed25519.PrivateKey)}
	equal := rng.IntN(3) == 0
	stakes := make([]uint64, n)
	for i := range stakes {
		if stakes[i] = 10; !equal {
			stakes[i] = 10 + rng.Uint64N(30)
		}
		c.owners = append(c.owners, order.Owner{byte(rng.UintN(256)), byte(i)})
	}
	slices.SortFunc(c.owners, order.Owner.Compare)
	for turn := range c.members {
		left := -1 // who is not in the second committee
		if turn == 1 && n > 4 {
			left = rng.IntN(n)
		}
		for i, o := range c.owners {
			if i == left {
				continue
			}
			_, key, err := ed25519.GenerateKey(bytes.NewReader(binary.BigEndian.AppendUint64(make([]byte, 24), rng.Uint64())))
			if err != nil {
				panic(err)
			}
			m := order.Member{Owner: o, Key: [32]byte(key.Public().(ed25519.PublicKey)), Stake: stakes[(i+turn)%n]}
			c.keys[m.Key] = key
			c.members[turn] = append(c.members[turn], m)
		}
		committee, err := order.NewCommittee(0, c.members[turn])
		if err != nil {
			panic(err)
		}
		if c.layouts[turn], err = Layout(committee); err != nil {
			panic(err)
		}
	}
	return c
}

// event is something that happens at a time.
type event struct {
	at, serial uint64
	do         func()
}

type events []*event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].serial < e[j].serial
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(*event)) }
func (e *events) Pop() any {
	old := *e
	x := old[len(old)-1]
	*e = old[:len(old)-1]
	return x
}

// weather is what a seed makes of the network until it heals.
type weather struct {
	faultsUntil uint64
	loss, twice float64 // of messages
	slow        uint64  // ms that a message takes at most, as a rule
	disk        uint64  // ms that a write takes at most
	diskFails   float64
	rots        float64 // of disks, while the node is down
	crashes     float64 // of a node, each 100 ms
	cuts        float64 // of the network, each 100 ms
	skew        int64   // ms that clocks are off at most
	bundles     int
	interval    uint64 // ms between blocks
	epochBlocks uint64
	limits      order.BlockLimits
	params      Params
}

// world is one network from one seed.
type world struct {
	rng    *rand.Rand
	now    uint64
	queue  events
	serial uint64
	hash   hash.Hash64
	trace  func(format string, args ...any)
	failed error
	done   bool

	cast     *cast
	weather  weather
	verifier *Verifier
	nodes    []*simNode
	byOwner  map[order.Owner]*simNode
	side     []int // of the cut that each node is on
	chain    simChainState
	truth    truth
	count    counts

	checked map[*order.SignedBatch]checkedBatch
	payers  []ed25519.PrivateKey
	bundles int
}

type checkedBatch struct {
	id      order.BatchID
	refusal *Refusal
}

func newWorld(seed uint64) *world {
	w := &world{
		rng: rand.New(rand.NewPCG(seed, 7)), hash: fnv.New64a(), verifier: NewVerifier(simChain, 1<<16),
		byOwner: make(map[order.Owner]*simNode), checked: make(map[*order.SignedBatch]checkedBatch),
	}
	all := casts()
	w.cast = all[w.rng.IntN(len(all))]
	if n := len(w.cast.owners); n > 8 && w.rng.IntN(3) > 0 { // large networks cost the most
		w.cast = all[w.rng.IntN(6)]
	}
	w.weather = w.forecast()
	w.truth = newTruth(w)
	for i := range 3 {
		w.payers = append(w.payers, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i + 1)}, 32)))
	}
	w.chain = newSimChain(w)
	w.side = make([]int, len(w.cast.owners))
	for i, o := range w.cast.owners {
		n := newSimNode(w, i, o)
		w.nodes = append(w.nodes, n)
		w.byOwner[o] = n
	}
	w.choseRogues()
	return w
}

// some is true in that part of the cases.
func (w *world) some(part float64) bool { return w.rng.Float64() < part }

// upTo is 0 in half of the seeds, else up to most.
func (w *world) upTo(most float64) float64 {
	if w.some(0.5) {
		return 0
	}
	return w.rng.Float64() * most
}

func (w *world) forecast() weather {
	f := weather{
		faultsUntil: 3000 + w.rng.Uint64N(3000),
		loss:        w.upTo(0.3), twice: w.upTo(0.2),
		slow: 5 + w.rng.Uint64N(100), disk: 1 + w.rng.Uint64N(30), diskFails: w.upTo(0.1), rots: w.upTo(0.5),
		crashes: w.upTo(0.03), cuts: w.upTo(0.1), skew: w.rng.Int64N(5000),
		bundles: 10 + w.rng.IntN(40), interval: 50 + w.rng.Uint64N(400), epochBlocks: 1 << 30,
		limits: order.BlockLimits{Certificates: 1000, CertificateBytes: 4 << 20, BatchBytes: 64 << 20},
		params: Params{MaxBatchBytes: 1 << 12, LaneQuotaBytes: 64 << 20},
	}
	if w.some(0.4) {
		f.epochBlocks = 2 + w.rng.Uint64N(12)
	}
	if w.some(0.4) {
		f.limits.Certificates = 1 + w.rng.IntN(6)
	}
	if w.some(0.3) {
		f.params.LaneQuotaBytes = []uint64{12 << 10, 30 << 10, 200 << 10, 290 << 10}[w.rng.IntN(4)]
	}
	return f
}

// after does something in a while.
func (w *world) after(ms uint64, do func()) {
	w.serial++
	heap.Push(&w.queue, &event{at: w.now + ms, serial: w.serial, do: do})
}

func (w *world) tracef(format string, args ...any) {
	if w.trace != nil {
		w.trace(format, args...)
	}
}

// fail notes what was violated; the first counts.
func (w *world) fail(format string, args ...any) {
	if w.failed == nil {
		w.failed = fmt.Errorf("at %d ms: "+format, append([]any{w.now}, args...)...)
	}
}

func (w *world) healed() bool { return w.now >= w.weather.faultsUntil }

// run lets the network live until all is ordered, or it is clear that it will not be.
func (w *world) run() error {
	w.after(0, w.fate)
	w.after(0, w.client)
	w.after(0, w.propose)
	for _, n := range w.nodes {
		n.start()
	}
	w.after(w.weather.faultsUntil, w.look)
	deadline := w.weather.faultsUntil + 120_000
	for w.failed == nil && !w.done {
		e := heap.Pop(&w.queue).(*event)
		w.now = e.at
		_ = binary.Write(w.hash, binary.BigEndian, [2]uint64{e.at, e.serial})
		e.do()
		if w.now > deadline {
			w.fail("the network healed %d ms ago and still: %s", w.now-w.weather.faultsUntil, w.unsettled())
		}
	}
	if w.failed == nil {
		w.audit()
	}
	return w.failed
}

// look sees whether all is ordered.
func (w *world) look() {
	w.done = w.unsettled() == ""
	w.after(100, w.look)
}

// fate breaks and mends things.
func (w *world) fate() {
	if w.healed() {
		clear(w.side)
		for _, n := range w.nodes {
			if !n.up {
				n.restart()
			}
		}
		w.connectAll()
		return
	}
	for _, n := range w.nodes {
		switch {
		case n.rogue != nil:
		case n.up && w.some(w.weather.crashes):
			n.crash()
		case !n.up && w.some(0.1):
			n.restart()
		}
		if w.some(0.01) { // somebody sets the clock
			n.skew = w.rng.Int64N(2*w.weather.skew+1) - w.weather.skew
		}
	}
	if w.some(w.weather.cuts) {
		w.count.Cuts++
		for i := range w.side {
			w.side[i] = w.rng.IntN(2)
		}
		for _, a := range w.nodes {
			for _, b := range w.nodes {
				if a.up && !w.linked(a, b) && w.some(0.7) { // not everybody notices
					a.disperser.Disconnected(b.owner)
				}
			}
		}
	} else if w.some(0.2) {
		clear(w.side)
		w.connectAll()
	}
	w.after(100, w.fate)
}

func (w *world) linked(a, b *simNode) bool { return a.up && b.up && w.side[a.index] == w.side[b.index] }

func (w *world) connectAll() {
	for _, a := range w.nodes {
		for _, b := range w.nodes {
			w.connect(a, b)
		}
	}
}

func (w *world) connect(a, b *simNode) {
	if a == b || !w.linked(a, b) {
		return
	}
	life := a.life
	w.after(w.rng.Uint64N(50), func() {
		if a.life == life && w.linked(a, b) {
			a.connected(b)
		}
	})
}

// send carries a message, or does not.
func (w *world) send(from, to *simNode, deliver func()) {
	if from == to {
		life := to.life
		w.after(0, func() {
			if to.up && to.life == life {
				deliver()
			}
		})
		return
	}
	times := 1
	if !w.healed() {
		if w.some(w.weather.loss) {
			times = 0
		}
		if w.some(w.weather.twice) {
			times++
		}
	}
	for range times {
		delay := 1 + w.rng.Uint64N(w.weather.slow)
		if !w.healed() && w.some(0.02) {
			delay += w.rng.Uint64N(2000)
		}
		w.after(delay, func() {
			if w.linked(from, to) {
				deliver()
			}
		})
	}
}

// client hands bundles to nodes, which acknowledge them.
func (w *world) client() {
	if w.bundles >= w.weather.bundles || w.healed() {
		return
	}
	if n := w.nodes[w.rng.IntN(len(w.nodes))]; n.up && n.rogue == nil {
		for range 1 + w.rng.IntN(3) {
			n.submit(w.bundle(n.owner))
		}
	}
	w.after(1+w.rng.Uint64N(2*w.weather.faultsUntil/uint64(w.weather.bundles)), w.client)
}

// bundle makes one for the owner's lane that there has not been before.
func (w *world) bundle(lane order.Owner) *order.Bundle {
	w.bundles++
	tx := binary.BigEndian.AppendUint64(nil, uint64(w.bundles))
	tx = append(tx, make([]byte, w.rng.IntN(300))...)
	b := &order.Bundle{Expiry: 1, Legs: []order.Leg{{RollupID: order.RollupID{1}, Transactions: [][]byte{tx}}}}
	b.Sign(simChain, lane, w.payers[w.rng.IntN(len(w.payers))])
	return b
}
