package eigenda

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/remote"
)

// errInDoubt: the proxy refused a certificate, and nobody knows yet for how long.
var errInDoubt = fmt.Errorf("the proxy refuses a certificate that may yet be good: %w", da.ErrUnavailable)

// errUnfinished: the height holds more than one call asks for; the next goes on.
var errUnfinished = fmt.Errorf("more is recorded there than is looked at by one request, the next goes on: %w", da.ErrUnavailable)

// budget is what may yet be asked for.
type budget struct {
	asks, bytes int
	pause       time.Duration // between two rounds
}

func (b *budget) spent() bool { return b.asks <= 0 || b.bytes <= 0 }

// kept are the blobs that one call holds in memory, each once.
type kept struct {
	data map[da.BlobID][]byte
	size int
}

func newKept() *kept { return &kept{data: map[da.BlobID][]byte{}} }

// full says whether no more is taken.
func (k *kept) full() bool { return k == nil || k.size >= maxHeightBytes }

// put keeps a blob where there is room.
func (k *kept) put(id da.BlobID, data []byte) {
	if k.full() || k.data[id] != nil {
		return
	}
	k.data[id] = data
	k.size += len(data)
}

// round asks for the items of a file that are open, as far as the budget goes, and keeps
// what is theirs; whatever else the proxy gives is dropped at once. It returns nil once
// there is a verdict on all of them. Errors: errInDoubt, errUnfinished, da.ErrUnavailable.
func (c *Client) round(ctx context.Context, f *file, b *budget, k *kept) error {
	if f.open == 0 {
		return nil
	}
	if !f.begin(c.verdicts.now(), b.pause) {
		return errInDoubt
	}
	for f.next < len(f.items) {
		if b.spent() {
			f.well = f.well && (!f.ripe(c.verdicts.patience) || c.well(ctx))
			return errUnfinished
		}
		chunk, next := f.chunk(min(parallel, b.asks))
		data, errs := c.askAll(ctx, f, chunk)
		b.asks -= len(chunk)
		var failed error
		for n, i := range chunk {
			b.bytes -= len(data[n])
			switch err := errs[n]; {
			case err == nil:
				c.served(f, i, data[n], k)
			case !errors.Is(err, errInDoubt):
				failed = err
			}
		}
		if failed != nil {
			return failed // the round goes on with this chunk
		}
		f.next = next
	}
	if f.open > 0 && f.ripe(c.verdicts.patience) {
		f.well = f.well && c.well(ctx)
	}
	f.end(c.verdicts.now(), c.verdicts.patience)
	if f.open > 0 {
		return errInDoubt
	}
	return nil
}

// chunk returns up to n open items of the round, and the item after them.
func (f *file) chunk(n int) (chunk []int, next int) {
	for next = f.next; next < len(f.items) && len(chunk) < n; next++ {
		if f.status[next] == statusOpen {
			chunk = append(chunk, next)
		}
	}
	return chunk, next
}

// served notes what the proxy gave for an open item.
func (c *Client) served(f *file, i int, data []byte, k *kept) {
	id := da.ID(data)
	if !f.items[i].isFor(id) {
		f.set(i, statusForeign)
		return
	}
	c.cache.put(f.items[i].commitment, data)
	k.put(id, data)
	f.held[i] = id
	f.set(i, statusServed)
}

// askAll gets the blobs of a few items at once.
func (c *Client) askAll(ctx context.Context, f *file, chunk []int) (data [][]byte, errs []error) {
	data, errs = make([][]byte, len(chunk)), make([]error, len(chunk))
	var wg sync.WaitGroup
	for n, i := range chunk {
		wg.Go(func() { data[n], errs[n] = c.fetch(ctx, f.items[i].commitment) })
	}
	wg.Wait()
	return data, errs
}

// fetch returns the blob of a certificate. Errors: errInDoubt, da.ErrUnavailable.
func (c *Client) fetch(ctx context.Context, commitment []byte) ([]byte, error) {
	if data := c.cache.get(commitment); data != nil {
		return data, nil
	}
	return c.ask(ctx, commitment)
}

// ask asks the proxy for the blob of a certificate. Errors: as fetch.
func (c *Client) ask(ctx context.Context, commitment []byte) ([]byte, error) {
	answer, err := c.request(ctx, commitment)
	if err != nil {
		return nil, err
	}
	switch classOf(answer) {
	case answerBlob:
		c.verdicts.serve(commitment)
		return answer.Body, nil
	case answerRefusal:
		return nil, fmt.Errorf("%d: %s: %w", answer.Status, remote.Excerpt(answer.Body), errInDoubt)
	}
	return nil, fmt.Errorf("%d: %s: %w", answer.Status, remote.Excerpt(answer.Body), da.ErrUnavailable)
}

// well says whether the proxy serves blobs now.
func (c *Client) well(ctx context.Context) bool {
	well, canaries := c.verdicts.health()
	for _, canary := range canaries {
		if well {
			break
		}
		_, err := c.ask(ctx, canary)
		well = err == nil
	}
	return well
}

// class is what an answer to a GET means.
type class int

const (
	answerBlob    class = iota
	answerRefusal       // because of the certificate, or because of a failure: see verdicts
	answerFailure       // it has nothing to do with the certificate
)

func classOf(a remote.Answer) class {
	switch a.Status {
	case http.StatusOK:
		if len(a.Body) == 0 {
			return answerFailure // no blob is empty
		}
		return answerBlob
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestTimeout, http.StatusTooManyRequests,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return answerFailure
	}
	// 418 is the proxy's own word for a certificate that is invalid. It is no verdict by
	// itself: what the proxy compares it with, such as its view of Ethereum, may be behind.
	if a.Status >= 400 && a.Status < 600 {
		return answerRefusal
	}
	return answerFailure
}
