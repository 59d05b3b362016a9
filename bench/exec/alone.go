package exec

import (
	"bufio"
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/ordo-network/ordo/bench/figures"
	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/evm"
)

// Files of a rollup in a directory.
const (
	genesisFile = "genesis.json"
	blocksFile  = "blocks.gob"
)

// Executed is what a rollup's blocks came to.
type Executed struct {
	Seconds float64     `json:"seconds"` // of Execute, all blocks one after the other
	CPU     float64     `json:"cpu_seconds"`
	Head    common.Hash `json:"head"`
	// Blocks of the rollup from the first on.
	Blocks []Block `json:"blocks"`
}

// Block is what one block of the rollup executed.
type Block struct {
	Transactions int    `json:"transactions"`
	Gas          uint64 `json:"gas"`
}

// writeRollup lays out a directory for Execute, and for nodes the genesis.
func writeRollup(dir string, w *workload, blocks []execution.Block) (err error) {
	genesis, err := json.Marshal(w.genesis)
	if err != nil {
		return fmt.Errorf("encode genesis: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, genesisFile), genesis, 0o600); err != nil {
		return fmt.Errorf("write genesis: %w", err)
	}
	f, err := os.Create(filepath.Join(dir, blocksFile))
	if err != nil {
		return fmt.Errorf("write blocks: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	buffer := bufio.NewWriterSize(f, 1<<20)
	out := gob.NewEncoder(buffer)
	for _, b := range blocks {
		if err := out.Encode(b); err != nil {
			return fmt.Errorf("write blocks: %w", err)
		}
	}
	return buffer.Flush()
}

func readBlocks(path string) (blocks []execution.Block, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read blocks: %w", err)
	}
	defer f.Close()
	in := gob.NewDecoder(bufio.NewReaderSize(f, 1<<20))
	for {
		var b execution.Block
		if err := in.Decode(&b); errors.Is(err, io.EOF) {
			return blocks, nil
		} else if err != nil {
			return nil, fmt.Errorf("read blocks: %w", err)
		}
		blocks = append(blocks, b)
	}
}

// Execute has the embedded EVM alone make a rollup's blocks of those of the order, with data in a new
// directory. It is called in a process of its own, so that nothing else is in its heap.
func Execute(ctx context.Context, rollup, data string) (_ *Executed, err error) {
	genesis, err := evm.LoadGenesis(filepath.Join(rollup, genesisFile))
	if err != nil {
		return nil, err
	}
	blocks, err := readBlocks(filepath.Join(rollup, blocksFile))
	if err != nil {
		return nil, err
	}
	c, err := evm.New(evm.Config{DataDir: data, Genesis: genesis})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	s, err := c.Open(ctx)
	if err != nil {
		return nil, err
	}
	head := s.Soft
	cpu := processorTime(os.Getpid())
	began := time.Now()
	for _, b := range blocks {
		if !(execution.Pace{}).Due(head, b) {
			continue // as on a node
		}
		r, err := c.Execute(ctx, head.Hash, b)
		if err != nil {
			return nil, fmt.Errorf("execute the block of sequencer height %d: %w", b.Height, err)
		}
		if len(r.Skipped) > 0 {
			return nil, fmt.Errorf("%d transactions of sequencer height %d were skipped, the first: %s", len(r.Skipped), b.Height, r.Skipped[0].Reason)
		}
		head = r.Head
	}
	out := &Executed{Seconds: time.Since(began).Seconds(), Head: head.Hash}
	out.CPU = (processorTime(os.Getpid()) - cpu).Seconds()
	out.Blocks, err = contents(c, head.Number)
	return out, err
}

// processorTime of a process; always 0 where the system does not tell.
func processorTime(pid int) time.Duration {
	t, _ := figures.CPUTime(pid)
	return t
}

// contents reads what the blocks executed, and refuses any that had a transaction fail:
// such figures would be of something else.
func contents(c *evm.Client, last uint64) ([]Block, error) {
	chain, out := c.BlockChain(), make([]Block, 0, last)
	for n := uint64(1); n <= last; n++ {
		b := chain.GetBlockByNumber(n)
		if b == nil {
			return nil, fmt.Errorf("block %d is not there", n)
		}
		for i, r := range chain.GetReceiptsByHash(b.Hash()) {
			if r.Status != types.ReceiptStatusSuccessful {
				return nil, fmt.Errorf("transaction %d of block %d reverted", i, n)
			}
		}
		out = append(out, Block{Transactions: len(b.Transactions()), Gas: b.GasUsed()})
	}
	return out, nil
}
