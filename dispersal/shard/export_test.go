package shard

// Forge lets a test commit to shards and leaves that no honest encoder would
// make: change is called with what Encode left.
func (c *Coded) Forge(batchBytes int, change func(shards [][]byte), leaves func([]Hash)) {
	change(c.shards)
	c.commit(batchBytes, func(int) bool { return false })
	leaves(c.tree.rows[0])
	c.root = c.layout.root(batchBytes, c.tree.grow())
}

// TreeRoot returns what the root binds to the shape.
func (c *Coded) TreeRoot() Hash { return c.tree.rows[len(c.tree.rows)-1][0] }

// Shard returns one shard.
func (c *Coded) Shard(i int) []byte { return c.shards[i] }
