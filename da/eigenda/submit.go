package eigenda

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/remote"
)

const modeQuery = "?commitment_mode=standard"

// Submit implements da.Layer. Each blob is stored by a request of its own; then all
// certificates are recorded at once. A crash in between leaves blobs on EigenDA that
// nobody finds: they are not on the layer.
func (c *Client) Submit(ctx context.Context, blobs []da.Blob) ([]da.Ref, error) {
	if err := c.check(blobs); err != nil {
		return nil, err
	}
	entries := make([]Entry, len(blobs))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, b := range blobs {
		group.Go(func() error {
			commitment, err := c.put(groupCtx, b.Data)
			if err != nil {
				return fmt.Errorf("store blob %d: %w", i, err)
			}
			entries[i] = Entry{Namespace: b.Namespace, Commitment: commitment, Data: b.Data}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		c.unrecorded.keep(entries)
		return nil, err
	}
	height, err := c.index.Record(ctx, entries)
	if err != nil {
		c.unrecorded.keep(entries)
		return nil, classed("record certificates on the sequencer chain", err)
	}
	if height == 0 {
		return nil, fmt.Errorf("record certificates on the sequencer chain: recorded at height 0: %w", da.ErrUnavailable)
	}
	refs := make([]da.Ref, len(entries))
	for i, e := range entries {
		refs[i] = da.Ref{Height: height, Commitment: e.Commitment}
	}
	return refs, nil
}

func (c *Client) check(blobs []da.Blob) error {
	if len(blobs) == 0 {
		return fmt.Errorf("no blobs: %w", da.ErrRejected)
	}
	if len(blobs) > maxSubmitBlobs {
		return fmt.Errorf("%d blobs, at most %d: %w", len(blobs), maxSubmitBlobs, da.ErrTooLarge)
	}
	total := 0
	for i, b := range blobs {
		switch {
		case len(b.Data) == 0:
			return fmt.Errorf("blob %d is empty: %w", i, da.ErrRejected)
		case len(b.Data) > c.maxBlob:
			return fmt.Errorf("blob %d has %d bytes, at most %d: %w", i, len(b.Data), c.maxBlob, da.ErrTooLarge)
		}
		total += len(b.Data)
	}
	if total > maxSubmitBytes {
		return fmt.Errorf("%d bytes, at most %d: %w", total, maxSubmitBytes, da.ErrTooLarge)
	}
	return nil
}

// put stores one blob and returns its certificate.
func (c *Client) put(ctx context.Context, data []byte) ([]byte, error) {
	if commitment := c.unrecorded.take(da.ID(data)); commitment != nil {
		return commitment, nil
	}
	leave, err := enter(ctx, c.puts)
	if err != nil {
		return nil, err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, c.putLimit)
	defer cancel()
	answer, err := c.proxy.Do(ctx, remote.Request{
		Method: http.MethodPost, Path: "/put" + modeQuery, ContentType: "application/octet-stream",
		Body: data, MaxAnswer: 4 * da.MaxCommitmentBytes, // the proxy's errors may be longer than certificates
	})
	if err != nil {
		return nil, err
	}
	switch answer.Status {
	case http.StatusBadRequest:
		// The proxy's word for a blob that does not fit; it has no other for it.
		return nil, fmt.Errorf("%d: %s: %w", answer.Status, remote.Excerpt(answer.Body), da.ErrTooLarge)
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return nil, fmt.Errorf("%d: no eigenda-proxy answers at this endpoint: %w", answer.Status, da.ErrRejected)
	}
	if err := answer.Err(); err != nil {
		return nil, err
	}
	if malformed(answer.Body) {
		return nil, fmt.Errorf("the answer is a certificate of %d bytes, want 1 to %d: %w",
			len(answer.Body), da.MaxCommitmentBytes, da.ErrUnavailable)
	}
	return answer.Body, nil
}

const (
	maxUnrecorded = 256
	unrecordedAge = time.Hour // a fraction of the time for which EigenDA keeps a blob
)

// unrecorded remembers certificates of blobs that were stored, and paid, by submissions
// that failed afterwards: the same data submitted again needs them only recorded.
type unrecorded struct {
	now func() time.Time

	mu    sync.Mutex
	certs map[da.BlobID]certificate
}

type certificate struct {
	commitment []byte
	since      time.Time
}

func newUnrecorded(now func() time.Time) *unrecorded {
	return &unrecorded{now: now, certs: map[da.BlobID]certificate{}}
}

// keep remembers the entries that have a certificate.
func (u *unrecorded) keep(entries []Entry) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, e := range entries {
		if len(e.Commitment) == 0 {
			continue
		}
		if len(u.certs) >= maxUnrecorded {
			u.makePlace()
		}
		u.certs[da.ID(e.Data)] = certificate{commitment: e.Commitment, since: u.now()}
	}
}

// makePlace forgets what is too old, and the oldest in any case.
func (u *unrecorded) makePlace() {
	var oldest da.BlobID
	var since time.Time
	for id, c := range u.certs {
		if u.now().Sub(c.since) > unrecordedAge {
			delete(u.certs, id)
		} else if since.IsZero() || c.since.Before(since) {
			oldest, since = id, c.since
		}
	}
	delete(u.certs, oldest)
}

// take returns the certificate of a blob and forgets it, or returns nil.
func (u *unrecorded) take(id da.BlobID) []byte {
	u.mu.Lock()
	defer u.mu.Unlock()
	c, ok := u.certs[id]
	delete(u.certs, id)
	if !ok || u.now().Sub(c.since) > unrecordedAge {
		return nil
	}
	return c.commitment
}
