package gateway

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ordo-network/ordo/order"
)

const simChain = "sim-1"

var (
	simRollup = order.NewRollupID("sim")
	simKey    = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	simStart  = time.UnixMilli(1_700_000_000_000)
)

// sim is a world with one gateway, some sequencers that fail in all ways, a chain, and a
// rollup that knows nonces. One seed is one history, to the last write.
type sim struct {
	t    *testing.T
	rng  *rand.Rand
	calm bool // no more faults, no more transactions
	now  time.Time

	// the sequencers and their chain
	nodes  []*simNode
	height uint64
	window uint64 // bound on expiry
	slow   int    // percent of bundles that a block leaves waiting
	fate   map[order.BundleID]*simBundle
	blocks [][]*simBundle // blocks[h-1]: what height h orders

	// the rollup, as far as it is executed
	soft     uint64
	number   uint64 // of its last block
	nonces   map[string]uint64
	executed map[[32]byte]uint64 // height
	observed []Observed          // by height, from 1

	// the clients
	next  map[string]uint64
	last  map[string]uint64 // highest nonce handed in
	acked map[[32]byte]Tx
	told  []func() // what others learn once the step is on disk
	users simUsers

	// the gateway
	cfg      Config
	fs       *vfs.MemFS
	journal  *journal
	core     *core
	answerAt time.Time
	answer   *answer
	crashes  int
}

type simNode struct {
	index int
	down  bool
	pool  []*simBundle
}

func (n *simNode) String() string { return fmt.Sprint("node-", n.index) }

type simBundle struct {
	id      order.BundleID
	b       *order.Bundle
	ordered uint64
	dropped bool // for good

	executed [][32]byte // of the rollup's transactions
}

func simTx(sender string, nonce uint64, salt byte) Tx {
	raw := binary.BigEndian.AppendUint64([]byte(sender+"|"), nonce)
	raw = append(raw, salt)
	return Tx{Hash: sha256.Sum256(raw), Sender: sender, Nonce: nonce, Raw: raw}
}

func newSim(t *testing.T, seed uint64) *sim {
	s := &sim{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), now: simStart, height: 1, window: 2, blocks: make([][]*simBundle, 1),
		fate: make(map[order.BundleID]*simBundle), nonces: make(map[string]uint64), executed: make(map[[32]byte]uint64),
		next: make(map[string]uint64), last: make(map[string]uint64), acked: make(map[[32]byte]Tx), fs: vfs.NewCrashableMem(),
	}
	s.cfg = Config{
		RollupID: simRollup, ChainID: simChain, Key: simKey, Dir: "journal", Chain: s,
		MaxTxs: 300, MaxTxsPerSender: 60, MaxInFlight: 12, MaxUserBundles: 40, ResendAfter: 300 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	}
	s.window += s.rng.Uint64N(25)
	s.slow = s.rng.IntN(70)
	for i := range 1 + s.rng.IntN(4) {
		s.nodes = append(s.nodes, &simNode{index: i})
		s.cfg.Sequencers = append(s.cfg.Sequencers, NewRemote(fmt.Sprint("http://", i)))
	}
	if err := s.cfg.check(); err != nil {
		t.Fatal(err)
	}
	s.open()
	return s
}

func (s *sim) open() {
	j, l, err := openJournal(s.cfg.Dir, s.fs, simRollup, simChain, s.cfg.Logger)
	if err != nil {
		s.t.Fatal(err)
	}
	s.journal = j
	if s.core, err = newCore(&s.cfg, l); err != nil {
		s.t.Fatal(err)
	}
	s.answer = nil
}

// crash is kill -9 and loss of power: of what was not synced, any part is gone.
func (s *sim) crash() {
	s.crashes++
	s.told = nil
	fs := s.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: s.rng.IntN(101), RNG: rand.New(rand.NewPCG(s.rng.Uint64(), 2))})
	s.close()
	s.fs = fs
	s.open()
	if s.chance(50) { // a driver that replays what it is not sure of
		for h := s.core.observed + 1; h <= s.soft; h++ {
			s.core.observe(s.observed[h-1], s.now)
		}
	}
}

func (s *sim) close() {
	if err := s.journal.close(); err != nil {
		s.t.Error(err)
	}
}

func (s *sim) chance(percent int) bool { return s.rng.IntN(100) < percent }

func (s *sim) fault(percent int) bool { return !s.calm && s.chance(percent) }

// NextNonce and Executed are the rollup's answers.
func (s *sim) NextNonce(sender string) (uint64, error) {
	if s.fault(2) {
		return 0, errors.New("no state")
	}
	return s.nonces[sender], nil
}

func (s *sim) Executed(hash [32]byte) (bool, error) {
	if s.fault(2) {
		return false, errors.New("no index")
	}
	return s.executed[hash] > 0, nil
}

// step is Run's, with a crash before or after the write.
func (s *sim) step(acks []Tx) {
	w := s.core.step(s.now)
	if s.fault(1) {
		s.crash()
		return
	}
	if len(w.changes) > 0 {
		if err := s.journal.commit(w.changes, w.sync); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, tx := range acks {
		s.acked[tx.Hash] = tx
	}
	for _, tell := range s.told {
		tell()
	}
	s.told = nil
	if s.fault(1) {
		s.crash()
		return
	}
	if w.send != nil {
		s.answer = &answer{b: w.send, target: w.target, err: s.submit(s.nodes[w.target], w.sign)}
		s.answerAt = s.now.Add(time.Duration(s.rng.IntN(30)) * time.Millisecond)
	}
	if !w.deadline.After(s.now) && w.send == nil {
		s.t.Fatalf("deadline %s has passed and nothing was done", w.deadline)
	}
}

// verify returns the bundle's ID, and whether its payer signed it for the lane.
func verify(b *order.Bundle, lane order.Owner) (order.BundleID, bool) {
	ids, valid := order.VerifySummaries(simChain, lane, []order.BundleSummary{b.Summary()})
	return ids[0], valid[0]
}

// submit is a sequencer's answer. It may fail before and after storing.
func (s *sim) submit(n *simNode, sign SignFor) error {
	lane := order.Owner{byte(n.index + 1)}
	b, err := order.DecodeBundle(sign(lane))
	if err != nil {
		s.t.Fatal(err)
	}
	id, signed := verify(b, lane)
	if !signed {
		s.t.Fatalf("bundle %s is not signed for lane %s", id, lane)
	}
	if s.fate[id] == nil {
		s.checkNew(id, b)
		s.fate[id] = &simBundle{id: id, b: b}
	}
	s.checkTimely(b)
	switch {
	case n.down:
		return errors.New("connection refused")
	case s.fate[id].dropped:
		return ErrDropped
	case s.fault(5):
		return ErrBusy
	case s.fault(3):
		return ErrUnfunded
	case s.fault(3) || b.Expiry <= s.height:
		return ErrRefused
	case s.fault(4):
		return errors.New("lost on the way there")
	}
	n.pool = append(n.pool, s.fate[id])
	if s.fault(4) {
		return errors.New("lost on the way back")
	}
	return nil
}

// checkNew holds a new bundle against all others: none of its transactions may be
// in a bundle that can still be ordered.
func (s *sim) checkNew(id order.BundleID, b *order.Bundle) {
	s.t.Helper()
	if u := s.users.of(b); u != nil {
		s.checkUsers(u, id, b)
		return
	}
	last := make(map[string]uint64)
	for _, raw := range b.Legs[0].Transactions {
		sender, nonce := parseSim(raw)
		if prev, ok := last[sender]; ok && nonce != prev+1 {
			s.t.Fatalf("bundle lists %s's nonce %d after %d", sender, nonce, prev)
		}
		last[sender] = nonce
		for _, other := range s.fate {
			if other.ordered > 0 || other.dropped || other.b.Expiry <= s.soft || s.users.of(other.b) != nil {
				continue
			}
			for _, x := range other.b.Legs[0].Transactions {
				if bytes.Equal(x, raw) && other.b.Payer == b.Payer {
					s.t.Fatalf("%s/%d is in live bundle %s and now in %s", sender, nonce, other.id, id)
				}
			}
		}
	}
}

func parseSim(raw []byte) (sender string, nonce uint64) {
	i := bytes.IndexByte(raw, '|')
	return string(raw[:i]), binary.BigEndian.Uint64(raw[i+1:])
}

// order makes the next block of the sequencer chain from what its nodes hold.
func (s *sim) order() {
	s.height++
	var block []*simBundle
	for _, n := range s.nodes {
		if n.down {
			continue
		}
		var rest []*simBundle
		for _, b := range n.pool {
			switch {
			case b.ordered > 0 || b.dropped || b.b.Expiry < s.height:
			case s.fault(2): // the payer spent its money meanwhile
				b.dropped = true
			case s.fault(s.slow): // gossip is slow
				rest = append(rest, b)
			default:
				b.ordered = s.height
				block = append(block, b)
			}
		}
		n.pool = rest
	}
	if s.fault(20) {
		s.rng.Shuffle(len(block), func(i, j int) { block[i], block[j] = block[j], block[i] })
	}
	if s.fault(10) {
		if x := s.copied(); x != nil {
			block = append([]*simBundle{x}, block...)
		}
	}
	s.blocks = append(s.blocks, block)
}

// copied is a bundle of somebody else, with a copy of a transaction of ours that
// is being sent.
func (s *sim) copied() *simBundle {
	if len(s.core.live) == 0 {
		return nil
	}
	b := &order.Bundle{Expiry: s.height, Legs: s.core.wire(s.core.live[0]).Legs}
	if s.core.live[0].parcel == nil {
		b.Legs[0].Transactions = b.Legs[0].Transactions[:1]
	} else { // all of it, but not its legs
		b.Legs = []order.Leg{{RollupID: simRollup, Transactions: ownLeg(b)}}
	}
	b.Sign(simChain, order.Owner{1}, ed25519.NewKeyFromSeed(binary.BigEndian.AppendUint64(make([]byte, 24), s.rng.Uint64())))
	x := &simBundle{id: b.ID(simChain), b: b, ordered: s.height}
	s.fate[x.id] = x
	return x
}

// execute is one step of the follower and its driver.
func (s *sim) execute() {
	if s.soft+1 > s.height {
		return
	}
	s.soft++
	o := Observed{Height: s.soft}
	if len(s.blocks[s.soft-1]) > 0 || s.calm { // idle, it still makes blocks while it is calm
		s.number++
	}
	o.Block, o.Time = s.number, s.now
	for _, b := range s.blocks[s.soft-1] {
		o.Bundles = append(o.Bundles, b.id)
		txs := ownLeg(b.b)
		if isTerms(txs[0]) {
			if !s.applies(txs) {
				for _, raw := range txs[1:] {
					o.Skipped = append(o.Skipped, Skipped{Hash: sha256.Sum256(raw), Bundle: b.id, Reason: "leg not applied"})
				}
				continue
			}
			txs = txs[1:]
		}
		for _, raw := range txs {
			sender, nonce := parseSim(raw)
			h := sha256.Sum256(raw)
			if nonce != s.nonces[sender] {
				o.Skipped = append(o.Skipped, Skipped{Hash: h, Bundle: b.id, Reason: "nonce", Retry: nonce > s.nonces[sender]})
				continue
			}
			if s.executed[h] > 0 {
				s.t.Fatalf("%s/%d executed twice", sender, nonce)
			}
			s.nonces[sender]++
			s.executed[h] = s.soft
			b.executed = append(b.executed, h)
			o.Executed = append(o.Executed, h)
		}
	}
	s.observed = append(s.observed, o)
	if s.fault(1) {
		s.crash() // executed and never observed
		return
	}
	s.core.observe(o, s.now)
	if s.fault(10) {
		s.core.observe(o, s.now)
	}
}

func (s *sim) tick() {
	s.now = s.now.Add(time.Duration(1+s.rng.IntN(10)) * time.Millisecond)
	if s.answer != nil && !s.now.Before(s.answerAt) {
		s.core.sent(s.answer.b, s.answer.target, s.answer.err, s.now)
		s.answer = nil
	}
	if s.chance(5) {
		s.core.setInfo(Info{ChainID: simChain, Height: s.height, FeePerKilobyte: 10, MaxExpiryBlocks: s.window, MaxBundleBytes: 600}, s.now)
	}
	if s.chance(10) {
		s.order()
	}
	if s.chance(30) {
		s.execute()
	}
	var acks []Tx
	for range s.rng.IntN(4) {
		sender := fmt.Sprint("sender-", s.rng.IntN(4))
		if s.fault(20) { // out of turn: the one between comes later
			if early := simTx(sender, s.next[sender]+1, 0); s.core.admit(early, s.now) == nil {
				acks = append(acks, early)
				s.last[sender] = max(s.last[sender], early.Nonce)
			}
		}
		if s.calm && s.next[sender] > s.last[sender] {
			continue // only what fills a gap
		}
		tx := simTx(sender, s.next[sender], 0)
		switch err := s.core.admit(tx, s.now); {
		case err == nil, errors.Is(err, ErrKnown): // a crash came between disk and answer, or it came early
			s.next[sender]++
			s.last[sender] = max(s.last[sender], tx.Nonce)
			acks = append(acks, tx)
		case errors.Is(err, ErrFull), errors.Is(err, ErrUnfunded), errors.Is(err, ErrNonceInFlight):
		default:
			s.t.Fatal(err)
		}
	}
	s.useBundles()
	if s.fault(1) {
		n := s.nodes[s.rng.IntN(len(s.nodes))]
		n.down = s.chance(65)
	}
	crashes := s.crashes
	if s.step(acks); s.crashes > crashes {
		// A client that got no answer starts over at its first transaction without one.
		for _, tx := range acks {
			if _, ok := s.acked[tx.Hash]; !ok {
				s.next[tx.Sender] = min(s.next[tx.Sender], tx.Nonce)
			}
		}
	}
}

// TestSimulation runs seeded histories of faults: crashes around every write,
// sequencers that fail before and after storing, that are busy, refuse or go down,
// bundles that wait, are reordered, copied by others, and expire. Whatever
// happens, each accepted transaction is executed, once, and is never in two bundles that may be ordered;
// each accepted user's bundle is ordered as it was handed in, at most once, or ends with a reason.
func TestSimulation(t *testing.T) {
	t.Parallel()
	seeds := uint64(20)
	if testing.Short() {
		seeds = 5
	}
	var crashes, expired, dropped, total int
	users := make(map[string]int)
	for seed := range seeds {
		s := newSim(t, seed)
		for range 1500 {
			s.tick()
		}
		s.calm = true
		for _, n := range s.nodes {
			n.down = false
		}
		for i := 0; ; i++ {
			s.tick()
			if s.pending() == 0 {
				break
			}
			if i > 200_000 {
				s.dump()
				t.Fatalf("seed %d: %d of %d accepted transactions still wait after %s", seed, s.pending(), len(s.acked), s.now.Sub(simStart))
			}
		}
		for s.soft < s.height || len(s.core.live) > 0 || s.core.counts().Users > 0 {
			s.tick()
		}
		if c := s.core.counts(); len(s.core.txs) != 0 || len(s.core.senders) != 0 || c.Bytes != 0 {
			t.Errorf("seed %d: left over: %+v", seed, c)
		}
		s.checkOutcomes(users)
		s.close()
		dropped += int(s.core.stats.bundlesDropped)
		crashes, expired, total = crashes+s.crashes, expired+int(s.core.stats.bundlesExpired), total+len(s.acked)
	}
	t.Logf("%d transactions, %d crashes, %d bundles expired, %d dropped; users' bundles: %v", total, crashes, expired, dropped, users)
	if !testing.Short() {
		for _, end := range []string{"applied", "not applied", "cancelled", "replaced", "past", "may have been", "sent again"} {
			if users[end] == 0 {
				t.Errorf("no user's bundle ended as %s", end)
			}
		}
	}
	if crashes == 0 || expired == 0 || dropped == 0 || total < int(seeds)*100 {
		t.Error("the histories hold too little to show anything")
	}
}

func (s *sim) pending() (n int) {
	for h := range s.acked {
		if s.executed[h] == 0 {
			n++
		}
	}
	return n
}

func (s *sim) dump() {
	for name, x := range s.core.senders {
		tx := simTx(name, s.nonces[name], 0)
		_, acked := s.acked[tx.Hash]
		s.t.Logf("missing: acked %v history %+v", acked, s.core.history.get(tx.Hash))
		s.t.Logf("%s: next %d, in flight %d, cautious %v", name, s.nonces[name], x.inFlight, x.cautious)
		for _, e := range x.txs {
			s.t.Logf("  %d %v", e.Nonce, e.bundle != nil)
		}
	}
	s.t.Logf("height %d soft %d %+v head %d %s ago, live %d, ready %d held %d", s.height, s.soft, s.core.send, s.core.head, s.now.Sub(s.core.headAt), len(s.core.live), s.core.ready.Len(), s.core.held.Len())
	for h, tx := range s.acked {
		if s.executed[h] == 0 {
			s.t.Logf("waits: %s/%d %+v", tx.Sender, tx.Nonce, s.core.history.get(h))
		}
	}
}
