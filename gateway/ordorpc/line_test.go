package ordorpc

import "testing"

// TestLineForgets: what nobody waits for any more is not kept, though others of the account
// always wait.
func TestLineForgets(t *testing.T) {
	t.Parallel()
	var ts turns
	first, l, ok := ts.enter("0xa", 1)
	if !ok {
		t.Fatal("there is no room for the first")
	}
	for nonce := uint64(2); nonce < 1000; nonce++ {
		its, of, ok := ts.enter("0xa", nonce)
		twice, _, also := ts.enter("0xa", nonce)
		if !ok || !also || of != l || twice != its {
			t.Fatalf("nonce %d: %v, %v", nonce, ok, also)
		}
		ts.leave("0xa", nonce, its, l, false)
		ts.taken("0xa", 0) // the account moves: the next one may wait
		ts.leave("0xa", nonce, twice, l, true)
	}
	if len(l.turns) != 1 || ts.n != 1 {
		t.Errorf("%d turns are kept, %d wait", len(l.turns), ts.n)
	}
	ts.taken("0xa", 1)
	<-first.come
	ts.leave("0xa", 1, first, l, true)
	if len(ts.waiting) != 0 || len(l.turns) != 0 {
		t.Errorf("%d lines are kept", len(ts.waiting))
	}
}
