package engine

import (
	"context"
	"errors"
	"time"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/internal/pause"
)

const (
	firstWait = 50 * time.Millisecond
	maxWait   = 2 * time.Second
	// doubtWait is the time after which a client that calls a block invalid is asked once
	// more: one that is just being stopped says so, too, of a block that it cannot finish.
	doubtWait = time.Second
)

// until does something that needs the client, again and again while the client does not
// answer, until ctx ends. What is done must be such that doing it again does no harm.
func (a *API) until(ctx context.Context, do func() error) error {
	wait, began, doubted := firstWait, time.Time{}, false
	for {
		err := do()
		if errors.Is(err, execution.ErrDisagree) && !doubted {
			doubted = true
			a.config.Logger.Warn("execution client disagrees, asking it once more", "url", a.config.URL, "err", err)
			if err := pause.For(ctx, doubtWait); err != nil {
				return err
			}
			continue
		}
		if !errors.Is(err, ErrUnreachable) {
			if err == nil && !began.IsZero() {
				a.config.Logger.Info("execution client answers again", "url", a.config.URL, "waited", a.config.Now().Sub(began).Round(time.Millisecond))
			}
			return err
		}
		if began.IsZero() {
			began = a.config.Now()
			a.config.Logger.Warn("execution client does not answer, waiting for it", "url", a.config.URL, "err", err)
		}
		if ended := pause.For(ctx, wait); ended != nil {
			return errors.Join(ended, err)
		}
		wait = min(2*wait, maxWait)
	}
}
