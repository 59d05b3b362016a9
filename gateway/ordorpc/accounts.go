package ordorpc

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
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

// nonces are those of an account.
type nonces struct {
	executed uint64              // the first that the client has not executed
	held     map[uint64][32]byte // what was accepted here and has not ended
	next     uint64              // the first from executed on that is not held
}

// nonces asks the client. What is held is read before: what ends meanwhile is executed by then. The other way round
// it would be neither, and all behind it seem to lack one.
func (a *accounts) nonces(ctx context.Context, address string) (nonces, error) {
	a.mu.Lock()
	a.prune(address)
	n := nonces{held: maps.Clone(a.held[address])}
	a.mu.Unlock()
	var executed hexutil.Uint64
	if err := a.client.CallContext(ctx, &executed, "eth_getTransactionCount", address, "latest"); err != nil {
		return n, err
	}
	n.executed, n.next = uint64(executed), uint64(executed)
	for n.held[n.next] != ([32]byte{}) {
		n.next++
	}
	return n, nil
}

// judge refuses what the client would not apply as things stand, in geth's words. While
// the client does not answer, nothing is known that speaks against a transaction.
func (a *accounts) judge(ctx context.Context, from Account, hash [32]byte) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	n, err := a.nonces(ctx, from.Address)
	if err != nil {
		return nil
	}
	holds, taken := n.held[from.Nonce]
	switch {
	case taken && holds == hash:
		return nil // known: it is answered as before
	case from.Nonce < n.executed:
		return fmt.Errorf("nonce too low: next nonce %d, tx nonce %d", n.executed, from.Nonce)
	case taken:
		return fmt.Errorf("replacement transaction underpriced: transaction %s with nonce %d is being ordered", Hash(holds), from.Nonce)
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
	n, err := e.accounts.nonces(ctx, strings.ToLower(address))
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
