package execution

import "time"

// HeartbeatInterval is the time after which a rollup makes a block although the
// order holds nothing for it.
const HeartbeatInterval = time.Second

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

// Due reports whether a sequencer block, with what was gathered before it, becomes a
// rollup block.
func (p Pace) Due(soft Head, b Block) bool {
	switch {
	case p.Every:
		return true
	case p.BlockTime > 0:
		return b.Time.Unix() >= soft.Time.Unix()+int64(p.BlockTime/time.Second)
	}
	// Where the clock of the order has run on by a heartbeat, in whole seconds.
	return len(b.Transactions) > 0 || b.Time.Unix() >= soft.Time.Unix()+int64(HeartbeatInterval/time.Second)
}
