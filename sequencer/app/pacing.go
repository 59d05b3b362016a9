package app

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometbft/cometbft/consensus"
	cstypes "github.com/cometbft/cometbft/consensus/types"
	"github.com/cometbft/cometbft/libs/log"
	"github.com/cometbft/cometbft/node"
)

// Pace makes the node's consensus follow the pacing of Options: a height starts one
// block time after the one before it, and where the last block was empty and neither
// certificates nor ordinary transactions wait, when one arrives or the idle interval
// is over. Call it between node.NewNode and Start, with CometBFT's create_empty_blocks
// true and its skip_timeout_commit false, as they are by default.
//
// CometBFT's own create_empty_blocks does not do it: state changes with every block
// (votes are counted), so it sees a need for the next block at once, and a mempool
// in the application cannot tell it that transactions have come. What it does have
// is the timer that starts a height, and Pace puts itself before that timer. So
// nothing blocks while a node waits: votes and queries are served, a proposal from
// a validator that woke earlier is followed at once, and a replay has no timers and
// does not wait at all. Only the proposer need hear of a certificate for a block to
// come, and its owner sends it to all at once.
func (a *App) Pace(n *node.Node) error {
	env, err := n.ConfigureRPC()
	if err != nil {
		return fmt.Errorf("pace consensus: %w", err)
	}
	state, ok := env.ConsensusState.(*consensus.State)
	if !ok {
		return fmt.Errorf("pace consensus: state is a %T, want *consensus.State", env.ConsensusState)
	}
	timers := consensus.NewTimeoutTicker()
	state.SetTimeoutTicker(newTicker(timers, timers.ScheduleTimeout, timers.Chan(), a.pacing))
	return nil
}

// pacing says how fast blocks follow each other.
type pacing struct {
	blockTime, idleInterval time.Duration

	certificates, transactions waiting
	empty                      atomic.Bool // the last block had nothing in it
}

// waiting is what pacing needs of what waits for a block: of lanes, and of the pool.
type waiting interface {
	Waiting() bool
	Arrived() <-chan struct{}
}

// executed notes whether the block that was just executed had anything in it.
func (p *pacing) executed(empty bool) { p.empty.Store(empty) }

func (p *pacing) wanted() bool { return p.certificates.Waiting() || p.transactions.Waiting() }

func (p *pacing) quiet() bool {
	return p.idleInterval > p.blockTime && p.empty.Load() && !p.wanted()
}

// cometTimeout is CometBFT's timeoutInfo, whose name is private and whose fields
// are not. Should they change, this file does not compile.
type cometTimeout interface {
	~struct {
		Duration time.Duration         `json:"duration"`
		Height   int64                 `json:"height"`
		Round    int32                 `json:"round"`
		Step     cstypes.RoundStepType `json:"step"`
	}
}

type timeout struct {
	Duration time.Duration
	Height   int64
	Round    int32
	Step     cstypes.RoundStepType
}

// timers is CometBFT's own ticker, less the methods that name timeoutInfo.
type timers interface {
	Start() error
	Stop() error
	SetLogger(log.Logger)
}

// ticker stands before CometBFT's own ticker and holds back the timeout that
// starts a height.
type ticker[T cometTimeout] struct {
	timers
	schedule func(T)
	tock     <-chan T
	pacing   *pacing
	in       chan T
	quit     chan struct{}
	stop     sync.Once
}

func newTicker[T cometTimeout](base timers, schedule func(T), tock <-chan T, p *pacing) *ticker[T] {
	return &ticker[T]{timers: base, schedule: schedule, tock: tock, pacing: p, in: make(chan T, 10), quit: make(chan struct{})}
}

// Start implements consensus.TimeoutTicker.
func (t *ticker[T]) Start() error {
	if err := t.timers.Start(); err != nil {
		return err
	}
	go t.run()
	return nil
}

// Stop implements consensus.TimeoutTicker.
func (t *ticker[T]) Stop() error {
	t.stop.Do(func() { close(t.quit) })
	return t.timers.Stop()
}

// Chan implements consensus.TimeoutTicker.
func (t *ticker[T]) Chan() <-chan T { return t.tock }

// ScheduleTimeout implements consensus.TimeoutTicker.
func (t *ticker[T]) ScheduleTimeout(ti T) {
	select {
	case t.in <- ti:
	case <-t.quit:
	}
}

// run passes every timeout on, and that of a new height when the height may start.
// What consensus schedules next, because it got a proposal or a later height from
// others, takes the place of one that is held back.
func (t *ticker[T]) run() {
	var (
		held     timeout
		holding  bool
		started  time.Time // the last height
		earliest time.Time // start of the one held back
		alarm    = time.NewTimer(time.Hour)
	)
	defer alarm.Stop()
	arrived := func() {
		if holding && t.pacing.wanted() {
			alarm.Reset(time.Until(earliest))
		}
	}
	for {
		select {
		case ti := <-t.in:
			now := time.Now()
			if next := timeout(ti); next.Step == cstypes.RoundStepNewHeight {
				held, holding = next, true
				earliest = now.Add(next.Duration)
				if paced := started.Add(t.pacing.blockTime); paced.After(earliest) {
					earliest = paced
				}
				at := earliest
				if idle := now.Add(t.pacing.idleInterval); t.pacing.quiet() && idle.After(at) {
					at = idle
				}
				alarm.Reset(at.Sub(now))
				continue
			}
			if holding {
				holding, started = false, now
			}
			t.schedule(ti)
		case <-t.pacing.certificates.Arrived():
			arrived()
		case <-t.pacing.transactions.Arrived():
			arrived()
		case <-alarm.C:
			if holding {
				holding, started = false, time.Now()
				held.Duration = 0
				t.schedule(T(held))
			}
		case <-t.quit:
			return
		}
	}
}
