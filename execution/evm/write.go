package evm

import (
	"fmt"

	"github.com/ethereum/go-ethereum/core/rawdb"
)

// write puts an executed block on disk and makes it the head.
//
// geth's own ways in (InsertChain, ProcessBlock) execute a block once more, and
// its header check wants strictly rising timestamps; writing the parts and then
// calling SetCanonical does neither.
//
// All parts go through the write-ahead log of one database, in this order, so a
// crash keeps a prefix: after a crash before the head marker, the block is
// unreferenced data and executing it again writes the same; with the head marker,
// all of it is there.
func (c *Client) write(b *built) error {
	chain, db := c.BlockChain(), c.eth.ChainDb()

	batch := db.NewBatch()
	defer batch.Close()
	rawdb.WriteBlock(batch, b.block)
	rawdb.WriteReceipts(batch, b.block.Hash(), b.block.NumberU64(), b.receipts)
	if err := batch.Write(); err != nil {
		return fmt.Errorf("write block: %w", err)
	}
	rules := chain.Config().Rules(b.block.Number(), true, b.block.Time())
	root, err := b.state.Commit(rules, b.block.NumberU64())
	if err != nil {
		return fmt.Errorf("commit state: %w", err)
	}
	if err := chain.TrieDB().Commit(root, false); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	if _, err := chain.SetCanonical(b.block); err != nil {
		return fmt.Errorf("set head: %w", err)
	}
	return c.sync()
}

// sync makes all writes so far durable. geth writes without it, and then even a
// killed process loses the tail of the log, up to 32 KiB that its writer holds in
// memory.
func (c *Client) sync() error {
	if err := c.eth.ChainDb().SyncKeyValue(); err != nil {
		return fmt.Errorf("sync database: %w", err)
	}
	return nil
}
