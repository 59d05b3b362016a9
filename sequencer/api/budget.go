package api

import (
	"context"
	"net/netip"
	"sync"
)

const (
	// budgetBytes bounds the legs' data that is on its way to clients.
	budgetBytes = 512 << 20
	// proofBytes bounds the proofs of void batches that are on their way to clients. They
	// are apart from the data, and taken when a block's turn has come: who holds them is
	// writing, and waits for nobody who waits for them.
	proofBytes = 256 << 20
	// partsBytes bounds what blocks take without their data on the way to clients that read
	// many rollups: also where a block has nothing for a rollup, that is proven. It is taken
	// before the data, and who holds data waits for no parts.
	partsBytes = 256 << 20
	// partBytes is about what one rollup's part takes, as a message and encoded.
	partBytes = 2 << 10
	// smallData is what costs no budget: the limits on calls bound it.
	smallData = 64 << 10
)

// budget is memory that calls share. A reader that takes its data slowly holds its part
// for as long as it keeps the deadline of each write, so no client has more than its share.
type budget struct {
	limit, clientMost int64

	mu       sync.Mutex
	used     int64
	byClient map[netip.Prefix]int64 // those with none are not in it
	freed    chan struct{}          // closed when something is given back
}

func newBudget(limit int64, share int) *budget {
	return &budget{limit: limit, clientMost: max(limit/int64(share), 1), byClient: make(map[netip.Prefix]int64), freed: make(chan struct{})}
}

// take waits for n bytes and returns how to give them back. What is more than a client
// may have counts as all that it may have.
func (b *budget) take(ctx context.Context, client netip.Prefix, n int64) (release func(), err error) {
	if n <= smallData {
		return func() {}, nil
	}
	n = min(n, b.clientMost)
	for {
		b.mu.Lock()
		if b.used+n <= b.limit && b.byClient[client]+n <= b.clientMost {
			b.used += n
			b.byClient[client] += n
			b.mu.Unlock()
			return sync.OnceFunc(func() { b.give(client, n) }), nil
		}
		freed := b.freed
		b.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-freed:
		}
	}
}

func (b *budget) give(client netip.Prefix, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	if b.byClient[client] -= n; b.byClient[client] == 0 {
		delete(b.byClient, client)
	}
	close(b.freed)
	b.freed = make(chan struct{})
}
