package peers

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/mempool"
	"github.com/cometbft/cometbft/node"
	cmttypes "github.com/cometbft/cometbft/types"
)

// Paths of a validator's door.
const (
	pathSubmit = "/submit" // POST: a transaction, as it is
	pathBlocks = "/blocks" // GET: a stream of blocks, from now on
	pathHeads  = "/heads"  // GET: a stream of heights, from now on
	pathHeight = "/height" // GET: the last height, in decimal
)

// maxTxBytes is above all transactions of a benchmark.
const maxTxBytes = 2 << 20

// door is where clients of a validator come: CometBFT's RPC less the JSON, which
// would cost a large part of what is measured.
type door struct{ node *node.Node }

func (d *door) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+pathSubmit, d.submit)
	mux.HandleFunc("GET "+pathBlocks, d.blocks)
	mux.HandleFunc("GET "+pathHeads, d.heads)
	mux.HandleFunc("GET "+pathHeight, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strconv.FormatInt(d.node.BlockStore().Height(), 10)) // the client is gone
	})
	return mux
}

// submit answers when the transaction is in the mempool.
func (d *door) submit(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength <= 0 || r.ContentLength > maxTxBytes {
		http.Error(w, fmt.Sprintf("a transaction of %d bytes, want 1 to %d", r.ContentLength, maxTxBytes), http.StatusBadRequest)
		return
	}
	tx := make(cmttypes.Tx, r.ContentLength)
	if _, err := io.ReadFull(r.Body, tx); err != nil {
		http.Error(w, "read transaction: "+err.Error(), http.StatusBadRequest)
		return
	}
	done := make(chan *abci.ResponseCheckTx, 1)
	err := d.node.Mempool().CheckTx(tx, func(res *abci.ResponseCheckTx) { done <- res }, mempool.TxInfo{})
	full := mempool.ErrMempoolIsFull{}
	switch {
	case errors.As(err, &full):
		http.Error(w, err.Error(), http.StatusTooManyRequests)
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	default:
		select {
		case <-done:
		case <-r.Context().Done():
		}
	}
}

// blocks streams each block and the commit that decided it, each behind its length.
func (d *door) blocks(w http.ResponseWriter, r *http.Request) {
	d.stream(w, r, func(b *cmttypes.Block) ([]byte, error) {
		block, err := b.ToProto()
		if err != nil {
			return nil, err
		}
		commit := d.node.BlockStore().LoadSeenCommit(b.Height)
		if commit == nil {
			return nil, fmt.Errorf("no commit of height %d", b.Height)
		}
		seen := commit.ToProto()
		out := make([]byte, 0, block.Size()+seen.Size()+8)
		for _, m := range []interface {
			Size() int
			MarshalTo([]byte) (int, error)
		}{block, seen} {
			out = binary.BigEndian.AppendUint32(out, uint32(m.Size()))
			n, err := m.MarshalTo(out[len(out) : len(out)+m.Size()])
			if err != nil {
				return nil, err
			}
			out = out[:len(out)+n]
		}
		return out, nil
	})
}

// heads streams the height of each block, 8 bytes.
func (d *door) heads(w http.ResponseWriter, r *http.Request) {
	d.stream(w, r, func(b *cmttypes.Block) ([]byte, error) {
		return binary.BigEndian.AppendUint64(nil, uint64(b.Height)), nil
	})
}

// streamBuffer is how many blocks a reader may be late.
const streamBuffer = 256

func (d *door) stream(w http.ResponseWriter, r *http.Request, encode func(*cmttypes.Block) ([]byte, error)) {
	ctx, bus := r.Context(), d.node.EventBus()
	name := r.URL.Path + " of " + r.RemoteAddr
	sub, err := bus.Subscribe(ctx, name, cmttypes.EventQueryNewBlock, streamBuffer)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer func() { _ = bus.UnsubscribeAll(ctx, name) }() // gone where the bus has stopped
	flush := http.NewResponseController(w)
	if flush.Flush() != nil {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-sub.Canceled():
			return
		case msg := <-sub.Out():
			event, ok := msg.Data().(cmttypes.EventDataNewBlock)
			if !ok {
				return
			}
			raw, err := encode(event.Block)
			if err != nil {
				return // the client sees that the stream ends
			}
			if _, err := w.Write(raw); err != nil || flush.Flush() != nil {
				return
			}
		}
	}
}
