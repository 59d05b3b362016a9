package eigenda

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/remote"
)

// What is asked for ahead of a certificate in doubt, by each call.
const (
	lookAhead      = 128
	lookAheadBytes = 16 << 20
)

// errInDoubt: the proxy refused a certificate, and nobody knows yet for how long.
var errInDoubt = fmt.Errorf("the proxy refuses a certificate that may yet be good: %w", da.ErrUnavailable)

// Get implements da.Layer. A reference without a height, as a claim has that is yet to be
// recorded, is to whatever the certificate says; one with a height is to what the chain
// recorded there.
func (c *Client) Get(ctx context.Context, ns da.Namespace, ref da.Ref) ([]byte, error) {
	if len(ref.Commitment) == 0 {
		blobs, err := c.Blobs(ctx, ref.Height, ns)
		if err != nil {
			return nil, err
		}
		if len(blobs) == 0 {
			return nil, fmt.Errorf("nothing at height %d: %w", ref.Height, da.ErrNotFound)
		}
		return blobs[0].Data, nil
	}
	if malformed(ref.Commitment) {
		return nil, fmt.Errorf("a certificate of %d bytes: %w", len(ref.Commitment), da.ErrNotFound)
	}
	var ids []da.BlobID
	if ref.Height > 0 {
		w, err := c.windows.get(ctx, c.index, ns, ref.Height)
		if err != nil {
			return nil, err
		}
		for _, e := range w.at(ref.Height) {
			if bytes.Equal(e.Commitment, ref.Commitment) {
				ids = append(ids, e.ID)
			}
		}
		if len(ids) == 0 {
			return nil, fmt.Errorf("no such certificate is recorded at height %d: %w", ref.Height, da.ErrNotFound)
		}
	}
	data, err := c.fetch(ctx, ref.Commitment)
	if err != nil {
		return nil, err
	}
	if ref.Height > 0 && !slices.Contains(ids, da.ID(data)) {
		return nil, fmt.Errorf("the blob is not what was recorded at height %d: %w", ref.Height, da.ErrNotFound)
	}
	return data, nil
}

// Blobs implements da.Layer. Recorded blobs that cannot be had, or are not what was
// recorded, are left out and counted; one in doubt makes the answer da.ErrUnavailable
// until there is a verdict.
func (c *Client) Blobs(ctx context.Context, height uint64, ns da.Namespace) ([]da.Stored, error) {
	if height == 0 {
		return nil, nil // the chain begins at 1
	}
	w, err := c.windows.get(ctx, c.index, ns, height)
	if err != nil {
		return nil, err
	}
	entries := c.wellFormed(w.at(height))
	data, err := c.fetchAll(ctx, height, commitments(entries))
	if errors.Is(err, errInDoubt) {
		c.askAhead(ctx, w.after(height))
	}
	if err != nil {
		return nil, fmt.Errorf("height %d: %w", height, err)
	}
	var out []da.Stored
	for _, e := range entries {
		blob, ok := data[string(e.Commitment)]
		if !ok {
			continue // left out already
		}
		if da.ID(blob) != e.ID {
			c.leaveOut(e, reasonMismatched)
			continue
		}
		out = append(out, da.Stored{Ref: da.Ref{Height: height, Commitment: e.Commitment}, Data: blob})
	}
	return out, nil
}

func malformed(commitment []byte) bool {
	return len(commitment) == 0 || len(commitment) > da.MaxCommitmentBytes
}

// wellFormed returns the entries that may be certificates, each once: two submissions
// never have the same.
func (c *Client) wellFormed(entries []Recorded) []Recorded {
	type identity struct {
		commitment string
		id         da.BlobID
	}
	var out []Recorded
	seen := map[identity]bool{}
	for _, e := range entries {
		if malformed(e.Commitment) {
			c.leaveOut(e, reasonMalformed)
			continue
		}
		id := identity{string(e.Commitment), e.ID}
		if !seen[id] {
			seen[id] = true
			out = append(out, e)
		}
	}
	return out
}

// commitments returns those of the entries, each once.
func commitments(entries []Recorded) [][]byte {
	var out [][]byte
	seen := map[string]bool{}
	for _, e := range entries {
		if !seen[string(e.Commitment)] {
			seen[string(e.Commitment)] = true
			out = append(out, e.Commitment)
		}
	}
	return out
}

func (c *Client) leaveOut(e Recorded, reason string) {
	c.metrics.leftOut.WithLabelValues(reason).Inc()
	c.log.Warn("left out a blob that is recorded on the sequencer chain", "layer", c.Name(), "height", e.Height,
		"reason", reason, "certificate_begins", hex.EncodeToString(e.Commitment[:min(16, len(e.Commitment))]))
}

// fetchAll returns the blobs of the certificates that can be had, by certificate. Where one
// is in doubt it goes on with the others, so that all doubts are cleared in the same time.
func (c *Client) fetchAll(ctx context.Context, height uint64, certs [][]byte) (map[string][]byte, error) {
	out := make(map[string][]byte, len(certs))
	total := 0
	var doubt error
	for chunk := range slices.Chunk(certs, parallel) {
		if total > maxHeightBytes {
			for _, cert := range chunk {
				c.leaveOut(Recorded{Height: height, Commitment: cert}, reasonTooMuch)
			}
			continue
		}
		data, errs := concurrently(ctx, chunk, c.fetch)
		for i, cert := range chunk {
			switch err := errs[i]; {
			case err == nil:
				out[string(cert)] = data[i]
				total += len(data[i])
			case errors.Is(err, da.ErrNotFound):
				c.leaveOut(Recorded{Height: height, Commitment: cert}, reasonRefused)
			case errors.Is(err, errInDoubt):
				doubt = err
			default:
				return nil, err
			}
		}
	}
	return out, doubt
}

// concurrently gets the blobs of a few certificates at once.
func concurrently(ctx context.Context, certs [][]byte, get func(context.Context, []byte) ([]byte, error)) (data [][]byte, errs []error) {
	data, errs = make([][]byte, len(certs)), make([]error, len(certs))
	var wg sync.WaitGroup
	for i, cert := range certs {
		wg.Go(func() { data[i], errs[i] = get(ctx, cert) })
	}
	wg.Wait()
	return data, errs
}

// fetch returns the blob of a certificate.
// Errors: da.ErrNotFound where it was given up, errInDoubt, da.ErrUnavailable.
func (c *Client) fetch(ctx context.Context, commitment []byte) ([]byte, error) {
	if c.verdicts.givenUp(commitment) {
		return nil, fmt.Errorf("the proxy refuses the certificate for good: %w", da.ErrNotFound)
	}
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
	err = fmt.Errorf("%d: %s", answer.Status, remote.Excerpt(answer.Body))
	switch classOf(answer) {
	case answerBlob:
		c.verdicts.serve(commitment)
		c.cache.put(commitment, answer.Body)
		return answer.Body, nil
	case answerInvalid:
		c.verdicts.condemn(commitment)
		return nil, fmt.Errorf("%w: %w", err, da.ErrNotFound)
	case answerRefusal:
		if c.verdicts.refuse(commitment) && c.well(ctx) {
			c.verdicts.condemn(commitment)
			return nil, fmt.Errorf("%w: %w", err, da.ErrNotFound)
		}
		return nil, fmt.Errorf("%w: %w", err, errInDoubt)
	}
	return nil, fmt.Errorf("%w: %w", err, da.ErrUnavailable)
}

// well says whether the proxy serves blobs now.
func (c *Client) well(ctx context.Context) bool {
	well, canary := c.verdicts.health()
	if well || canary == nil {
		return well
	}
	answer, err := c.request(ctx, canary)
	if err != nil {
		return false
	}
	switch classOf(answer) {
	case answerBlob:
		c.verdicts.serve(canary)
		return true
	case answerRefusal:
		c.verdicts.refuse(canary)
	}
	return false
}

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

// class is what an answer to a GET means.
type class int

const (
	answerBlob    class = iota
	answerInvalid       // the certificate is invalid, for good
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
	case http.StatusTeapot: // the proxy's own word for it, and nobody else's
		return answerInvalid
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestTimeout, http.StatusTooManyRequests,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return answerFailure
	}
	if a.Status >= 400 && a.Status < 600 {
		return answerRefusal
	}
	return answerFailure
}

// askAhead asks for what is recorded above a height that is in doubt: it finds what the
// proxy does serve, and where there are more certificates that it refuses, their time
// runs too. Without that, made-up certificates in a row would each take the whole of
// the patience.
func (c *Client) askAhead(ctx context.Context, recorded []Recorded) {
	var ahead [][]byte
	for _, cert := range commitments(recorded) {
		if len(ahead) < lookAhead && !malformed(cert) && !c.verdicts.idle(cert) {
			ahead = append(ahead, cert)
		}
	}
	served := 0
	for chunk := range slices.Chunk(ahead, parallel) {
		if served > lookAheadBytes {
			return
		}
		data, _ := concurrently(ctx, chunk, c.ask) // the verdicts have the errors
		for _, blob := range data {
			served += len(blob)
		}
	}
}
