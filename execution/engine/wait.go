package engine

import (
	"context"
	"errors"
	"time"
)

const (
	firstWait = 50 * time.Millisecond
	maxWait   = 2 * time.Second
)

// until does something that needs the client, again and again while the client does not
// answer, until ctx ends. What is done must be such that doing it again does no harm.
func (a *API) until(ctx context.Context, do func() error) error {
	wait, began := firstWait, time.Time{}
	for {
		err := do()
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
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return errors.Join(ctx.Err(), err)
		case <-timer.C:
		}
		wait = min(2*wait, maxWait)
	}
}
