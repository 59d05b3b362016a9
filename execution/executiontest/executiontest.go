// Package executiontest is the contract of execution.Client as tests. Every
// implementation passes Run with a harness of its own.
package executiontest

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/test/killed"
)

// Harness makes the implementation under test.
type Harness struct {
	// Open opens a client on the data directory, which is empty or was used with
	// Open before, maybe under another path. The genesis is always the same. The
	// suite closes the client, or abandons it.
	Open func(t *testing.T, dir string) execution.Client
	// Transaction returns the n-th valid transaction of one sender, from 0. It can
	// be applied where those before it were, and only once.
	Transaction func(t *testing.T, n uint64) []byte
	// Invalid are transactions that are never applied, beside what the suite makes
	// up itself.
	Invalid [][]byte
	// BlockTime is the least time between two blocks, in whole seconds, of clients whose
	// blocks must rise in time: the suite's blocks are that far apart, and the client
	// refuses with ErrTime what does not rise. Zero stands for clients without that need.
	BlockTime time.Duration
	// EveryHeight says that the client makes one block of each sequencer height and
	// refuses with ErrHeight what leaves one out.
	EveryHeight bool
	// Silent says that the client does not report what it skips: the suite then goes by
	// heads alone.
	Silent bool
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	for _, test := range []struct {
		name string
		run  func(*suite)
	}{
		{"a new session stands at genesis", testGenesis},
		{"blocks follow each other", testChain},
		{"the parent must be the soft head", testParent},
		{"sequencer heights rise", testHeight},
		{"the same blocks give the same heads", testDeterminism},
		{"what cannot be applied is skipped", testSkipped},
		{"blocks may be empty", testHeartbeat},
		{"blocks share a second or are refused", testSharedSecond},
		{"time never falls", testTime},
		{"firm moves up to soft", testFirm},
		{"a session resumes after close", testReopen},
		{"a session resumes after a crash", testCrash},
		{"the last result is told again", testRecall},
		{"what is tried out happens and leaves no trace", testSpeculate},
		{"a trial stands on the soft head", testSpeculateParent},
		{"close ends everything", testClose},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(newSuite(t, h))
		})
	}
}

// epoch is the time of sequencer block 0; whole seconds.
var epoch = time.Unix(1_900_000_000, 0).UTC()

// Block returns the sequencer block of that height, on a chain of ten blocks a
// second or, where the client needs it, one block per BlockTime.
func (h Harness) Block(height uint64, txs ...[]byte) execution.Block {
	return execution.Block{
		Height:       height,
		Hash:         sha256.Sum256(binary.BigEndian.AppendUint64([]byte("sequencer block"), height)),
		Time:         epoch.Add(time.Duration(height) * cmp.Or(h.BlockTime, 100*time.Millisecond)),
		Transactions: txs,
	}
}

// suite drives one client. It knows what the client was given, so that it can
// check what comes back after a crash.
type suite struct {
	*testing.T
	Harness
	dir     string
	client  execution.Client
	genesis execution.Head
	history []executed
	height  uint64 // of the last sequencer block made
	sent    uint64 // valid transactions made
}

type executed struct {
	block execution.Block
	head  execution.Head
}

func newSuite(t *testing.T, h Harness) *suite {
	t.Helper()
	s := &suite{T: t, Harness: h, dir: t.TempDir()}
	s.client = open(t, h, s.dir)
	s.genesis = s.session().Soft
	return s
}

func open(t *testing.T, h Harness, dir string) execution.Client {
	t.Helper()
	c := h.Open(t, dir)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

func (s *suite) session() execution.Session {
	s.Helper()
	got, err := s.client.Open(s.Context())
	if err != nil {
		s.Fatalf("open: %v", err)
	}
	return got
}

// next returns the next sequencer block with n new valid transactions.
func (s *suite) next(n int) execution.Block {
	s.Helper()
	s.height++
	var txs [][]byte
	for range n {
		txs = append(txs, s.Transaction(s.T, s.sent))
		s.sent++
	}
	return s.Block(s.height, txs...)
}

// execute executes the block on the soft head and checks what holds for any block.
func (s *suite) execute(b execution.Block) execution.Result {
	s.Helper()
	s.prepare(b)
	parent := s.session().Soft
	res, err := s.client.Execute(s.Context(), parent.Hash, b)
	if err != nil {
		s.Fatalf("execute sequencer block %d: %v", b.Height, err)
	}
	if res.Head.Number != parent.Number+1 {
		s.Errorf("block number %d on parent %d", res.Head.Number, parent.Number)
	}
	if res.Head.Height != b.Height {
		s.Errorf("head says it was made from sequencer block %d, want %d", res.Head.Height, b.Height)
	}
	if res.Head.Time.Before(parent.Time) {
		s.Errorf("head's time %s is before its parent's %s", res.Head.Time, parent.Time)
	}
	s.same("soft head", s.session().Soft, res.Head)
	s.history = append(s.history, executed{b, res.Head})
	return res
}

// prepare tells a client that would hear it what comes: of two blocks rightly, of the third not at
// all, and of the fourth what it does not hold.
func (s *suite) prepare(b execution.Block) {
	p, ok := s.client.(execution.Preparer)
	if !ok || b.Height%4 == 3 {
		return
	}
	if b.Height%4 == 0 {
		b.Transactions = append(garbage(), b.Transactions...)
	}
	p.Prepare(b)
}

// applied executes the block and wants nothing skipped.
func (s *suite) applied(b execution.Block) execution.Head {
	s.Helper()
	res := s.execute(b)
	if len(res.Skipped) != 0 { // a silent client skips unseen
		s.Errorf("sequencer block %d: skipped %v, want nothing skipped", b.Height, res.Skipped)
	}
	return res.Head
}

func (s *suite) same(what string, got, want execution.Head) {
	s.Helper()
	if got.Number != want.Number || got.Hash != want.Hash || got.Height != want.Height || !got.Time.Equal(want.Time) {
		s.Errorf("%s is %+v, want %+v", what, got, want)
	}
}

func (s *suite) fails(err, want error, what string) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Errorf("%s: got error %v, want %v", what, err, want)
	}
}

// reopen closes the client and opens its directory again.
func (s *suite) reopen() {
	s.Helper()
	if err := s.client.Close(); err != nil {
		s.Fatalf("close: %v", err)
	}
	s.client = open(s.T, s.Harness, s.dir)
}

// crash abandons the client as it runs and goes on with a copy of what it has
// handed to the operating system, which is what a killed process leaves. The client
// may have fallen back; executing the lost blocks again gives the same heads.
func (s *suite) crash() {
	s.Helper()
	s.dir = killed.Copy(s.T, s.dir)
	s.client = open(s.T, s.Harness, s.dir)

	got := s.session()
	known, lost := s.genesis, s.history
	for len(lost) > 0 && lost[0].head.Number <= got.Soft.Number {
		known, lost = lost[0].head, lost[1:]
	}
	s.same("soft head after a crash", got.Soft, known)
	if got.Firm.Number > got.Soft.Number {
		s.Errorf("after a crash firm is %d, above soft %d", got.Firm.Number, got.Soft.Number)
	}
	s.history = s.history[:len(s.history)-len(lost)]
	for _, e := range lost {
		s.same("head of a block executed again", s.execute(e.block).Head, e.head)
	}
}
