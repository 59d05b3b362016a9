package ordorpc

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/big"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/ordo-network/ordo/gateway"
)

// Account is what Decode says, as a transaction's Note, of who sends it, where the
// rollup's client is Ethereum's: then the door holds it against the account's state.
type Account struct {
	Address string // 0x and lower-case hex
	Nonce   uint64
	Cost    *big.Int // the most that it can cost
}

// accounts knows the nonces of what was accepted here and has not ended. What it knows
// it could read from the gateway; it keeps it by account.
type accounts struct {
	gateway *gateway.Gateway
	client  *rpc.Client

	senders [64]sync.Mutex // one transaction of a sender is judged at a time
	turns   turns          // those that others must come before

	mu   sync.Mutex
	held map[string]map[uint64][32]byte
	n    int
}

const (
	// maxNonces bounds the transactions that are known by account; the gateway holds no
	// more at a time.
	maxNonces = 1 << 17
	// askTimeout bounds the questions that one transaction costs the client.
	askTimeout = 2 * time.Second
)

// newAccounts takes up what the gateway holds.
func newAccounts(g *gateway.Gateway, client *rpc.Client, decode func([]byte) (gateway.Tx, error), patience time.Duration) *accounts {
	a := &accounts{gateway: g, client: client, turns: turns{patience: patience}, held: make(map[string]map[uint64][32]byte)}
	for _, txs := range g.Content() {
		for _, tx := range txs {
			if known, err := decode(tx.Raw); err == nil {
				if from, ok := known.Note.(Account); ok {
					a.put(from, known.Hash)
				}
			}
		}
	}
	return a
}

// lock keeps other transactions of the sender out.
func (a *accounts) lock(address string) (unlock func()) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(address)) // never fails
	m := &a.senders[h.Sum32()%uint32(len(a.senders))]
	m.Lock()
	return m.Unlock
}

func (a *accounts) put(from Account, hash [32]byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.n >= maxNonces {
		for address := range a.held {
			a.prune(address)
		}
	}
	if a.held[from.Address] == nil {
		a.held[from.Address] = make(map[uint64][32]byte)
	}
	if _, ok := a.held[from.Address][from.Nonce]; !ok {
		a.n++
	}
	a.held[from.Address][from.Nonce] = hash
	next := from.Nonce + 1
	for a.held[from.Address][next] != ([32]byte{}) {
		next++
	}
	a.turns.taken(from.Address, next)
}

// prune forgets what has ended.
func (a *accounts) prune(address string) {
	for nonce, hash := range a.held[address] {
		_, st, ok := a.gateway.Get(hash)
		if !ok || st.Phase != gateway.PhaseQueued && st.Phase != gateway.PhaseInFlight {
			delete(a.held[address], nonce)
			a.n--
		}
	}
	if len(a.held[address]) == 0 {
		delete(a.held, address)
	}
}

// next returns the first nonce from the executed ones on that nothing held has taken, and
// what holds a nonce.
func (a *accounts) next(address string, executed, nonce uint64) (next uint64, holds [32]byte, taken bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.prune(address)
	for next = executed; ; next++ {
		if _, ok := a.held[address][next]; !ok {
			break
		}
	}
	holds, taken = a.held[address][nonce]
	return next, holds, taken
}

// executed asks the client for an account's nonce.
func (a *accounts) executed(ctx context.Context, address string) (uint64, error) {
	var n hexutil.Uint64
	err := a.client.CallContext(ctx, &n, "eth_getTransactionCount", address, "latest")
	return uint64(n), err
}

// judge refuses what the client would not apply as things stand, in geth's words. While
// the client does not answer, nothing is known that speaks against a transaction.
func (a *accounts) judge(ctx context.Context, from Account, hash [32]byte) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	executed, err := a.executed(ctx, from.Address)
	if err != nil {
		return nil
	}
	next, holds, taken := a.next(from.Address, executed, from.Nonce)
	switch {
	case taken && holds == hash:
		return nil // known: it is answered as before
	case from.Nonce < executed:
		return fmt.Errorf("nonce too low: next nonce %d, tx nonce %d", executed, from.Nonce)
	case taken:
		return fmt.Errorf("replacement transaction underpriced: transaction %s with nonce %d is being ordered", Hash(holds), from.Nonce)
	case from.Nonce > next:
		return &gap{next: next, nonce: from.Nonce}
	}
	var balance hexutil.Big
	if err := a.client.CallContext(ctx, &balance, "eth_getBalance", from.Address, "latest"); err == nil && from.Cost != nil && balance.ToInt().Cmp(from.Cost) < 0 {
		return fmt.Errorf("insufficient funds for gas * price + value: balance %s, tx cost %s", balance.ToInt(), from.Cost)
	}
	return nil
}

// gap is the error for a nonce that others must come before.
type gap struct{ next, nonce uint64 }

// Error implements error.
func (g *gap) Error() string {
	return fmt.Sprintf("nonce too high: next nonce %d, tx nonce %d; send those before it first", g.next, g.nonce)
}

// GetTransactionCount counts, for the pending tag, what was accepted without gap after
// what is executed. All else is the client's to say.
func (e *ethereum) GetTransactionCount(ctx context.Context, address string, at *any) (*hexutil.Uint64, error) {
	if e.accounts == nil {
		return nil, errors.New("no client_rpc is set, which accounts are read from")
	}
	var n hexutil.Uint64
	if at == nil || *at != any("pending") {
		args := []any{address}
		if at != nil {
			args = append(args, *at)
		}
		err := e.client.CallContext(ctx, &n, "eth_getTransactionCount", args...)
		return &n, err
	}
	executed, err := e.accounts.executed(ctx, address)
	if err != nil {
		return nil, err
	}
	next, _, _ := e.accounts.next(strings.ToLower(address), executed, 0)
	n = hexutil.Uint64(next)
	return &n, nil
}

// Accounts are none: there are no keys in this node.
func (e *ethereum) Accounts() []string { return []string{} }

// submit accepts a transaction that its account's state says nothing against.
func (e *ethereum) submit(ctx context.Context, raw []byte) ([32]byte, error) {
	tx, err := e.api.Decode(raw)
	if err != nil {
		return tx.Hash, err
	}
	from, ok := tx.Note.(Account)
	if !ok || e.accounts == nil {
		return e.api.Submit(ctx, raw)
	}
	a := e.accounts
	unlock := a.lock(from.Address)
	defer func() { unlock() }()
	err = a.judge(ctx, from, tx.Hash)
	if ahead := (*gap)(nil); errors.As(err, &ahead) {
		if its, l, ok := a.turns.enter(from.Address, from.Nonce); ok {
			unlock()
			came := a.turns.wait(ctx, its, l)
			a.turns.leave(from.Address, from.Nonce, its, l, came || ctx.Err() != nil) // who left has not waited in vain
			unlock = a.lock(from.Address)
			if ctx.Err() != nil {
				return tx.Hash, err
			}
			// Those before it may also have come in by another door.
			err = a.judge(ctx, from, tx.Hash)
		}
	}
	if err != nil {
		return tx.Hash, err
	}
	hash, err := e.api.Submit(ctx, raw)
	if err == nil {
		e.accounts.put(from, hash)
	}
	return hash, err
}
