package celestia

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/remote"
)

const (
	// smallAnswer bounds an answer that holds at most a header. The largest square
	// has 2048 roots of 90 bytes; validators and their signatures come on top.
	smallAnswer = 4 << 20
	// firstBackoff is how long the first repetition of a read waits, about.
	firstBackoff = 200 * time.Millisecond
)

// read calls a method that changes nothing, again if the request failed. The
// answer may have limit bytes.
func read[T any](ctx context.Context, c *Client, limit int64, method string, params ...any) (T, error) {
	if limit > smallAnswer {
		weight := min(limit, answerMemory)
		if err := c.answers.Acquire(ctx, weight); err != nil {
			var zero T
			return zero, fmt.Errorf("%s: wait for other answers: %w: %w", method, err, da.ErrUnavailable)
		}
		defer c.answers.Release(weight)
	}
	for attempt := 0; ; attempt++ {
		result, err := readOnce[T](ctx, c, limit, method, params...)
		if err == nil || attempt >= c.opts.Retries || !lost(err) || ctx.Err() != nil {
			return result, err
		}
		wait := firstBackoff << min(attempt, 5)
		wait = wait/2 + rand.N(wait)
		c.log.Debug("a request to celestia-node failed, trying again", "method", method, "error", err, "retry_in", wait.Round(time.Millisecond))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return result, err
		}
	}
}

// lost says that a request brought no answer of the node that makes sense.
func lost(err error) bool {
	var said *remote.RPCError
	return errors.Is(err, da.ErrUnavailable) && !errors.As(err, &said)
}

func readOnce[T any](ctx context.Context, c *Client, limit int64, method string, params ...any) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	var result T
	if err := c.node.Call(ctx, method, limit, &result, params...); err != nil {
		var zero T
		return zero, classRead(err)
	}
	return result, nil
}
