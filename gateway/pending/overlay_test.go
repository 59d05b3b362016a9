package pending_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/ordo-network/ordo/execution/terms"
	"github.com/ordo-network/ordo/test/await"
)

// Certified transfers are visible in pending before they are in latest, and stay
// visible there while the head moves on without them.
func TestCertifiedIsPending(t *testing.T) {
	t.Parallel()
	n := start(t)
	one, two, three := newBundle(transfer(t, 0, 0, beef, 1)), newBundle(transfer(t, 0, 1, beef, 10)), newBundle(transfer(t, 1, 0, beef, 100))
	n.certify(1, 1, 1000, one)
	n.shows(beef, 1)
	n.certify(1, 2, 1010, two)
	n.shows(beef, 11)
	if latest := n.evm.BlockChain().CurrentBlock().Number.Uint64(); latest != 1 {
		t.Errorf("latest is %d", latest)
	}
	if p := n.pending(); p.Header().Number.Uint64() != 2 || p.Header().Time != uint64(genesis.Unix()) {
		t.Errorf("pending block %s at %d", p.Header().Number, p.Header().Time)
	}
	n.order(one)
	n.shows(beef, 11)
	n.counts(1, 0)
	n.certify(2, 1, 900, three) // of another lane, before what is there
	n.shows(beef, 111)
	block, _ := n.pending().Block()
	if txs := block.Transactions(); len(txs) != 2 || txs[0].Value().Int64() != 100 {
		t.Errorf("pending block does not stand in order time: %d transactions", len(txs))
	}
	n.order()
	n.shows(beef, 111)
	n.order(three, two)
	n.shows(beef, 111)
	if block, _ := n.pending().Block(); len(block.Transactions()) != 0 {
		t.Errorf("%d transactions pending when all is ordered", len(block.Transactions()))
	}
	n.counts(3, 0)
	if got := n.metric("ordo_gateway_pending_shown_seconds"); got != 3 {
		t.Errorf("%v bundles timed, want 3", got)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.certified) != 3 {
		t.Errorf("the gateway heard of %d certified bundles, want 3", len(n.certified))
	}
}

// Where the order turns out otherwise, what was shown is counted as contradicted.
func TestContradicted(t *testing.T) {
	t.Parallel()
	n := start(t)
	// Two transactions of one nonce: the first one counts.
	a, b := newBundle(transfer(t, 0, 0, beef, 1)), newBundle(transfer(t, 0, 0, beef, 2))
	other := newBundle(transfer(t, 1, 0, beef, 100))
	n.certify(1, 1, 1000, a, other)
	n.certify(2, 1, 1001, b)
	n.shows(beef, 101)
	await.Until(t, "all tried", func() bool { return n.metric("ordo_gateway_pending_shown_seconds") == 3 })
	n.order(b, a, other)
	n.shows(beef, 102)
	n.counts(1, 1) // b was never shown

	// Dropped by the chain: another bundle of the lane, behind it, is ordered.
	dropped, behind := newBundle(transfer(t, 2, 0, beef, 1000)), newBundle(transfer(t, 3, 0, beef, 10_000))
	n.certify(1, 2, 1010, dropped)
	n.certify(1, 3, 1020, behind)
	n.shows(beef, 11_102)
	n.order(behind)
	n.shows(beef, 10_102)
	n.counts(2, 2)

	// Shown, taken back and shown again: whoever saw it in between was told otherwise.
	shaky, between := newBundle(transfer(t, 4, 0, beef, 1)), newBundle(transfer(t, 4, 0, beef, 2))
	n.certify(1, 4, 1030, shaky)
	n.shows(beef, 10_103)
	n.certify(2, 2, 1025, between)
	n.shows(beef, 10_104)
	n.order(shaky)
	n.shows(beef, 10_103)
	n.counts(2, 3)
}

func TestGarbageIsSkipped(t *testing.T) {
	t.Parallel()
	n := start(t)
	good := transfer(t, 0, 0, beef, 7)
	b := newBundle([]byte("garbage"), good, good, transfer(t, 0, 5, beef, 1), []byte{2, 0xc0}, make([]byte, 1<<18), transfer(t, 0, 1, beef, 8))
	n.certify(1, 1, 1000, b)
	n.shows(beef, 15)
	n.order(b)
	n.shows(beef, 15)
	n.counts(2, 0)
}

// Nothing that is said to be certified has an influence on latest: with any of it,
// and with none, the same order gives the same blocks.
func TestLatestIsNotInfluenced(t *testing.T) {
	t.Parallel()
	with, without := start(t), start(t)
	random := rand.New(rand.NewPCG(1, 2))
	var nonces [4]uint64
	for i := range uint64(60) {
		from := random.IntN(len(nonces))
		mine := newBundle(transfer(t, from, nonces[from], beef, int64(i)))
		nonces[from]++
		fake := newBundle(transfer(t, random.IntN(len(nonces)), uint64(random.IntN(20)), common.Address{byte(i)}, 3), []byte("garbage"))
		with.certify(byte(random.IntN(3)), i+1, 1000+uint64(random.IntN(100)), fake)
		if random.IntN(2) == 0 {
			with.certify(4, i+1, 1000+uint64(random.IntN(100)), mine)
		}
		if a, b := with.order(mine), without.order(mine); a != b {
			t.Fatalf("block %d is %x with an overlay, %x without", a.Number, a.Hash, b.Hash)
		}
	}
}

// What is ordered and waits for its block stands first in pending, as it was ordered, and
// is confirmed when the block is made.
func TestGatheredStandsFirst(t *testing.T) {
	t.Parallel()
	n := startWith(t, 2*time.Second)
	one, two, three := newBundle(transfer(t, 0, 0, beef, 1)), newBundle(transfer(t, 1, 0, beef, 10)), newBundle(transfer(t, 2, 0, beef, 100))
	n.certify(1, 1, 1000, one)
	n.certify(2, 1, 2000, two)
	n.shows(beef, 11)
	n.gather(1, two)
	n.gather(1) // a block that orders nothing
	await.Until(t, "what is gathered stands first", func() bool {
		block, _ := n.pending().Block()
		return len(block.Transactions()) == 2 && block.Transactions()[0].Value().Int64() == 10
	})
	n.gather(1, three) // nobody called it certified
	n.shows(beef, 111)
	if want := n.head().Time.Add(2 * time.Second).Unix(); n.pending().Header().Time != uint64(want) {
		t.Errorf("pending is of %d, and no block is made before %d", n.pending().Header().Time, want)
	}
	n.counts(0, 0)
	n.order(two, three)
	n.counts(2, 0)
	n.shows(beef, 111)
	n.order(one)
	n.counts(3, 0)
	// What was said of a bundle before is believed no longer than until it is ordered.
	four, lie := newBundle(transfer(t, 3, 0, beef, 1000)), newBundle(transfer(t, 3, 0, beef, 5000))
	lie.id = four.id
	n.certify(1, 2, 3000, lie)
	n.shows(beef, 5111)
	n.gather(1, four)
	n.shows(beef, 1111)
	n.order(four)
	n.counts(4, 1)
}

// A leg that is applied with those of other rollups, or not at all, is not shown: whether
// it is known only when the block is made. One by itself is.
func TestTermsInPending(t *testing.T) {
	t.Parallel()
	n := start(t)
	all := terms.Terms{AllOrNothing: true}.Encode()
	alone, several := newBundle(all, transfer(t, 0, 0, beef, 1)), newBundle(all, transfer(t, 1, 0, beef, 10))
	n.certifyLegs(1, several, 2)
	n.certifyLegs(2, alone, 1)
	n.shows(beef, 1)
	n.gather(2, several)
	// Certified after it was gathered: where this is shown, what was gathered was tried out.
	n.certifyLegs(3, newBundle(transfer(t, 2, 0, beef, 100)), 1)
	n.shows(beef, 101)
	block, _ := n.pending().Block()
	if len(block.Transactions()) != 2 {
		t.Errorf("%d transactions in pending", len(block.Transactions()))
	}
}
