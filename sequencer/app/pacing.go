package app

import (
	"sync/atomic"
	"time"
)

type pacing struct {
	blockTime, idleInterval time.Duration
	idle                    atomic.Bool
}

func (p *pacing) executed(empty bool) { p.idle.Store(empty) }
