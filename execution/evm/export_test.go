package evm

// Prepared returns how many blocks are decoded, or wait for it, before their turn, and what they
// count for in bytes.
func (c *Client) Prepared() (blocks, bytes int) {
	c.ahead.mu.Lock()
	defer c.ahead.mu.Unlock()
	return len(c.ahead.blocks), c.ahead.bytes
}
