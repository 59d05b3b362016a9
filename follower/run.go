package follower

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/cometbft/cometbft/light"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmttypes "github.com/cometbft/cometbft/types"
	"github.com/hashicorp/golang-lru/v2/simplelru"

	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// run is a run of a blob whose headers are a chain, and signed where openRun returned it.
type run struct {
	first      uint64
	headers    []*cmttypes.Header
	hashes     [][32]byte
	validators *validators
}

// chainHeaders reads the headers of a run and computes what they leave out. Nothing is known
// of the first but what it says.
func chainHeaders(p *packedRun, chainID string) (*run, error) {
	r := &run{first: p.first}
	for i, raw := range p.headers {
		height := p.first + uint64(i)
		var pb cmtproto.Header
		if err := pb.Unmarshal(raw); err != nil {
			return nil, fmt.Errorf("decode header %d: %w: %w", height, err, ErrMalformed)
		}
		if i > 0 {
			if len(pb.LastBlockId.Hash) > 0 {
				return nil, fmt.Errorf("header %d says the hash of the block before it: %w", height, ErrMalformed)
			}
			pb.LastBlockId.Hash = r.hashes[i-1][:]
		}
		h, err := cmttypes.HeaderFromProto(&pb)
		if err != nil {
			return nil, fmt.Errorf("decode header %d: %w: %w", height, err, ErrMalformed)
		}
		switch {
		case h.ChainID != chainID:
			return nil, fmt.Errorf("header is of chain %q, want %q: %w", h.ChainID, chainID, ErrChainID)
		case uint64(h.Height) != height:
			return nil, fmt.Errorf("header has height %d, want %d: %w", h.Height, height, ErrHeight)
		case i > 0 && !bytes.Equal(h.ValidatorsHash, r.headers[0].ValidatorsHash):
			return nil, fmt.Errorf("header %d names set %X, the first of its run %X: %w", height, h.ValidatorsHash, r.headers[0].ValidatorsHash, ErrValidators)
		case i > 0 && !bytes.Equal(h.ValidatorsHash, r.headers[i-1].NextValidatorsHash):
			return nil, fmt.Errorf("header %d names set %X, the block before %X: %w", height, h.ValidatorsHash, r.headers[i-1].NextValidatorsHash, ErrValidators)
		case i > 0 && !h.Time.After(r.headers[i-1].Time):
			return nil, fmt.Errorf("block %d has time %s, not after the block before: %w", height, h.Time.UTC().Format(time.RFC3339Nano), ErrHeader)
		}
		r.headers = append(r.headers, &h)
		hash := h.Hash()
		if len(hash) != sha256.Size {
			return nil, fmt.Errorf("header %d names no validators: %w", height, ErrMalformed)
		}
		r.hashes = append(r.hashes, [32]byte(hash))
	}
	return r, nil
}

// openRun verifies a run that the next height lies in, from what is trusted. Blocks of it
// are not held against the local clock. Errors: the reasons of errors.go.
func (v *headers) openRun(p *packedRun, now time.Time) (*run, error) {
	if !v.last.IsZero() {
		trusted := &cmttypes.SignedHeader{Header: v.last.header}
		if light.HeaderExpired(trusted, v.period, now) {
			return nil, v.expired()
		}
	}
	r, err := chainHeaders(p, v.trust.chainID)
	if err != nil {
		return nil, err
	}
	next := r.headers[v.next-r.first]
	adjacent := v.last.IsZero() || v.last.Height()+1 == v.next
	switch {
	case v.last.IsZero():
		if got := r.hashes[v.next-r.first]; got != v.trust.hash {
			return nil, fmt.Errorf("block %d has hash %X, trusted is %X: %w", v.next, got, v.trust.hash, ErrHeader)
		}
	case adjacent && !bytes.Equal(next.ValidatorsHash, v.last.header.NextValidatorsHash):
		return nil, fmt.Errorf("header names set %X, the block before %X: %w", next.ValidatorsHash, v.last.header.NextValidatorsHash, ErrValidators)
	case !next.Time.After(v.last.header.Time):
		return nil, fmt.Errorf("block %d has time %s, not after %s of block %d: %w", next.Height,
			next.Time.UTC().Format(time.RFC3339Nano), v.last.header.Time.UTC().Format(time.RFC3339Nano), v.last.Height(), ErrHeader)
	}
	signed, err := openCommit(p, r)
	if err != nil {
		return nil, err
	}
	if r.validators, err = v.setOf(next, p.validators); err != nil {
		return nil, fmt.Errorf("validators of height %d: %w", v.next, err)
	}
	if adjacent {
		err = verifyCommit(r.validators, p.commit, signed)
	} else {
		// As a light client skips: by those of the trusted validators who signed.
		trusted := &cmttypes.SignedHeader{Header: v.last.header}
		err = light.Verify(trusted, v.last.validators.set, signed, r.validators.set, math.MaxInt64, signed.Time, v.drift, light.DefaultTrustLevel)
	}
	if err != nil {
		return nil, fmt.Errorf("commit of height %d: %w: %w", signed.Height, err, ErrCommit)
	}
	return r, nil
}

// openCommit reads the commit of a run's last block. No signature has been verified afterwards.
func openCommit(p *packedRun, r *run) (*cmttypes.SignedHeader, error) {
	var pb cmtproto.Commit
	if err := pb.Unmarshal(p.commit); err != nil {
		return nil, fmt.Errorf("decode commit: %w: %w", err, ErrMalformed)
	}
	commit, err := cmttypes.CommitFromProto(&pb)
	if err != nil {
		return nil, fmt.Errorf("decode commit: %w: %w", err, ErrMalformed)
	}
	last := len(r.headers) - 1
	if commit.Height != r.headers[last].Height {
		return nil, fmt.Errorf("commit is for height %d, the run ends at %d: %w", commit.Height, r.headers[last].Height, ErrCommit)
	}
	if !bytes.Equal(commit.BlockID.Hash, r.hashes[last][:]) {
		return nil, fmt.Errorf("header of height %d hashes to %X, its commit signs %X: %w", commit.Height, r.hashes[last], commit.BlockID.Hash, ErrCommit)
	}
	return &cmttypes.SignedHeader{Header: r.headers[last], Commit: commit}, nil
}

// commits remembers commits that were verified. Blobs of many rollups end with the same
// one, and a hostile blob may begin with a good one.
var commits = newCommitCache(4096)

// commitCache remembers digests of commits with the validators who signed them. That they did
// never changes, so all readers of a process share one.
type commitCache struct {
	mu     sync.Mutex
	known  *simplelru.LRU[[32]byte, struct{}]
	checks int // commits whose signatures were verified
}

func newCommitCache(size int) *commitCache {
	lru, _ := simplelru.NewLRU[[32]byte, struct{}](size, nil) // fails for sizes below 1 only
	return &commitCache{known: lru}
}

// verifyCommit checks that more than two thirds of the set signed the header, whose commit
// has the encoding raw.
func verifyCommit(set *validators, raw []byte, signed *cmttypes.SignedHeader) error {
	if got, want := len(signed.Commit.Signatures), set.set.Size(); got != want {
		return fmt.Errorf("%d signatures for %d validators", got, want)
	}
	digest := sha256.New()
	for _, part := range [][]byte{[]byte(signed.ChainID), {0}, set.hash, raw} {
		digest.Write(part)
	}
	key := [32]byte(digest.Sum(nil))
	commits.mu.Lock()
	_, ok := commits.known.Get(key)
	commits.mu.Unlock()
	if ok {
		return nil
	}
	err := set.set.VerifyCommitLight(signed.ChainID, signed.Commit.BlockID, signed.Height, signed.Commit)
	commits.mu.Lock()
	defer commits.mu.Unlock()
	commits.checks++
	if err == nil {
		commits.known.Add(key, struct{}{})
	}
	return err
}

// nextOf verifies what a run says of the next block, and moves on.
func (v *Verifier) nextOf(r *run, rb *orderv1.RollupBlock, now time.Time) (*Block, error) {
	at := v.next - r.first
	if err := v.notFuture(r.headers[at], now); err != nil {
		return nil, err
	}
	b, err := openAt(v.rollup, r, v.next, rb)
	if err != nil {
		return nil, err
	}
	v.accept(b.checkpoint)
	return b, nil
}

// NextBlob verifies the blocks of a blob from Height on, and moves on behind them. Of the
// blocks' Proto there is no more than what a blob says of a block. Where it fails, the blocks
// that are returned have been verified. Errors: ErrBlob, ErrBlobTooLarge, and the reasons of errors.go.
func (v *Verifier) NextBlob(blob []byte, now time.Time) ([]*Block, error) {
	h, err := parseBlobHeader(blob, DefaultBlobLimits)
	if err != nil {
		return nil, err
	}
	dec, err := newBlobDecoder(DefaultBlobLimits)
	if err != nil {
		return nil, err
	}
	defer dec.close()
	if err := dec.open(blob, h); err != nil {
		return nil, err
	}
	if h.first > v.next || h.last() < v.next {
		return nil, fmt.Errorf("blob of blocks %d to %d, want %d: %w", h.first, h.last(), v.next, ErrHeight)
	}
	var out []*Block
	err = v.walk(dec, func() time.Time { return now }, walk{
		next: func(r *run, rb *orderv1.RollupBlock) (*Block, error) { return v.nextOf(r, rb, now) },
		take: func(b *Block) error {
			out = append(out, b)
			return nil
		},
	})
	return out, err
}

// walk is what is done with the blocks of a blob.
type walk struct {
	// passed, where set, looks at a block below the next one. Nothing is known of it.
	passed func(p *packedRun, height uint64, raw []byte) error
	// next verifies the next block, and moves on.
	next func(r *run, rb *orderv1.RollupBlock) (*Block, error)
	take func(*Block) error
}

// walk goes through a blob that has been opened.
func (v *Verifier) walk(dec *blobDecoder, now func() time.Time, w walk) error {
	if dec.rollup != v.rollup {
		return fmt.Errorf("got a blob of rollup %s, want %s: %w", dec.rollup, v.rollup, ErrRollup)
	}
	for {
		p, err := dec.run()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var r *run
		if p.last() >= v.next {
			if r, err = v.openRun(p, now()); err != nil {
				return err
			}
		}
		for p.read < len(p.headers) {
			height, raw, err := dec.block(p)
			switch {
			case err != nil:
				return err
			case height >= v.next:
				err = w.at(r, raw)
			case w.passed != nil:
				err = w.passed(p, height, raw)
			}
			if err != nil {
				return err
			}
		}
	}
}

func (w walk) at(r *run, raw []byte) error {
	rb, err := DecodeBlock(raw)
	if err != nil {
		return err
	}
	b, err := w.next(r, rb)
	if err != nil {
		return err
	}
	return w.take(b)
}
