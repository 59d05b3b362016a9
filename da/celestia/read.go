package celestia

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/remote"
)

// maxBlockAnswer bounds an answer with a whole block's data: the widest square.
const maxBlockAnswer = maxSquare*maxSquare*700 + smallAnswer

// Head implements da.Layer. It is the height up to which this node answers, which
// lags behind the network's while the node catches up.
func (c *Client) Head(ctx context.Context) (uint64, error) {
	h, err := c.header(ctx, "header.LocalHead")
	if err != nil {
		return 0, err
	}
	return uint64(h.Header.Height), nil
}

// WaitHead implements da.Layer.
func (c *Client) WaitHead(ctx context.Context, above uint64) (uint64, error) {
	for {
		head, err := c.Head(ctx)
		if err != nil || head > above {
			return head, err
		}
		next, err := c.waitHeight(ctx, above+1)
		switch {
		case err == nil:
			return next, nil
		case ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded):
			return 0, err
		}
		// The network is slow: ask again, and see first that the node is alive.
	}
}

// waitHeight waits for one Timeout until the node has the height.
func (c *Client) waitHeight(ctx context.Context, height uint64) (uint64, error) {
	const method = "header.WaitForHeight"
	h, err := readOnce[header](ctx, c, smallAnswer, method, height)
	if err != nil {
		return 0, err
	}
	if err := c.checkHeader(method, &h); err != nil {
		return 0, err
	}
	if got := uint64(h.Header.Height); got < height {
		return 0, fmt.Errorf("%s: asked for height %d, got %d: %w", method, height, got, da.ErrUnavailable)
	}
	return uint64(h.Header.Height), nil
}

// Get implements da.Layer. Where the reference has a commitment, the namespace in it is
// the one that the rollup's readers look into: what stands under another is nothing that
// this client can speak of.
func (c *Client) Get(ctx context.Context, rollup da.Namespace, ref da.Ref) ([]byte, error) {
	ns, want := c.of(rollup), commitment{}
	if len(ref.Commitment) > 0 {
		var named namespace
		var err error
		if named, want, err = parseReference(ref.Commitment); err != nil {
			return nil, err
		}
		if named != ns {
			return nil, fmt.Errorf("the reference is to namespace %x, but rollup %x is read from namespace %x here; "+
				"if it has one of its own, set it: %w", named, rollup[:8], ns, da.ErrUnavailable)
		}
		if c.opts.Unproven {
			return c.getUnproven(ctx, ref.Height, ns, want)
		}
	}
	blobs, err := c.blobs(ctx, ref.Height, ns)
	if err != nil {
		return nil, err
	}
	for _, b := range blobs {
		if len(ref.Commitment) == 0 || b.commitment == want {
			return bytes.Clone(b.data), nil
		}
	}
	return nil, fmt.Errorf("no such blob among %d in namespace %x at height %d: %w", len(blobs), ns, ref.Height, da.ErrNotFound)
}

// Blobs implements da.Layer.
func (c *Client) Blobs(ctx context.Context, height uint64, rollup da.Namespace) ([]da.Stored, error) {
	ns := c.of(rollup)
	blobs, err := c.blobs(ctx, height, ns)
	if err != nil {
		return nil, err
	}
	out := make([]da.Stored, len(blobs))
	for i, b := range blobs {
		out[i] = da.Stored{Ref: da.Ref{Height: height, Commitment: reference(ns, b.commitment)}, Data: bytes.Clone(b.data)}
	}
	return out, nil
}

// blobs returns what the namespace holds at the height; nobody may change it.
func (c *Client) blobs(ctx context.Context, height uint64, ns namespace) ([]found, error) {
	if height == 0 {
		return nil, nil // there is no such block
	}
	if err := c.reached(ctx, height); err != nil {
		return nil, err
	}
	if c.opts.Unproven {
		return c.blobsUnproven(ctx, height, ns)
	}
	return c.holdings.get(ctx, place{height, ns}, c.blobsProven)
}

func (c *Client) blobsProven(ctx context.Context, at place) ([]found, error) {
	sq, err := c.squareAt(ctx, at.height)
	if err != nil {
		return nil, err
	}
	roots := sq.rowsOf(at.ns)
	if len(roots) == 0 {
		return nil, nil // proven by the roots alone
	}
	width := len(sq.rows)
	limit := int64(len(roots))*rowBytes(width) + 4096
	rows, err := read[rowList](ctx, c, limit, "share.GetNamespaceData", at.height, at.ns[:])
	if err != nil {
		return nil, err
	}
	shares, err := verifyRows(rows, roots, at.ns, width)
	if err != nil {
		return nil, fmt.Errorf("what the node says of namespace %x at height %d is false: %w: %w", at.ns, at.height, err, da.ErrUnavailable)
	}
	blobs := parseShares(shares)
	for i := range blobs {
		b := &blobs[i]
		if b.commitment, err = commit(at.ns, b.data, b.version, b.signer); err != nil {
			return nil, fmt.Errorf("share commitment: %w: %w", err, da.ErrUnavailable)
		}
		b.signer = nil // it would keep its share in memory
	}
	return blobs, nil
}

// reached is da.ErrNotYet above the head: the node itself waits for the height
// after its head.
func (c *Client) reached(ctx context.Context, height uint64) error {
	if height <= c.head.Load() {
		return nil
	}
	head, err := c.Head(ctx)
	if err != nil {
		return err
	}
	if height > head {
		return fmt.Errorf("height %d, the head is %d: %w", height, head, da.ErrNotYet)
	}
	return nil
}

// rpcBlob is celestia-node's blob.Blob.
type rpcBlob struct {
	Namespace  []byte `json:"namespace"`
	Data       []byte `json:"data"`
	Version    uint8  `json:"share_version"`
	Signer     []byte `json:"signer,omitempty"`
	Commitment []byte `json:"commitment,omitempty"`
}

// verify compares the commitment that the node names with that of the data.
func (b *rpcBlob) verify(ns namespace) (found, error) {
	if string(b.Namespace) != string(ns[:]) {
		return found{}, fmt.Errorf("answer has namespace %x, want %x", remote.Excerpt(b.Namespace), ns)
	}
	if len(b.Signer) == 0 {
		b.Signer = nil
	}
	got, err := commit(ns, b.Data, b.Version, b.Signer)
	if err != nil {
		return found{}, err
	}
	if string(b.Commitment) != string(got[:]) {
		return found{}, fmt.Errorf("data has share commitment %x, the node names %x", got, remote.Excerpt(b.Commitment))
	}
	return found{data: b.Data, version: b.Version, signer: b.Signer, commitment: got}, nil
}

func (c *Client) getUnproven(ctx context.Context, height uint64, ns namespace, want commitment) ([]byte, error) {
	if err := c.reached(ctx, height); err != nil {
		return nil, err
	}
	b, err := read[rpcBlob](ctx, c, maxBlockAnswer, "blob.Get", height, ns[:], want[:])
	if err != nil {
		return nil, err
	}
	f, err := b.verify(ns)
	if err == nil && commitment(b.Commitment) != want {
		err = fmt.Errorf("asked for share commitment %x, got %x", want, b.Commitment)
	}
	if err != nil {
		return nil, fmt.Errorf("blob.Get: %w: %w", err, da.ErrUnavailable)
	}
	return f.data, nil
}

func (c *Client) blobsUnproven(ctx context.Context, height uint64, ns namespace) ([]found, error) {
	const method = "blob.GetAll"
	blobs, err := read[remote.List[rpcBlob]](ctx, c, maxBlockAnswer, method, height, [][]byte{ns[:]})
	if err != nil {
		return nil, err
	}
	out := make([]found, len(blobs))
	for i := range blobs {
		if out[i], err = blobs[i].verify(ns); err != nil {
			return nil, fmt.Errorf("%s: blob %d at height %d: %w: %w", method, i, height, err, da.ErrUnavailable)
		}
	}
	return out, nil
}
