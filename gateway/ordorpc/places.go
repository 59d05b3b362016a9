package ordorpc

import (
	"context"
	"fmt"
	"sync"

	"github.com/ethereum/go-ethereum/rpc"
)

const (
	// maxSubscriptions bounds those of all connections together.
	maxSubscriptions = 10_000
	// maxSubscriptionsEach bounds those of one connection, so that none has them all.
	maxSubscriptionsEach = 256
)

// Places bounds subscriptions: of a door, and of each of its connections. The zero value
// is ready.
type Places struct {
	mu   sync.Mutex
	all  int
	each map[*rpc.Client]int // by connection
}

// Enter takes a place for a subscription of the call that ctx is of; release, which is
// called once, gives it back. The error is for the caller of the door.
func (p *Places) Enter(ctx context.Context) (release func(), err error) {
	conn, _ := rpc.ClientFromContext(ctx) // nil outside of a connection, as in tests: one like others
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.each[conn] >= maxSubscriptionsEach:
		return nil, limitExceeded{fmt.Sprintf("this connection has %d subscriptions, the most that one may have: end some of them, or open another connection", p.each[conn])}
	case p.all >= maxSubscriptions:
		return nil, limitExceeded{"too many subscriptions of all connections together: try again later"}
	}
	if p.each == nil {
		p.each = make(map[*rpc.Client]int)
	}
	p.all++
	p.each[conn]++
	return func() { p.leave(conn) }, nil
}

func (p *Places) leave(conn *rpc.Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all--
	if p.each[conn]--; p.each[conn] == 0 {
		delete(p.each, conn)
	}
}

// limitExceeded is the error for what would be too much at once.
type limitExceeded struct{ msg string }

// Error implements error.
func (e limitExceeded) Error() string { return e.msg }

// ErrorCode implements rpc.Error: EIP-1474's limit exceeded.
func (limitExceeded) ErrorCode() int { return -32005 }
