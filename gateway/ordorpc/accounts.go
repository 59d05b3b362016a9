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

	mu     sync.Mutex
	held   map[string]*held
	n      int       // nonces held
	looked time.Time // at all of them
}

const (
	// maxNonces is how many transactions are known by account before it is looked which of
	// them have ended.
	maxNonces = 1 << 17
	// askTimeout bounds the questions that one transaction costs the client.
	askTimeout = 2 * time.Second
)

// newAccounts takes up what the gateway holds.
func newAccounts(g *gateway.Gateway, client *rpc.Client, decode func([]byte) (gateway.Tx, error), patience time.Duration) *accounts {
	a := &accounts{gateway: g, client: client, turns: turns{patience: patience}, held: make(map[string]*held)}
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
	if now := time.Now(); a.n >= maxNonces && now.Sub(a.looked) >= lookEvery {
		a.looked = now
		for address, h := range a.held {
			a.change(address, h, func() { h.look(a.phase, now) })
		}
	}
	h := a.held[from.Address]
	if h == nil {
		h = newHeld()
		a.held[from.Address] = h
	}
	a.change(from.Address, h, func() { h.put(from.Nonce, hash) })
	a.turns.taken(from.Address, h.after(from.Nonce+1))
}

// change keeps count of what is held, and forgets an account of which nothing is.
func (a *accounts) change(address string, h *held, do func()) {
	before := len(h.hashes)
	do()
	a.n += len(h.hashes) - before
	if len(h.hashes) == 0 {
		delete(a.held, address)
	}
}

func (a *accounts) phase(hash [32]byte) gateway.Phase {
	_, st, _ := a.gateway.Get(hash)
	return st.Phase
}

// nonces are those of an account.
type nonces struct {
	executed uint64   // the first that the client has not executed
	next     uint64   // the first from there on that is not held
	holder   [32]byte // of the nonce that was asked about; zero for none
}

// nonces asks the client.
func (a *accounts) nonces(ctx context.Context, address string, nonce uint64) (n nonces, err error) {
	var executed hexutil.Uint64
	if err := a.client.CallContext(ctx, &executed, "eth_getTransactionCount", address, "latest"); err != nil {
		return n, err
	}
	n.executed = uint64(executed)
	a.mu.Lock()
	defer a.mu.Unlock()
	h := a.held[address]
	if h == nil {
		n.next = n.executed
		return n, nil
	}
	a.change(address, h, func() {
		h.passed(n.executed)
		h.lookSometimes(a.phase, time.Now())
		if hash, ok := h.hashes[nonce]; ok {
			if p := a.phase(hash); p == gateway.PhaseDropped || p == 0 {
				h.forget(nonce)
			}
		}
	})
	return nonces{executed: h.executed, next: h.next, holder: h.hashes[nonce]}, nil
}

// judge refuses what the client would not apply as things stand, in geth's words. While
// the client does not answer, nothing is known that speaks against a transaction.
func (a *accounts) judge(ctx context.Context, from Account, hash [32]byte) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	n, err := a.nonces(ctx, from.Address, from.Nonce)
	if err != nil {
		return nil
	}
	switch {
	case n.holder == hash:
		return nil // known: it is answered as before
	case from.Nonce < n.executed:
		return fmt.Errorf("nonce too low: next nonce %d, tx nonce %d", n.executed, from.Nonce)
	case n.holder != [32]byte{}:
		return fmt.Errorf("replacement transaction underpriced: transaction %s with nonce %d is being ordered", Hash(n.holder), from.Nonce)
	case from.Nonce > n.next:
		return &gap{next: n.next, nonce: from.Nonce}
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
	if at == nil || *at != any("pending") {
		var n hexutil.Uint64
		args := []any{address}
		if at != nil {
			args = append(args, *at)
		}
		err := e.client.CallContext(ctx, &n, "eth_getTransactionCount", args...)
		return &n, err
	}
	n, err := e.accounts.nonces(ctx, strings.ToLower(address), 0)
	if err != nil {
		return nil, err
	}
	return (*hexutil.Uint64)(&n.next), nil
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
