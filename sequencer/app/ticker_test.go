package app

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	cstypes "github.com/cometbft/cometbft/consensus/types"
	"github.com/cometbft/cometbft/libs/log"
	"github.com/stretchr/testify/require"
)

// cometsTimeout has the fields and tags of CometBFT's own.
type cometsTimeout struct {
	Duration time.Duration         `json:"duration"`
	Height   int64                 `json:"height"`
	Round    int32                 `json:"round"`
	Step     cstypes.RoundStepType `json:"step"`
}

type noTimers struct{}

func (noTimers) Start() error         { return nil }
func (noTimers) Stop() error          { return nil }
func (noTimers) SetLogger(log.Logger) {}

type fakePool struct {
	full    atomic.Bool
	arrived chan struct{}
}

func (f *fakePool) Waiting() bool            { return f.full.Load() }
func (f *fakePool) Arrived() <-chan struct{} { return f.arrived }
func (f *fakePool) put() {
	f.full.Store(true)
	f.arrived <- struct{}{}
}

const (
	testBlockTime = 100 * time.Millisecond
	testIdle      = time.Second
)

func TestTicker(t *testing.T) {
	newHeight := func(h int64) cometsTimeout {
		return cometsTimeout{Duration: 10 * time.Millisecond, Height: h, Step: cstypes.RoundStepNewHeight}
	}
	propose := func(h int64) cometsTimeout {
		return cometsTimeout{Duration: 300 * time.Millisecond, Height: h, Step: cstypes.RoundStepPropose}
	}
	for _, tc := range []struct {
		name  string
		empty bool // the last block
		act   func(schedule func(cometsTimeout), p *fakePool)
		want  map[cometsTimeout]time.Duration // when it is passed on
	}{
		{"first height", false, func(s func(cometsTimeout), _ *fakePool) { s(newHeight(1)) },
			map[cometsTimeout]time.Duration{{Height: 1, Step: cstypes.RoundStepNewHeight}: 10 * time.Millisecond}},
		{"idle", true, func(s func(cometsTimeout), _ *fakePool) { s(newHeight(1)) },
			map[cometsTimeout]time.Duration{{Height: 1, Step: cstypes.RoundStepNewHeight}: testIdle}},
		{"pool is not empty", true, func(s func(cometsTimeout), p *fakePool) { p.put(); s(newHeight(1)) },
			map[cometsTimeout]time.Duration{{Height: 1, Step: cstypes.RoundStepNewHeight}: 10 * time.Millisecond}},
		{"woken", true, func(s func(cometsTimeout), p *fakePool) {
			s(newHeight(1))
			time.Sleep(300 * time.Millisecond)
			p.put()
		}, map[cometsTimeout]time.Duration{{Height: 1, Step: cstypes.RoundStepNewHeight}: 300 * time.Millisecond}},
		{"woken before votes are in", true, func(s func(cometsTimeout), p *fakePool) {
			s(newHeight(1))
			time.Sleep(time.Millisecond)
			p.put()
		}, map[cometsTimeout]time.Duration{{Height: 1, Step: cstypes.RoundStepNewHeight}: 10 * time.Millisecond}},
		{"what arrived is gone again", true, func(s func(cometsTimeout), p *fakePool) {
			p.arrived <- struct{}{}
			s(newHeight(1))
		}, map[cometsTimeout]time.Duration{{Height: 1, Step: cstypes.RoundStepNewHeight}: testIdle}},
		{"others went on", true, func(s func(cometsTimeout), _ *fakePool) {
			s(newHeight(1))
			time.Sleep(200 * time.Millisecond)
			s(propose(1))
		}, map[cometsTimeout]time.Duration{propose(1): 200 * time.Millisecond}},
		{"block time", false, func(s func(cometsTimeout), _ *fakePool) {
			s(newHeight(1))
			time.Sleep(30 * time.Millisecond) // released after 10
			s(newHeight(2))
		}, map[cometsTimeout]time.Duration{
			{Height: 1, Step: cstypes.RoundStepNewHeight}: 10 * time.Millisecond,
			{Height: 2, Step: cstypes.RoundStepNewHeight}: 10*time.Millisecond + testBlockTime,
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				got := map[cometsTimeout]time.Duration{}
				pool := &fakePool{arrived: make(chan struct{}, 1)}
				p := &pacing{blockTime: testBlockTime, idleInterval: testIdle, certificates: pool, transactions: noLanes{}}
				p.executed(tc.empty)
				tick := newTicker(noTimers{}, func(ti cometsTimeout) { got[ti] = time.Since(begin) }, make(chan cometsTimeout), p)
				require.NoError(t, tick.Start())
				tc.act(tick.ScheduleTimeout, pool)
				time.Sleep(3 * testIdle)
				synctest.Wait()
				require.Equal(t, tc.want, got)
				require.NoError(t, tick.Stop())
				require.NoError(t, tick.Stop())
				tick.ScheduleTimeout(newHeight(9)) // does not block
			})
		})
	}
}
