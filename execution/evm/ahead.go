package evm

import (
	"bytes"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ethereum/go-ethereum/core/types"

	"github.com/ordo-network/ordo/execution"
)

const (
	// aheadBytes bounds what is decoded before its turn, or waits for that, with the bytes
	// that it is decoded from. The next block may be larger: it comes alone then.
	aheadBytes = 16 << 20
	// decodeAtOnce is how many transactions a processor takes to decode before it looks for more.
	decodeAtOnce = 16
)

// ahead decodes blocks before their turn, one after the other, with one processor: the
// others execute meanwhile. Execute takes over what has not got that far.
type ahead struct {
	mu      sync.Mutex
	blocks  []*decoding // by rising height
	bytes   int
	working bool
	closed  bool
	worker  sync.WaitGroup
}

// decoding is the transactions of a block while processors decode them.
type decoding struct {
	height uint64
	signer types.Signer
	raw    [][]byte
	size   int
	next   atomic.Int64         // index of the first that nobody has taken
	txs    []*types.Transaction // nil where it cannot be decoded
	using  sync.WaitGroup       // processors that are at it
}

// put notes a block above those that it has, unless they are many already.
func (a *ahead) put(signer types.Signer, b execution.Block) {
	size := 0
	for _, tx := range b.Transactions {
		size += len(tx) + decodedOverhead
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := len(a.blocks); a.closed || size == 0 || n > 0 && (b.Height <= a.blocks[n-1].height || a.bytes+size > aheadBytes) {
		return
	}
	a.blocks = append(a.blocks, &decoding{
		height: b.Height, signer: signer, raw: b.Transactions, size: size, txs: make([]*types.Transaction, len(b.Transactions)),
	})
	a.bytes += size
	if !a.working {
		a.working = true
		a.worker.Go(a.work)
	}
}

// work decodes until nothing is left to do.
func (a *ahead) work() {
	for {
		d := a.take()
		if d == nil {
			return
		}
		d.decode()
		d.using.Done()
	}
}

// take returns the first block that has transactions nobody has taken.
func (a *ahead) take() *decoding {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, d := range a.blocks {
		if int(d.next.Load()) < len(d.raw) {
			d.using.Add(1)
			return d
		}
	}
	a.working = false
	return nil
}

// get returns the transactions of a block that was noted, decoded to the end by all
// processors, or nil where it was not. It and those below it are forgotten.
func (a *ahead) get(b execution.Block) []*types.Transaction {
	d := a.remove(b)
	if d == nil {
		return nil
	}
	for range min(runtime.GOMAXPROCS(0), (len(d.raw)-1)/decodeAtOnce) {
		d.using.Go(d.decode)
	}
	d.decode()
	d.using.Wait()
	return d.txs
}

func (a *ahead) remove(b execution.Block) (found *decoding) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.blocks) > 0 && a.blocks[0].height <= b.Height {
		d := a.blocks[0]
		// Who says what a block holds may have been wrong.
		if d.height == b.Height && slices.EqualFunc(d.raw, b.Transactions, bytes.Equal) {
			found = d
		}
		a.blocks, a.bytes = slices.Delete(a.blocks, 0, 1), a.bytes-d.size
	}
	return found
}

// decode decodes what nobody else has taken. What fails is left to whoever executes it,
// by the rules of its block.
func (d *decoding) decode() {
	for {
		end := int(d.next.Add(decodeAtOnce))
		for i := end - decodeAtOnce; i < min(end, len(d.raw)); i++ {
			if tx, err := decodeTransaction(d.signer, d.raw[i]); err == nil {
				d.txs[i] = tx
			}
		}
		if end >= len(d.raw) {
			return
		}
	}
}

// close waits for the processor that is at work.
func (a *ahead) close() {
	a.mu.Lock()
	a.closed, a.blocks, a.bytes = true, nil, 0
	a.mu.Unlock()
	a.worker.Wait()
}

var _ execution.Preparer = (*Client)(nil)

// Prepare implements execution.Preparer: it recovers senders, which costs more than
// executing a transfer, and hangs on no state.
func (c *Client) Prepare(b execution.Block) {
	c.ahead.put(types.LatestSigner(c.BlockChain().Config()), b)
}
