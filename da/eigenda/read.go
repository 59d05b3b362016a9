package eigenda

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/remote"
)

// What one call asks for, and what it asks for ahead of a certificate in doubt.
const (
	maxAsks        = 4096
	maxAskedBytes  = 1 << 30
	lookAhead      = 128
	lookAheadBytes = 16 << 20
)

// Get implements da.Layer. A reference without a height, as a claim has that is yet to be
// recorded, is to whatever the certificate says; one with a height is to what the chain
// recorded there.
func (c *Client) Get(ctx context.Context, ns da.Namespace, ref da.Ref) ([]byte, error) {
	if len(ref.Commitment) == 0 {
		return c.first(ctx, ns, ref.Height)
	}
	if malformed(ref.Commitment) {
		return nil, fmt.Errorf("a certificate of %d bytes: %w", len(ref.Commitment), da.ErrNotFound)
	}
	it := item{commitment: ref.Commitment}
	if ref.Height > 0 {
		w, err := c.windows.get(ctx, c.index, ns, ref.Height)
		if err != nil {
			return nil, err
		}
		for _, e := range w.at(ref.Height) {
			if bytes.Equal(e.Commitment, ref.Commitment) && (len(it.ids) == 0 || !it.isFor(e.ID)) {
				it.ids = append(it.ids, e.ID)
			}
		}
		if len(it.ids) == 0 {
			return nil, fmt.Errorf("no such certificate is recorded at height %d: %w", ref.Height, da.ErrNotFound)
		}
	}
	f, data, err := c.all(ctx, []item{it})
	if err != nil {
		return nil, err
	}
	defer f.leave()
	switch f.status[0] {
	case statusGivenUp:
		return nil, fmt.Errorf("the proxy refuses the certificate for good: %w", da.ErrNotFound)
	case statusForeign:
		return nil, fmt.Errorf("the blob is not what was recorded at height %d: %w", ref.Height, da.ErrNotFound)
	}
	return data[f.held[0]], nil
}

// first returns the first blob at a height.
func (c *Client) first(ctx context.Context, ns da.Namespace, height uint64) ([]byte, error) {
	blobs, err := c.Blobs(ctx, height, ns)
	if err != nil {
		return nil, err
	}
	if len(blobs) == 0 {
		return nil, fmt.Errorf("nothing at height %d: %w", height, da.ErrNotFound)
	}
	if blobs[0].Data == nil {
		return c.Get(ctx, ns, blobs[0].Ref)
	}
	return blobs[0].Data, nil
}

// Blobs implements da.Layer. Recorded blobs that cannot be had, or are not what was
// recorded, are left out and counted; one in doubt makes the answer da.ErrUnavailable
// until there is a verdict. Equal blobs share their memory.
func (c *Client) Blobs(ctx context.Context, height uint64, ns da.Namespace) ([]da.Stored, error) {
	if height == 0 {
		return nil, nil // the chain begins at 1
	}
	w, err := c.windows.get(ctx, c.index, ns, height)
	if err != nil {
		return nil, err
	}
	entries, items := sorted(w.at(height))
	f, data, err := c.all(ctx, items)
	if errors.Is(err, errInDoubt) {
		c.askAhead(ctx, w.after(height))
	}
	if err != nil {
		return nil, fmt.Errorf("height %d: %w", height, err)
	}
	defer f.leave()
	var out []da.Stored
	for _, e := range entries {
		switch {
		case e.item < 0:
			c.leaveOut(e.Recorded, reasonMalformed)
		case f.status[e.item] == statusGivenUp:
			c.leaveOut(e.Recorded, reasonRefused)
		case f.status[e.item] == statusForeign || f.held[e.item] != e.ID:
			c.leaveOut(e.Recorded, reasonMismatched)
		default:
			out = append(out, da.Stored{Ref: da.Ref{Height: height, Commitment: e.Commitment}, Data: data[e.ID]})
		}
	}
	return out, nil
}

func malformed(commitment []byte) bool {
	return len(commitment) == 0 || len(commitment) > da.MaxCommitmentBytes
}

// entry is what is recorded, with the item that it belongs to; -1: it is malformed.
type entry struct {
	Recorded
	item int
}

// sorted returns the entries of a height, each once, as two submissions never have the same
// certificate; and the certificates in them.
func sorted(recorded []Recorded) (entries []entry, items []item) {
	type identity struct {
		item int
		id   da.BlobID
	}
	seen, index := map[identity]bool{}, map[string]int{}
	for _, r := range recorded {
		if malformed(r.Commitment) {
			entries = append(entries, entry{r, -1})
			continue
		}
		i, ok := index[string(r.Commitment)]
		if !ok {
			i = len(items)
			index[string(r.Commitment)] = i
			items = append(items, item{commitment: r.Commitment})
		}
		if id := (identity{i, r.ID}); !seen[id] {
			seen[id] = true
			items[i].ids = append(items[i].ids, r.ID)
			entries = append(entries, entry{r, i})
		}
	}
	return entries, items
}

func (c *Client) leaveOut(e Recorded, reason string) {
	c.metrics.leftOut.WithLabelValues(reason).Inc()
	c.log.Warn("left out a blob that is recorded on the sequencer chain", "layer", c.Name(), "height", e.Height,
		"reason", reason, "certificate_begins", hex.EncodeToString(e.Commitment[:min(16, len(e.Commitment))]))
}

// all returns the file of the items once there is a verdict on each, and the blobs that
// were served, as many as memory has room for, the first ones first. The caller leaves the
// file. Errors: as round.
func (c *Client) all(ctx context.Context, items []item) (*file, map[da.BlobID][]byte, error) {
	f, k := c.verdicts.of(items), newKept()
	if err := f.enter(ctx); err != nil {
		return nil, nil, err
	}
	err := c.round(ctx, f, &budget{maxAsks, maxAskedBytes, f.pause(c.verdicts.patience)}, k)
	if err == nil {
		err = c.complete(ctx, f, k)
	}
	if err != nil {
		f.leave()
		return nil, nil, err
	}
	return f, k.data, nil
}

// complete gets again what was served in earlier rounds.
func (c *Client) complete(ctx context.Context, f *file, k *kept) error {
	var missing []int
	for i, s := range f.status {
		if s == statusServed && k.data[f.held[i]] == nil {
			missing = append(missing, i)
		}
	}
	for len(missing) > 0 && !k.full() {
		chunk := missing[:min(parallel, len(missing))]
		missing = missing[len(chunk):]
		data, errs := c.askAll(ctx, f, chunk)
		var failed error
		for n, i := range chunk {
			switch {
			case errors.Is(errs[n], errInDoubt):
				f.doubt(i)
				failed = errs[n]
			case errs[n] != nil:
				failed = errs[n]
			case da.ID(data[n]) != f.held[i]:
				failed = fmt.Errorf("the proxy gives another blob than before: %w", da.ErrUnavailable)
			default:
				k.put(f.held[i], data[n])
			}
		}
		if failed != nil {
			return failed
		}
	}
	return nil
}

// enter waits for the file; leave gives it back.
func (f *file) enter(ctx context.Context) error {
	select {
	case <-f.turn:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for another reader: %w: %w", ctx.Err(), da.ErrUnavailable)
	}
}

func (f *file) leave() { f.turn <- struct{}{} }

func (c *Client) request(ctx context.Context, commitment []byte) (remote.Answer, error) {
	leave, err := enter(ctx, c.gets)
	if err != nil {
		return remote.Answer{}, err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, c.getLimit)
	defer cancel()
	return c.proxy.Do(ctx, remote.Request{
		Method: http.MethodGet, Path: "/get/" + hex.EncodeToString(commitment) + modeQuery, MaxAnswer: DefaultMaxBlobBytes,
	})
}

// askAhead asks for what is recorded above a height that is in doubt: it finds what the
// proxy does serve, and where there are more certificates that it refuses, their time
// runs too. Without that, made-up certificates in a row would each take the whole of
// the patience.
func (c *Client) askAhead(ctx context.Context, recorded []Recorded) {
	b := &budget{lookAhead, lookAheadBytes, c.verdicts.patience / minRefusals}
	for len(recorded) > 0 && !b.spent() && ctx.Err() == nil {
		n := 1
		for n < len(recorded) && recorded[n].Height == recorded[0].Height {
			n++
		}
		_, items := sorted(recorded[:n])
		recorded = recorded[n:]
		f := c.verdicts.of(items)
		select {
		case <-f.turn:
			_ = c.round(ctx, f, b, nil) // the file has what came of it
			f.leave()
		default: // somebody is at it
		}
	}
}
