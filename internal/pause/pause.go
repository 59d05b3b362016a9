// Package pause waits for a time to pass, or for a context to end.
package pause

import (
	"context"
	"time"
)

// For returns after d, or the context's error where that ends before.
func For(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
