package peers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/cometbft/cometbft/crypto/merkle"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmttypes "github.com/cometbft/cometbft/types"
)

var (
	// ErrBusy is returned where a validator's mempool is full.
	ErrBusy = errors.New("the mempool is full")
	// ErrUnverified is returned for a block that is not what the validators signed.
	ErrUnverified = errors.New("block does not verify")
)

// Client speaks to one validator.
type Client struct {
	URL  string
	HTTP *http.Client
}

// Submit hands in a transaction and returns when it is in the mempool. Errors: ErrBusy.
func (c Client) Submit(ctx context.Context, tx []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+pathSubmit, bytes.NewReader(tx))
	if err != nil {
		return fmt.Errorf("submit: %w", err)
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("submit: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	said, _ := io.ReadAll(io.LimitReader(resp.Body, 4096)) // a connection read to its end is used again
	switch resp.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusTooManyRequests:
		return fmt.Errorf("submit: %w: %s", ErrBusy, bytes.TrimSpace(said))
	default:
		return fmt.Errorf("submit: HTTP status %s: %s", resp.Status, bytes.TrimSpace(said))
	}
}

// Height returns the validator's last height.
func (c Client) Height(ctx context.Context) (uint64, error) {
	body, err := c.get(ctx, pathHeight)
	if err != nil {
		return 0, err
	}
	defer func() { _ = body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(body, 32))
	if err != nil {
		return 0, fmt.Errorf("ask for the height: %w", err)
	}
	return strconv.ParseUint(strings.TrimSpace(string(raw)), 10, 64)
}

func (c Client) get(ctx context.Context, path string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL+path, nil)
	if err != nil {
		return nil, fmt.Errorf("ask for %s: %w", path, err)
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask for %s: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("ask for %s: HTTP status %s", path, resp.Status)
	}
	return resp.Body, nil
}

// Heads calls fn with the height of each block as it is committed. It returns
// when ctx ends or the validator ends the stream, always with an error.
func (c Client) Heads(ctx context.Context, fn func(height uint64)) error {
	body, err := c.get(ctx, pathHeads)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	var raw [8]byte
	for {
		if _, err := io.ReadFull(body, raw[:]); err != nil {
			return fmt.Errorf("read heights: %w", err)
		}
		fn(binary.BigEndian.Uint64(raw[:]))
	}
}

// Block is a verified block.
type Block struct {
	Height uint64
	Txs    []Tx
}

// Tx is a transaction and its hash.
type Tx struct {
	Key  [32]byte
	Size int
}

// Blocks calls ready, and then fn with each block of a network from the next one on,
// verified against its validators: signatures of the commit, header, data, without
// gap. It returns when ctx ends or the validator ends the stream, always with an
// error. Errors: ErrUnverified.
func (c Client) Blocks(ctx context.Context, genesis *cmttypes.GenesisDoc, ready func(), fn func(Block)) error {
	body, err := c.get(ctx, pathBlocks)
	if err != nil {
		return err
	}
	ready()
	defer func() { _ = body.Close() }()
	vals := make([]*cmttypes.Validator, len(genesis.Validators))
	for i, v := range genesis.Validators {
		vals[i] = cmttypes.NewValidator(v.PubKey, v.Power)
	}
	set := cmttypes.NewValidatorSet(vals)
	in := bufio.NewReaderSize(body, 1<<20)
	var last uint64
	for {
		rawBlock, err := readFrame(in)
		if err != nil {
			return fmt.Errorf("read block: %w", err)
		}
		rawCommit, err := readFrame(in)
		if err != nil {
			return fmt.Errorf("read commit: %w", err)
		}
		b, err := verify(set, rawBlock, rawCommit)
		if err != nil {
			return err
		}
		if last != 0 && b.Height != last+1 {
			return fmt.Errorf("block %d after block %d: %w", b.Height, last, ErrUnverified)
		}
		last = b.Height
		fn(b)
	}
}

func readFrame(in io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(in, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > cmttypes.MaxBlockSizeBytes {
		return nil, fmt.Errorf("frame of %d bytes, at most %d", n, int64(cmttypes.MaxBlockSizeBytes))
	}
	raw := make([]byte, n)
	_, err := io.ReadFull(in, raw)
	return raw, err
}

func verify(set *cmttypes.ValidatorSet, rawBlock, rawCommit []byte) (b Block, err error) {
	var block cmtproto.Block
	var seen cmtproto.Commit
	if err := errors.Join(block.Unmarshal(rawBlock), seen.Unmarshal(rawCommit)); err != nil {
		return b, fmt.Errorf("decode block: %w: %w", err, ErrUnverified)
	}
	header, err := cmttypes.HeaderFromProto(&block.Header)
	if err != nil {
		return b, fmt.Errorf("decode header: %w: %w", err, ErrUnverified)
	}
	commit, err := cmttypes.CommitFromProto(&seen)
	if err != nil {
		return b, fmt.Errorf("decode commit: %w: %w", err, ErrUnverified)
	}
	if !bytes.Equal(header.Hash(), commit.BlockID.Hash) {
		return b, fmt.Errorf("the commit of height %d is for another header: %w", header.Height, ErrUnverified)
	}
	if err := set.VerifyCommitLight(ChainID, commit.BlockID, header.Height, commit); err != nil {
		return b, fmt.Errorf("commit of height %d: %w: %w", header.Height, err, ErrUnverified)
	}
	b = Block{Height: uint64(header.Height), Txs: make([]Tx, len(block.Data.Txs))}
	hashes := make([][]byte, len(b.Txs))
	for i, tx := range block.Data.Txs {
		b.Txs[i] = Tx{Key: cmttypes.Tx(tx).Key(), Size: len(tx)}
		hashes[i] = b.Txs[i].Key[:]
	}
	if !bytes.Equal(merkle.HashFromByteSlices(hashes), header.DataHash) {
		return b, fmt.Errorf("data of height %d is not what was signed: %w", header.Height, ErrUnverified)
	}
	return b, nil
}
