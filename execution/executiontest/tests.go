package executiontest

import (
	"context"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/ordo-network/ordo/execution"
)

func testGenesis(s *suite) {
	got := s.session()
	if got.Soft.Number != 0 {
		s.Errorf("soft head has number %d, want 0", got.Soft.Number)
	}
	s.same("firm head", got.Firm, got.Soft)
	s.same("soft head on a second call", s.session().Soft, got.Soft)
}

func testChain(s *suite) {
	seen := map[execution.Hash]bool{s.genesis.Hash: true}
	for range 5 {
		head := s.applied(s.next(2))
		if seen[head.Hash] {
			s.Errorf("block %d has the hash of an earlier block", head.Number)
		}
		seen[head.Hash] = true
	}
	s.same("firm head", s.session().Firm, s.genesis)
}

func testParent(s *suite) {
	head := s.applied(s.next(1))
	b := s.next(1)
	for _, parent := range []execution.Hash{s.genesis.Hash, {}, sha256.Sum256([]byte("unknown"))} {
		_, err := s.client.Execute(s.Context(), parent, b)
		s.fails(err, execution.ErrParent, "execute on another parent")
	}
	s.same("soft head", s.session().Soft, head)
	s.applied(b)
}

func testHeight(s *suite) {
	first := s.next(1)
	head := s.applied(first)
	again := s.Block(first.Height, s.Transaction(s.T, s.sent))
	for _, b := range []execution.Block{first, again, s.Block(first.Height - 1)} {
		_, err := s.client.Execute(s.Context(), head.Hash, b)
		s.fails(err, execution.ErrHeight, "execute a height once more")
	}
	s.same("soft head", s.session().Soft, head)
	if s.EveryHeight {
		_, err := s.client.Execute(s.Context(), head.Hash, s.Block(s.height+2))
		s.fails(err, execution.ErrHeight, "leave a height out")
		s.same("soft head", s.session().Soft, head)
	} else {
		s.height += 1000 // heights without a block are ordinary
	}
	s.applied(s.next(1))
}

func testDeterminism(s *suite) {
	other := newSuite(s.T, s.Harness)
	s.same("genesis of a second client", other.genesis, s.genesis)
	for i := range 12 {
		b := s.next(i % 4)
		b.Transactions = append(b.Transactions, garbage()...)
		before := clone(b.Transactions)
		switch i {
		case 5:
			other.reopen()
		case 9:
			other.crash()
		}
		one, two := s.execute(b), other.execute(b)
		s.same("head of a second client", two.Head, one.Head)
		if !slices.Equal(one.Skipped, two.Skipped) {
			s.Errorf("skipped %v, a second client %v", one.Skipped, two.Skipped)
		}
		if !slices.EqualFunc(b.Transactions, before, slices.Equal) {
			s.Error("the client changed the transactions")
		}
	}
}

func testSkipped(s *suite) {
	invalid := append(garbage(), s.Invalid...)
	valid := s.next(1).Transactions[0]
	// Valid transactions stand between invalid ones, and one comes twice.
	txs := append(clone(invalid), valid, valid)
	txs = append(txs, clone(invalid)...)
	last := s.Transaction(s.T, s.sent)
	s.sent++
	txs = append(txs, last)

	res := s.execute(s.Block(s.height, txs...))
	if s.Silent {
		// The same transactions in an order in which other ones come to nothing.
		s.height++
		s.execute(s.Block(s.height, append([][]byte{last, valid}, garbage()...)...))
		s.applied(s.next(3))
		return
	}
	var want []int
	for i := range txs {
		if i != len(invalid) && i != len(txs)-1 {
			want = append(want, i)
		}
	}
	var got []int
	for _, skipped := range res.Skipped {
		got = append(got, skipped.Index)
		if skipped.Reason == "" {
			s.Errorf("transaction %d skipped without a reason", skipped.Index)
		}
	}
	if !slices.Equal(got, want) {
		s.Errorf("skipped %v, want %v", got, want)
	}
	// Those applied must not be applied once more in a later block.
	s.height++
	if res := s.execute(s.Block(s.height, valid, last)); len(res.Skipped) != 2 {
		s.Errorf("skipped %v of two transactions of an earlier block, want both", res.Skipped)
	}
	// Nothing of the skipped ones stays behind.
	s.applied(s.next(3))
}

func testHeartbeat(s *suite) {
	soft := s.applied(s.next(1))
	made, want := 0, 4
	if s.BlockTime > 0 || s.EveryHeight {
		want = 40
	}
	pace := execution.Pace{BlockTime: s.BlockTime, Every: s.EveryHeight}
	for range 40 {
		b := s.next(0)
		if pace.Due(soft, b) {
			soft = s.applied(b)
			made++
		}
	}
	if made != want {
		s.Errorf("%d heartbeat blocks of 40 sequencer blocks, want %d", made, want)
	}
}

func testSharedSecond(s *suite) {
	first := s.applied(s.next(1))
	if s.BlockTime > 0 {
		b := s.next(1)
		for _, early := range []time.Time{first.Time, first.Time.Add(time.Second - time.Nanosecond), first.Time.Add(-time.Hour)} {
			refused := b
			refused.Time = early
			_, err := s.client.Execute(s.Context(), first.Hash, refused)
			s.fails(err, execution.ErrTime, "execute a block that is not a second later")
			s.same("soft head", s.session().Soft, first)
		}
		s.applied(b)
		return
	}
	for i := range 5 {
		head := s.applied(s.next(i % 2))
		if head.Time.Unix() != first.Time.Unix() {
			s.Fatalf("block %d is at %s, the first at %s: want one second", head.Number, head.Time, first.Time)
		}
	}
}

func testTime(s *suite) {
	if s.BlockTime > 0 {
		s.Skip("such blocks are refused")
	}
	s.applied(s.next(1))
	b := s.next(1)
	b.Time = b.Time.Add(-time.Hour)
	s.applied(b) // execute checks that time does not fall
	b = s.next(1)
	b.Time = time.Unix(-1, 0)
	s.applied(b)
}

func testFirm(s *suite) {
	ctx := context.Background()
	one, two := s.applied(s.next(1)), s.applied(s.next(0))
	three := s.applied(s.next(1))
	set := func(head execution.Head) {
		s.Helper()
		for range 2 { // idempotent
			if err := s.client.SetFirm(ctx, head.Hash); err != nil {
				s.Errorf("set firm to block %d: %v", head.Number, err)
			}
			s.same("firm head", s.session().Firm, head)
		}
		s.same("soft head", s.session().Soft, three)
	}
	refused := func(hash execution.Hash, what string) {
		s.Helper()
		before := s.session()
		s.fails(s.client.SetFirm(ctx, hash), execution.ErrFirm, what)
		s.same("firm head", s.session().Firm, before.Firm)
	}
	set(s.genesis)
	refused(sha256.Sum256([]byte("unknown")), "set firm to an unknown block")
	set(two)
	refused(one.Hash, "set firm to a lower block")
	refused(s.genesis.Hash, "set firm to genesis")
	s.reopen()
	s.same("firm head after reopen", s.session().Firm, two)
	refused(one.Hash, "set firm to a lower block after reopen")
	set(three)
	s.crash()
}

func testReopen(s *suite) {
	for range 3 {
		head := s.applied(s.next(2))
		if err := s.client.SetFirm(s.Context(), head.Hash); err != nil {
			s.Fatal(err)
		}
		s.applied(s.next(0))
		before := s.session()
		s.reopen()
		s.same("soft head after reopen", s.session().Soft, before.Soft)
		s.same("firm head after reopen", s.session().Firm, before.Firm)
	}
	s.applied(s.next(2))
}

func testCrash(s *suite) {
	for i := range 6 {
		s.execute(s.next(i % 3))
		s.crash()
	}
}

func testClose(s *suite) {
	head := s.applied(s.next(1))
	for range 2 {
		if err := s.client.Close(); err != nil {
			s.Errorf("close: %v", err)
		}
	}
	if _, err := s.client.Open(s.Context()); err == nil {
		s.Error("open after close: want an error")
	}
	if _, err := s.client.Execute(s.Context(), head.Hash, s.next(0)); err == nil {
		s.Error("execute after close: want an error")
	}
	if err := s.client.SetFirm(s.Context(), head.Hash); err == nil {
		s.Error("set firm after close: want an error")
	}
}

// garbage returns byte strings that are no transactions of anything.
func garbage() [][]byte {
	long := make([]byte, 1<<20) // as long as the sequencer lets one be
	for i := range long {
		long[i] = byte(i * 131)
	}
	return [][]byte{nil, {}, {0}, {1}, {0x7f}, {0x80}, {0xff}, []byte("not a transaction"), {0xc0}, {0xf8, 0xff}, {2, 0xc0}, long}
}

func clone(txs [][]byte) [][]byte {
	out := make([][]byte, len(txs))
	for i, tx := range txs {
		out[i] = slices.Clone(tx)
	}
	return out
}
