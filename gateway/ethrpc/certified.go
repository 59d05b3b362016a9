package ethrpc

import (
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
)

// maxSeen bounds the certified transactions that are remembered as sent.
const maxSeen = 1 << 16

// certified is what is known of certified transactions: each is sent once, though the
// pending block is made anew after each block.
type certified struct {
	wanted chan struct{} // somebody has subscribed

	mu    sync.Mutex
	on    bool // somebody has, ever
	seen  map[common.Hash]struct{}
	queue []common.Hash // oldest first
}

// wantCertified has the hub look at the pending block from now on.
func (h *hub) wantCertified() {
	h.certified.mu.Lock()
	defer h.certified.mu.Unlock()
	if !h.certified.on {
		h.certified.on = true
		h.certified.wanted <- struct{}{}
	}
}

// announce publishes those of the transactions that were not seen before. Until somebody
// has subscribed it does nothing.
func (h *hub) announce(txs []*types.Transaction) {
	c := &h.certified
	c.mu.Lock()
	var fresh []*types.Transaction
	for _, tx := range txs {
		if !c.on {
			break
		}
		hash := tx.Hash()
		if _, ok := c.seen[hash]; ok {
			continue
		}
		fresh = append(fresh, tx)
		c.seen[hash], c.queue = struct{}{}, append(c.queue, hash)
		if len(c.queue) > maxSeen {
			delete(c.seen, c.queue[0])
			c.queue = c.queue[1:]
		}
	}
	c.mu.Unlock()
	if len(fresh) > 0 {
		h.publish(hubEvent{certified: fresh})
	}
}

// followPending announces what the pending block takes in, until quit is closed.
func (h *hub) followPending(e EVM, quit <-chan struct{}) {
	select {
	case <-h.certified.wanted:
	case <-quit:
		return
	}
	retry := time.NewTicker(100 * time.Millisecond)
	defer retry.Stop()
	for {
		var again <-chan time.Time
		pending, changed, err := e.Pending()
		if err != nil {
			again = retry.C // the chain is closing, as a rule
		} else {
			block, _ := pending.Block()
			h.announce(block.Transactions())
		}
		select {
		case <-changed:
		case <-again:
		case <-quit:
			return
		}
	}
}
