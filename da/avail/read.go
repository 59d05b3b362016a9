package avail

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync"

	"golang.org/x/sync/singleflight"

	"github.com/ordo-network/ordo/da"
)

// Blobs implements da.Layer. The commitment of a blob is its da.BlobID: the light
// client names transactions by block alone.
func (c *Client) Blobs(ctx context.Context, height uint64, ns da.Namespace) ([]da.Stored, error) {
	entries, err := c.block(ctx, height)
	if err != nil {
		return nil, err
	}
	var out []da.Stored
	for _, e := range entries {
		if e.namespace == ns {
			out = append(out, da.Stored{Ref: da.Ref{Height: height, Commitment: e.id[:]}, Data: e.data})
		}
	}
	return out, nil
}

// Get implements da.Layer.
func (c *Client) Get(ctx context.Context, ns da.Namespace, ref da.Ref) ([]byte, error) {
	entries, err := c.block(ctx, ref.Height)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.namespace == ns && (len(ref.Commitment) == 0 || string(ref.Commitment) == string(e.id[:])) {
			return e.data, nil
		}
	}
	return nil, fmt.Errorf("avail block %d: %w", ref.Height, da.ErrNotFound)
}

// block returns the blobs of a block, of all namespaces; nobody may change them.
// Errors: da.ErrNotYet, da.ErrUnavailable.
func (c *Client) block(ctx context.Context, height uint64) ([]entry, error) {
	if height > math.MaxUint32 {
		return nil, fmt.Errorf("avail block %d: %w", height, da.ErrNotYet)
	}
	if entries, ok := c.cache.get(height); ok {
		return entries, nil
	}
	// Readers of many namespaces come at the same time. The one that goes ahead does
	// so with a context of its own, lest its end be the end of all.
	result := c.cache.flight.DoChan(fmt.Sprint(height), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.o.Timeout)
		defer cancel()
		entries, err := c.fetch(ctx, height)
		if err == nil {
			c.cache.put(height, entries)
		}
		return entries, err
	})
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("avail block %d: %w: %w", height, ctx.Err(), da.ErrUnavailable)
	case r := <-result:
		if r.Err != nil {
			return nil, fmt.Errorf("avail block %d: %w", height, r.Err)
		}
		return r.Val.([]entry), nil
	}
}

// fetch asks for the blobs of a block. Errors: da.ErrNotYet, da.ErrUnavailable.
func (c *Client) fetch(ctx context.Context, height uint64) ([]entry, error) {
	// What is answered above the verified head may yet change.
	if !c.known() || height > c.verified.Load() {
		s, err := c.status(ctx)
		if err != nil {
			return nil, unavailable(err)
		}
		if height > s.head() {
			return nil, fmt.Errorf("head %d: %w", s.head(), da.ErrNotYet)
		}
	}
	var data dataAnswer
	err := c.get(ctx, fmt.Sprintf("/v2/blocks/%d/data?fields=data", height), maxDataBytes, &data)
	var refused *answerError
	switch {
	case errors.As(err, &refused):
		return nil, c.whyNot(ctx, height, refused)
	case err != nil:
		return nil, err
	}
	return data.of(height)
}

// whyNot says why the light client does not give the data of a block. Errors:
// da.ErrNotYet, da.ErrUnavailable.
func (c *Client) whyNot(ctx context.Context, height uint64, refused *answerError) error {
	if refused.code != http.StatusNotFound && refused.code != http.StatusBadRequest {
		return unavailable(refused)
	}
	s, err := c.status(ctx)
	if err != nil {
		return unavailable(err)
	}
	if height > s.head() {
		return fmt.Errorf("head %d: %w", s.head(), da.ErrNotYet)
	}
	var b blockAnswer
	err = c.get(ctx, fmt.Sprintf("/v2/blocks/%d", height), maxAnswerBytes, &b)
	switch e := new(answerError); {
	case errors.As(err, &e) && e.code == http.StatusNotFound:
		return fmt.Errorf("the light client does not have it, set its sync_start_block to %d or lower: %w", height, da.ErrUnavailable)
	case err != nil:
		return unavailable(err)
	}
	switch b.Status {
	case statusUnavailable:
		return fmt.Errorf("the light client does not process it, set its sync_start_block to %d or lower: %w", height, da.ErrUnavailable)
	case statusFinished, statusIncomplete:
		// It became so between the two requests.
		return fmt.Errorf("%s, but its status is %s: %w", refused.Error(), b.Status, da.ErrUnavailable)
	}
	// Blocks are processed in order, but those of before the light client's start are
	// processed later.
	return fmt.Errorf("its status is %.40q: %w", b.Status, da.ErrUnavailable)
}

// unavailable makes what a read must not return into da.ErrUnavailable.
func unavailable(err error) error {
	if errors.Is(err, da.ErrRejected) || errors.Is(err, da.ErrTooLarge) {
		return fmt.Errorf("%s: %w", err.Error(), da.ErrUnavailable)
	}
	return err
}

const (
	cachedBlocks = 32
	cachedBytes  = 16 << 20
)

// cache holds the blocks that were read last: a block is read for each namespace of
// a deployment. Verified blocks never change.
type cache struct {
	flight singleflight.Group

	mu     sync.Mutex
	blocks map[uint64][]entry
	order  []uint64 // oldest first
	bytes  int
}

func (c *cache) get(height uint64) ([]entry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entries, ok := c.blocks[height]
	return entries, ok
}

func size(entries []entry) (n int) {
	for _, e := range entries {
		n += cap(e.data) + 128
	}
	return n
}

func (c *cache) put(height uint64, entries []entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.blocks[height]; ok || size(entries) > cachedBytes {
		return
	}
	if c.blocks == nil {
		c.blocks = make(map[uint64][]entry)
	}
	c.blocks[height] = entries
	c.order = append(c.order, height)
	c.bytes += size(entries)
	for len(c.order) > cachedBlocks || c.bytes > cachedBytes {
		c.bytes -= size(c.blocks[c.order[0]])
		delete(c.blocks, c.order[0])
		c.order = c.order[1:]
	}
}
