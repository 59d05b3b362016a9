package avail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/remote"
)

// Submit implements da.Layer. The blobs go in one transaction, so that they are
// stored all or none.
func (c *Client) Submit(ctx context.Context, blobs []da.Blob) ([]da.Ref, error) {
	if err := c.checkBlobs(blobs); err != nil {
		return nil, fmt.Errorf("submit to avail: %w", err)
	}
	height, err := c.hand(ctx, seal(blobs))
	if err == nil {
		err = c.settle(ctx, blobs, height)
	}
	if err != nil {
		return nil, fmt.Errorf("submit to avail: %w", err)
	}
	refs := make([]da.Ref, len(blobs))
	for i, b := range blobs {
		id := da.ID(b.Data)
		refs[i] = da.Ref{Height: height, Commitment: id[:]}
	}
	return refs, nil
}

func (c *Client) checkBlobs(blobs []da.Blob) error {
	limits, total := c.Limits(), 0
	if len(blobs) == 0 {
		return fmt.Errorf("no blobs: %w", da.ErrRejected)
	}
	if len(blobs) > limits.MaxSubmitBlobs {
		return fmt.Errorf("%d blobs, at most %d: %w", len(blobs), limits.MaxSubmitBlobs, da.ErrTooLarge)
	}
	for i, b := range blobs {
		if len(b.Data) == 0 {
			return fmt.Errorf("blob %d is empty: %w", i, da.ErrRejected)
		}
		if len(b.Data) > limits.MaxBlobBytes {
			return fmt.Errorf("blob %d has %d bytes, at most %d: %w", i, len(b.Data), limits.MaxBlobBytes, da.ErrTooLarge)
		}
		total += len(b.Data)
	}
	if total > limits.MaxSubmitBytes {
		return fmt.Errorf("%d bytes, at most %d: %w", total, limits.MaxSubmitBytes, da.ErrTooLarge)
	}
	return nil
}

// hand hands in a transaction, once: who does not hear what became of it must look.
// It returns the block that the transaction is in, which need not be final.
func (c *Client) hand(ctx context.Context, data []byte) (uint64, error) {
	body, err := json.Marshal(submitRequest{data})
	if err != nil {
		return 0, fmt.Errorf("%w: %w", err, da.ErrRejected)
	}
	select {
	case <-ctx.Done():
		return 0, fmt.Errorf("%w: %w", ctx.Err(), da.ErrUnavailable)
	case <-c.turn:
		defer func() { c.turn <- struct{}{} }()
	}
	if !c.known() {
		if _, err := c.status(ctx); err != nil {
			return 0, err
		}
	}
	var answer submitAnswer
	err = c.ask(ctx, remote.Request{
		Method: http.MethodPost, Path: "/v2/submit", ContentType: "application/json", Body: body, MaxAnswer: maxAnswerBytes,
	}, &answer)
	switch e := new(answerError); {
	case errors.As(err, &e) && e.code == http.StatusNotFound:
		return 0, fmt.Errorf("%s, as the light client is not in app mode or has no key: %w", e.Error(), da.ErrRejected)
	case errors.As(err, &e) && e.code == http.StatusBadRequest:
		return 0, fmt.Errorf("%s: %w", e.Error(), da.ErrRejected)
	case err != nil:
		return 0, err
	}
	if answer.BlockNumber == 0 {
		return 0, fmt.Errorf("the answer names no block: %w", da.ErrUnavailable)
	}
	return uint64(answer.BlockNumber), nil
}

// settle waits until the blobs were read back from the block, once that is verified. A
// chain that was reorganised before it was final may hold them elsewhere, or not at all.
func (c *Client) settle(ctx context.Context, blobs []da.Blob, height uint64) error {
	ctx, cancel := context.WithTimeout(ctx, c.o.Settle)
	defer cancel()
	entries, err := c.patiently(ctx, height)
	if err != nil {
		return err
	}
	type blob struct {
		ns da.Namespace
		id da.BlobID
	}
	held := make(map[blob]int)
	for _, e := range entries {
		held[blob{e.namespace, e.id}]++
	}
	for i, b := range blobs {
		own := blob{b.Namespace, da.ID(b.Data)}
		if held[own]--; held[own] < 0 {
			return fmt.Errorf("final block %d does not hold blob %d, which the light client put there: %w", height, i, da.ErrUnavailable)
		}
	}
	return nil
}

// patiently reads a block again and again until the light client has verified it.
func (c *Client) patiently(ctx context.Context, height uint64) ([]entry, error) {
	tick := time.NewTicker(c.o.Poll)
	defer tick.Stop()
	for {
		head, err := c.Head(ctx)
		if err == nil && head >= height {
			var entries []entry
			if entries, err = c.fetch(ctx, height); err == nil {
				return entries, nil
			}
		}
		last := fmt.Sprintf("the last one that is verified is %d", head)
		if err != nil {
			last = err.Error()
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for block %d to be final: %w (%s): %w", height, ctx.Err(), last, da.ErrUnavailable)
		case <-tick.C:
		}
	}
}
