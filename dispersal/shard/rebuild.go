package shard

import (
	"bytes"
	"errors"
	"fmt"
)

var (
	// ErrVoid is the answer for a root that no batch has: its maker did not code
	// the shards by the rules. Whoever rebuilds from any shards gets this answer.
	ErrVoid = errors.New("the batch is void: its shards are not the code of any batch")
	// ErrTooFew is returned before enough shards are there.
	ErrTooFew = errors.New("too few shards to rebuild the batch")
)

// Rebuilder collects verified shards of one batch until they give it back. Its
// zero value is ready for Reset, which may be called for batch after batch. It is
// not for several goroutines at once.
//
// Memory for shards is taken only once a share has been verified: a root and a
// length that a stranger made up cost nothing. What the batch itself is in is taken
// anew for each, and is the caller's in the end; the rest is used again.
type Rebuilder struct {
	want   Root
	length int // of the batch
	have   []bool
	held   int // shards that are there: never more than k
	done   bool
	err    error // of the batch, once done

	codeword
	data   []byte // the first k shards
	parity []byte // the others
	batch  []byte // once it is rebuilt
}

// Reset begins a batch of that root and length in bytes. Errors: ErrLength.
func (r *Rebuilder) Reset(l *Layout, root Root, batchBytes int) error {
	if err := checkLength(batchBytes); err != nil {
		return err
	}
	r.want, r.length, r.held, r.done, r.err = root, batchBytes, 0, false, nil
	r.layout, r.data, r.batch = l, nil, nil
	r.have = append(r.have[:0], make([]bool, l.total)...)
	return nil
}

// Clear lets go of the batch that was begun. For how long it stays in memory is up to
// the caller alone then.
func (r *Rebuilder) Clear() {
	r.layout, r.data, r.batch = nil, nil, nil
	r.held, r.done, r.err = 0, false, nil
	clear(r.shards)
}

// Add verifies a share and copies from it what is still missing. A share that
// fails changes nothing, and says that whoever sent it is at fault.
// Errors: ErrShare.
func (r *Rebuilder) Add(s *Share) error {
	l := r.layout
	if l == nil {
		return fmt.Errorf("no batch is being rebuilt: %w", ErrShare)
	}
	v := verifiers.Get().(*verifier)
	defer verifiers.Put(v)
	run, err := v.verify(l, r.want, r.length, s)
	if err != nil {
		return err
	}
	size := l.ShardSize(r.length)
	if r.held == 0 {
		r.data = make([]byte, l.data*size)
		r.parity = room(r.parity, (l.total-l.data)*size)
		r.lay(l, size, r.data, r.parity)
	}
	for i := range run.Count {
		index := run.First + i
		if r.held == l.data || r.have[index] {
			continue
		}
		copy(r.shards[index], s.Shards[i*size:])
		r.tree.rows[0][index] = v.leaves[i]
		r.have[index] = true
		r.held++
	}
	return nil
}

// Ready tells whether there are shards enough for Batch to give its answer.
func (r *Rebuilder) Ready() bool { return r.layout != nil && r.held == r.layout.data }

// Batch returns the batch, in memory that stays as it is after Reset and Clear. It is
// the same, or void, for every set of shards under the root.
// Errors: ErrVoid; ErrTooFew while not Ready.
func (r *Rebuilder) Batch() ([]byte, error) {
	if !r.Ready() {
		return nil, fmt.Errorf("rebuild batch from %d shards: %w", r.held, ErrTooFew)
	}
	if !r.done {
		r.err, r.done = r.rebuild(), true
	}
	if r.err != nil {
		return nil, r.err
	}
	return r.batch, nil
}

func (r *Rebuilder) rebuild() error {
	l, size := r.layout, r.size()
	// The decoder sees exactly k shards: given more of what is no codeword, its
	// answer would depend on which of them it uses.
	for i, have := range r.have {
		if !have {
			r.shards[i] = r.shards[i][:0]
		}
	}
	err := l.code.ReconstructData(r.shards)
	for i := range r.shards {
		r.shards[i] = r.shards[i][:size]
	}
	if err != nil {
		return fmt.Errorf("decode batch: %w", err)
	}
	for _, b := range r.data[r.length:] {
		if b != 0 {
			return fmt.Errorf("bytes after the end are not zero: %w", ErrVoid)
		}
	}
	if err := l.code.Encode(r.shards); err != nil {
		return fmt.Errorf("code batch again: %w", err)
	}
	// Any k shards belong to exactly one codeword: those that were given came out as they were.
	r.commit(r.length, func(i int) bool { return r.have[i] })
	if r.root != r.want {
		return fmt.Errorf("coded again it has another root: %w", ErrVoid)
	}
	r.batch = r.data[:r.length:r.length]
	if len(r.data)-r.length > r.length/8 {
		// A small batch of many shards is mostly padding, which is not to be held with it.
		r.batch = bytes.Clone(r.batch)
	}
	return nil
}
