package shard

import "fmt"

// Coded is a batch cut into shards. Its zero value is ready for Encode, which may
// be called again and again and reuses the memory. It is not for several goroutines
// at once, except that many may call Share between two Encodes.
type Coded struct {
	codeword
	buf []byte // all shards, one after the other
}

// codeword is all shards of a batch, and the tree over them.
type codeword struct {
	layout *Layout
	shards [][]byte
	tree   tree
	root   Root
}

// Encode codes the batch, which is copied. Shares of the batch before are
// overwritten. The same layout and batch always give the same root.
// Errors: ErrLength.
func (c *Coded) Encode(l *Layout, batch []byte) error {
	if err := checkLength(len(batch)); err != nil {
		return err
	}
	size := l.ShardSize(len(batch))
	c.buf = room(c.buf, l.total*size)
	c.lay(l, size, c.buf, nil)
	clear(c.buf[copy(c.buf, batch) : l.data*size])
	if err := l.code.Encode(c.shards); err != nil {
		return fmt.Errorf("code batch: %w", err)
	}
	c.commit(len(batch), func(int) bool { return false })
	return nil
}

// room returns memory of that many bytes, arbitrary ones: the memory given where it is enough.
func room(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

// lay puts the shards into the memory: those that first has no room for into rest.
func (c *codeword) lay(l *Layout, size int, first, rest []byte) {
	c.layout = l
	if cap(c.shards) < l.total {
		c.shards = make([][]byte, l.total)
	}
	c.shards = c.shards[:l.total]
	for i := range c.shards {
		if len(first) < size {
			first = rest
		}
		c.shards[i], first = first[:size:size], first[size:]
	}
	c.tree.reset(l.total)
}

func (c *codeword) size() int { return len(c.shards[0]) }

// commit computes the root over the shards. Leaves that are known already, from
// the same bytes, are not hashed again.
func (c *codeword) commit(batchBytes int, known func(shard int) bool) {
	leaves := c.tree.rows[0]
	for i, s := range c.shards {
		if !known(i) {
			leaves[i] = leaf(s)
		}
	}
	c.root = c.layout.root(batchBytes, c.tree.grow())
}

// Root returns the erasure root of the batch.
func (c *Coded) Root() Root { return c.root }

// Share returns a run of at most N shards, usually all that a validator holds,
// with their proof. The shards alias the memory that the next Encode overwrites.
// Errors: ErrShare for a run that is empty, too long, or out of bounds.
func (c *Coded) Share(run Range) (*Share, error) {
	if c.layout == nil {
		return nil, fmt.Errorf("nothing is encoded yet: %w", ErrShare)
	}
	if err := c.layout.checkRun(run); err != nil {
		return nil, err
	}
	size := c.size()
	from, to := run.First*size, (run.First+run.Count)*size
	return &Share{First: run.First, Shards: c.buf[from:to:to], Proof: c.tree.path(run)}, nil
}
