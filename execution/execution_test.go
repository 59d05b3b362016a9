package execution_test

import (
	"testing"
	"time"

	"github.com/ordo-network/ordo/execution"
)

func TestDue(t *testing.T) {
	t.Parallel()
	soft := time.Unix(100, 0)
	for _, test := range []struct {
		name string
		soft time.Time
		at   time.Time
		txs  [][]byte
		want bool
	}{
		{"transactions in the same second", soft, soft.Add(time.Millisecond), [][]byte{{1}}, true},
		{"transactions before the soft head", soft, soft.Add(-time.Hour), [][]byte{{1}}, true},
		{"nothing, same second", soft, soft.Add(999 * time.Millisecond), nil, false},
		{"nothing, next second", soft, soft.Add(time.Second), nil, true},
		{"nothing, long after", soft, soft.Add(time.Hour), nil, true},
		{"nothing, before the soft head", soft, soft.Add(-time.Hour), nil, false},
		// An implementation that keeps fractions of a second makes the same blocks
		// as one that does not.
		{"fraction, next second", soft.Add(900 * time.Millisecond), soft.Add(time.Second), nil, true},
		{"fraction, same second", soft.Add(900 * time.Millisecond), soft.Add(999 * time.Millisecond), nil, false},
	} {
		got := (execution.Pace{}).Due(execution.Head{Time: test.soft}, execution.Block{Time: test.at, Transactions: test.txs})
		if got != test.want {
			t.Errorf("%s: due is %t, want %t", test.name, got, test.want)
		}
	}
}
