// Package account records claims on the sequencer chain with the money of an account.
//
// In come claims, out goes the height of the block that has them. Transactions of one
// account go one after the other, each after the block of the one before. That a block has
// the claims is believed where another node shows them than the one that said so. What an error
// leaves open is told by its class: a claim that is recorded twice harms nobody.
package account

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"

	sdked25519 "github.com/cosmos/cosmos-sdk/crypto/keys/ed25519"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	"google.golang.org/protobuf/proto"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/sequencer/app"
	"github.com/ordo-network/ordo/sequencer/availability"
	availabilityv1 "github.com/ordo-network/ordo/sequencer/availability/v1"
	"github.com/ordo-network/ordo/sequencer/claims"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
)

const (
	// DefaultGasPrice is what nodes ask for by their own default, in uordo.
	DefaultGasPrice = 0.001
	// maxGasPrice is the most that is paid where nodes ask for more than expected.
	maxGasPrice = 1
	// maxTxBytes is below what nodes take in.
	maxTxBytes = 900 << 10
	// maxGas is below what a block of the default parameters holds.
	maxGas = 45_000_000
	// callTimeout is above what a node waits for a block.
	callTimeout = 40 * time.Second
	// maxAnswerBytes bounds an answer: what one block can record is the largest, twice.
	maxAnswerBytes = 16 << 20
)

// Gas of a transaction: what package availability charges for its claims, and of the rest
// about twice of what is ordinary. One that runs out of it is sent again with more: claims
// that others made may be more than a few, or have to give way.
const (
	txGas       = 120_000
	claimGas    = availability.RecordGas + availability.LookGas + 32*availability.ListedGas
	gasPerByte  = availability.ByteGas + 20
	txOverhead  = 1 << 10
	msgOverhead = 128
)

// Options are what an account works with.
type Options struct {
	// Endpoints are APIs of sequencer nodes, at least one, such as http://127.0.0.1:26602.
	Endpoints []string
	Key       ed25519.PrivateKey
	// ChainID is that of the genesis that is trusted. Empty: what a node says, of that node.
	ChainID string
	// GasPrice is what is paid for gas at first, in uordo; 0: DefaultGasPrice. Where all
	// nodes that answer ask for more, more is paid for that transaction.
	GasPrice   float64
	HTTPClient *http.Client // nil: one of its own
	Logger     *slog.Logger // may be nil
}

// Account records claims. It implements claims.Claimer and is safe for concurrent use.
type Account struct {
	opts    Options
	enc     *app.Encoding
	key     *sdked25519.PrivKey
	address sdk.AccAddress
	nodes   []sequencerv1connect.SequencerServiceClient

	mu       sync.Mutex // held from the sequence to the block
	current  int        // of nodes
	sequence uint64     // not below this one
	paid     float64    // price of the last transaction
}

var _ claims.Claimer = (*Account)(nil)

// New returns the account of the key. It asks nothing of the nodes yet.
func New(o Options) (*Account, error) {
	switch {
	case len(o.Endpoints) == 0:
		return nil, errors.New("account: no sequencer node is named")
	case len(o.Key) != ed25519.PrivateKeySize:
		return nil, fmt.Errorf("account: the key has %d bytes, want %d", len(o.Key), ed25519.PrivateKeySize)
	case math.IsNaN(o.GasPrice) || o.GasPrice < 0 || o.GasPrice > maxGasPrice:
		return nil, fmt.Errorf("account: gas price %v, want 0 to %v", o.GasPrice, maxGasPrice)
	}
	if o.GasPrice == 0 {
		o.GasPrice = DefaultGasPrice
	}
	if o.HTTPClient == nil {
		o.HTTPClient = &http.Client{Timeout: callTimeout}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	enc, err := app.NewEncoding()
	if err != nil {
		return nil, fmt.Errorf("account: %w", err)
	}
	a := &Account{opts: o, enc: enc, key: &sdked25519.PrivKey{Key: o.Key}, paid: o.GasPrice}
	a.address = sdk.AccAddress(a.key.PubKey().Address())
	for _, e := range o.Endpoints {
		a.nodes = append(a.nodes, sequencerv1connect.NewSequencerServiceClient(o.HTTPClient, e, connect.WithReadMaxBytes(maxAnswerBytes)))
	}
	return a, nil
}

// Address returns the account's address, such as "ordo1...".
func (a *Account) Address() string { return a.address.String() }

// Claim implements claims.Claimer.
func (a *Account) Claim(ctx context.Context, list []da.Claim) (uint64, error) {
	msgs, gas, err := a.messages(list)
	if err != nil {
		return 0, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	ask := make([]int, len(a.nodes))
	for i := range ask {
		ask[i] = (a.current + i) % len(a.nodes)
	}
	var errs []error
	for price := a.opts.GasPrice; len(ask) > 0 && price <= maxGasPrice; price *= 4 {
		var more []int // nodes that ask for more
		taken := false
		for _, at := range ask {
			height, err := a.send(ctx, a.nodes[at], msgs, gas, price)
			if err == nil {
				taken = true
				err = a.seen(ctx, at, height, list)
			}
			if err == nil {
				a.current = at
				a.pays(price)
				return height, nil
			}
			if !errors.Is(err, da.ErrUnavailable) || errors.Is(err, claims.ErrNoRoom) || ctx.Err() != nil {
				a.current = (at + 1) % len(a.nodes) // it may not be true
				return 0, err
			}
			errs = append(errs, fmt.Errorf("sequencer node %s: %w", a.opts.Endpoints[at], err))
			if errors.Is(err, errFee) {
				more = append(more, at)
			}
		}
		if ask = more; taken {
			break // it may be there: no more is paid for it now
		}
	}
	return 0, errors.Join(errs...)
}

// pays says where the price changes.
func (a *Account) pays(price float64) {
	if price != a.paid {
		a.opts.Logger.Info("the gas price of claims changes with what sequencer nodes ask for", "before", a.paid, "now", price)
	}
	a.paid = price
}

// messages returns the messages of one transaction, and the gas that they may take.
// Errors: da.ErrRejected, da.ErrTooLarge.
func (a *Account) messages(list []da.Claim) ([]sdk.Msg, uint64, error) {
	if len(list) == 0 {
		return nil, 0, fmt.Errorf("%w: no claims", da.ErrRejected)
	}
	var msgs []sdk.Msg
	size := txOverhead
	for len(list) > 0 {
		n := min(len(list), availability.MaxMessageClaims)
		m := &availabilityv1.MsgClaim{Relayer: a.Address()}
		for _, c := range list[:n] {
			raw, err := proto.Marshal(claims.ToProto(c))
			if err != nil {
				return nil, 0, fmt.Errorf("%w: encode claim: %w", da.ErrRejected, err)
			}
			claim := new(availabilityv1.Claim)
			if err := claim.Unmarshal(raw); err != nil {
				return nil, 0, fmt.Errorf("%w: encode claim: %w", da.ErrRejected, err)
			}
			if err := availability.CheckClaim(claim); err != nil {
				return nil, 0, fmt.Errorf("%w: claim about blocks %d to %d of rollup %x: %w", da.ErrRejected, c.From, c.To, c.Rollup, err)
			}
			m.Claims = append(m.Claims, claim)
		}
		list = list[n:]
		msgs = append(msgs, m)
		size += m.Size() + msgOverhead
	}
	var count, parts int
	for _, m := range msgs {
		for _, c := range m.(*availabilityv1.MsgClaim).Claims {
			count, parts = count+1, parts+len(c.Parts)
		}
	}
	gas := uint64(txGas + claimGas*count + availability.PartGas*parts + gasPerByte*size)
	if size > maxTxBytes || gas > maxGas {
		return nil, 0, fmt.Errorf("%d claims of %d bytes do not fit into one transaction of the sequencer chain: %w", count, size, da.ErrTooLarge)
	}
	return msgs, gas, nil
}

// send signs and submits a transaction, and waits for its block.
// Errors: da.ErrRejected, da.ErrUnavailable.
func (a *Account) send(ctx context.Context, node sequencerv1connect.SequencerServiceClient, msgs []sdk.Msg, gas uint64, price float64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for {
		raw, sequence, err := a.sign(ctx, node, msgs, gas, price)
		if err != nil {
			return 0, err
		}
		res, err := node.SubmitTransaction(ctx, connect.NewRequest(&v1.SubmitTransactionRequest{Transaction: raw}))
		if err != nil {
			return 0, fmt.Errorf("%w: submit claims: %w", da.ErrUnavailable, err)
		}
		m := res.Msg
		if m.GetHeight() > 0 { // it counts, even if it failed
			a.sequence = sequence + 1
		}
		switch {
		case m.GetCode() == 0 && m.GetHeight() == 0:
			return 0, fmt.Errorf("%w: submit claims: the node's answer makes no sense", da.ErrUnavailable)
		case m.GetCode() == 0:
			return m.Height, nil
		case is(m, sdkerrors.ErrInsufficientFee.Codespace(), sdkerrors.ErrInsufficientFee.ABCICode()):
			return 0, fmt.Errorf("%w: %w than %v uordo: %s (code %d of %s)", da.ErrUnavailable, errFee, price, m.Log, m.Code, m.Codespace)
		case is(m, sdkerrors.ErrOutOfGas.Codespace(), sdkerrors.ErrOutOfGas.ABCICode()):
			if gas *= 2; gas > maxGas {
				return 0, fmt.Errorf("%w for one transaction of the sequencer chain: %s", da.ErrTooLarge, m.Log)
			}
			continue
		case is(m, availability.ModuleName, availability.CodeClaim):
			return 0, fmt.Errorf("%w: %s", da.ErrRejected, m.Log)
		case is(m, availability.ModuleName, availability.CodeNoRoom):
			return 0, fmt.Errorf("%w: %w: %s", da.ErrUnavailable, claims.ErrNoRoom, m.Log)
		case is(m, sdkerrors.ErrWrongSequence.Codespace(), sdkerrors.ErrWrongSequence.ABCICode()):
			a.sequence = 0 // what was counted here is of no use
		}
		return 0, fmt.Errorf("%w: the sequencer chain refuses the claims of %s: %s (code %d of %s)", da.ErrUnavailable, a.Address(), m.Log, m.Code, m.Codespace)
	}
}

var errFee = errors.New("the sequencer chain asks for a higher gas price")

func is(m *v1.SubmitTransactionResponse, codespace string, code uint32) bool {
	return m.GetCodespace() == codespace && m.GetCode() == code
}

// sign returns the transaction, signed for the account as the node knows it, and its sequence.
func (a *Account) sign(ctx context.Context, node sequencerv1connect.SequencerServiceClient, msgs []sdk.Msg, gas uint64, price float64) (raw []byte, sequence uint64, err error) {
	chainID := a.opts.ChainID
	if chainID == "" {
		info, err := node.GetInfo(ctx, connect.NewRequest(&v1.GetInfoRequest{}))
		if err != nil {
			return nil, 0, fmt.Errorf("%w: read the chain's ID: %w", da.ErrUnavailable, err)
		}
		chainID = info.Msg.GetChainId()
	}
	state, err := node.GetAccount(ctx, connect.NewRequest(&v1.GetAccountRequest{Address: a.Address()}))
	if err != nil {
		return nil, 0, fmt.Errorf("%w: read account %s: %w", da.ErrUnavailable, a.Address(), err)
	}
	// The node may not have written the state of the last block yet.
	sequence = max(a.sequence, state.Msg.GetSequence())
	fee := uint64(math.Ceil(float64(gas) * price))
	b := a.enc.TxConfig.NewTxBuilder()
	if err := b.SetMsgs(msgs...); err != nil {
		return nil, 0, fmt.Errorf("%w: make transaction: %w", da.ErrRejected, err)
	}
	b.SetGasLimit(gas)
	b.SetFeeAmount(sdk.NewCoins(app.Coin(fee)))
	if err := app.SignTx(a.enc, b, chainID, a.key, state.Msg.GetAccountNumber(), sequence); err != nil {
		return nil, 0, fmt.Errorf("%w: make transaction: %w", da.ErrRejected, err)
	}
	raw, err = a.enc.TxConfig.TxEncoder()(b.GetTx())
	if err != nil {
		return nil, 0, fmt.Errorf("%w: make transaction: %w", da.ErrRejected, err)
	}
	return raw, sequence, nil
}
