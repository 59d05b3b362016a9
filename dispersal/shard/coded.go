package shard

import "fmt"

// Coded is a batch cut into shards. Its zero value is ready for Encode, which may
// be called again and again and reuses the memory. It is not for several goroutines
// at once, except that many may call Share between two Encodes.
type Coded struct {
	layout *Layout
	buf    []byte   // all shards, one after the other
	shards [][]byte // into buf
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
	c.reset(l, l.ShardSize(len(batch)))
	clear(c.buf[copy(c.buf, batch) : l.data*c.size()])
	if err := l.code.Encode(c.shards); err != nil {
		return fmt.Errorf("code batch: %w", err)
	}
	c.commit(len(batch), func(int) bool { return false })
	return nil
}

// reset makes room for the shards, whose content is then arbitrary.
func (c *Coded) reset(l *Layout, size int) {
	c.layout = l
	if need := l.total * size; cap(c.buf) < need {
		c.buf = make([]byte, need)
	} else {
		c.buf = c.buf[:need]
	}
	if cap(c.shards) < l.total {
		c.shards = make([][]byte, l.total)
	}
	c.shards = c.shards[:l.total]
	for i := range c.shards {
		c.shards[i] = c.buf[i*size : (i+1)*size : (i+1)*size]
	}
	c.tree.reset(l.total)
}

func (c *Coded) size() int { return len(c.shards[0]) }

// commit computes the root over the shards. Leaves that are known already, from
// the same bytes, are not hashed again.
func (c *Coded) commit(batchBytes int, known func(shard int) bool) {
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
