package execution_test

import (
	"testing"
	"time"

	"github.com/ordo-network/ordo/execution"
)

func TestPace(t *testing.T) {
	t.Parallel()
	soft := execution.Head{Number: 7, Time: time.Unix(1000, 0)}
	at := func(ms int64, sizes ...int) execution.Block {
		b := execution.Block{Time: time.UnixMilli(1_000_000 + ms)}
		for _, n := range sizes {
			b.Transactions = append(b.Transactions, make([]byte, n))
		}
		return b
	}
	zero, two, every := execution.Pace{}, execution.Pace{BlockTime: 2 * time.Second}, execution.Pace{Every: true}
	for _, c := range []struct {
		name  string
		pace  execution.Pace
		block execution.Block
		want  bool
	}{
		{"transactions make a block", zero, at(100, 1), true},
		{"nothing makes none", zero, at(999), false},
		{"but a heartbeat", zero, at(1000), true},
		{"transactions wait for the block time", two, at(1999, 1), false},
		{"which ends their wait", two, at(2000, 1), true},
		{"nothing makes a block then, too", two, at(2000), true},
		{"much does not wait", two, at(1000, execution.MaxGathered/2, execution.MaxGathered/2), true},
		{"but for the second", two, at(999, execution.MaxGathered), false},
		{"less than much waits", two, at(1000, execution.MaxGathered-65), false},
		{"so do few small ones", two, at(1000, make([]int, 65_535)...), false},
		{"many small ones are much", two, at(1000, make([]int, 65_536)...), true},
		{"every block makes one", every, at(0), true},
	} {
		if got := c.pace.Due(soft, c.block); got != c.want {
			t.Errorf("%s: due is %v", c.name, got)
		}
	}
	for _, c := range []struct {
		pace execution.Pace
		ok   bool
	}{
		{zero, true}, {two, true}, {every, true}, {execution.Pace{BlockTime: execution.MaxBlockTime}, true},
		{execution.Pace{BlockTime: 1500 * time.Millisecond}, false}, {execution.Pace{BlockTime: -time.Second}, false},
		{execution.Pace{BlockTime: execution.MaxBlockTime + time.Second}, false}, {execution.Pace{BlockTime: time.Second, Every: true}, false},
	} {
		if err := c.pace.Check(); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.pace, err)
		}
	}
}
