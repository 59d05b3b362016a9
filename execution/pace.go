package execution

import (
	"fmt"
	"time"
)

// HeartbeatInterval is the time after which a rollup makes a block although the
// order holds nothing for it.
const HeartbeatInterval = time.Second

const (
	// MaxBlockTime bounds Pace.BlockTime: what is gathered must be kept.
	MaxBlockTime = time.Minute
	// MaxGathered is how many bytes are gathered before a block is made although less than
	// the block time has passed, a second at least: of transactions, and what each of these
	// and each leg takes to keep. It is a rule of the chain.
	MaxGathered = 4 << 20

	keptTransaction, keptLeg = 64, 256
)

// Pace says which blocks of the sequencer chain become blocks of the rollup. It depends
// on the order alone, so that every node makes the same blocks; it is a setting of the
// chain, the same on all its nodes. The zero value makes a block of each sequencer block
// that holds transactions, and one per second where none does.
type Pace struct {
	// BlockTime, where set, is the least time between two rollup blocks, in whole
	// seconds: what is ordered meanwhile is gathered into the next one. Their times then
	// rise by a second at least, as Ethereum's clients demand.
	BlockTime time.Duration
	// Every makes one rollup block of each sequencer block, and excludes BlockTime.
	Every bool
}

// Check says what is wrong with the pace.
func (p Pace) Check() error {
	switch {
	case p.BlockTime < 0 || p.BlockTime > MaxBlockTime || p.BlockTime%time.Second != 0:
		return fmt.Errorf("a block time of %s: want whole seconds, from 1s to %s, or 0 for a block as soon as there are transactions", p.BlockTime, MaxBlockTime)
	case p.Every && p.BlockTime > 0:
		return fmt.Errorf("a block time of %s, where each sequencer block becomes one of the rollup: want none", p.BlockTime)
	}
	return nil
}

// Due reports whether a sequencer block, with what was gathered before it, becomes a
// rollup block.
func (p Pace) Due(soft Head, b Block) bool {
	passed := b.Time.Unix() - soft.Time.Unix()
	switch {
	case p.Every:
		return true
	case p.BlockTime > 0:
		return passed >= int64(p.BlockTime/time.Second) || passed > 0 && full(b)
	}
	// Where the clock of the order has run on by a heartbeat, in whole seconds.
	return len(b.Transactions) > 0 || passed >= int64(HeartbeatInterval/time.Second)
}

func full(b Block) bool {
	n := len(b.Legs) * keptLeg
	for _, tx := range b.Transactions {
		n += keptTransaction + len(tx)
	}
	return n >= MaxGathered
}
