package ordorpc

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/ordo-network/ordo/execution/terms"
	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/order"
)

// Number is a number in JSON, or a hex quantity.
type Number uint64

// UnmarshalJSON implements json.Unmarshaler.
func (n *Number) UnmarshalJSON(raw []byte) error {
	if v, err := strconv.ParseUint(string(raw), 10, 64); err == nil {
		*n = Number(v)
		return nil
	}
	var q hexutil.Uint64
	if err := json.Unmarshal(raw, &q); err != nil {
		return fmt.Errorf("%s is neither a number from 0 nor a hex quantity", raw)
	}
	*n = Number(q)
	return nil
}

// BundleArgs are the parameters of ordo_sendBundle.
type BundleArgs struct {
	Legs []LegArgs `json:"legs"`
	// AllOrNothing asks that the transactions of all legs are applied, or none is. Over
	// several rollups that is for those of one domain, which are executed together.
	AllOrNothing bool `json:"allOrNothing"`
	// Bounds on this rollup's block and its time in seconds since 1970; 0 is no bound.
	MinBlock     Number `json:"minBlock"`
	MaxBlock     Number `json:"maxBlock"`
	MinTimestamp Number `json:"minTimestamp"`
	MaxTimestamp Number `json:"maxTimestamp"`
	// Replacement names the bundle for whoever sends another in its place, or cancels it:
	// anybody who knows it can, so it should be random.
	Replacement string `json:"replacement"`
}

// LegArgs is one leg of a bundle.
type LegArgs struct {
	Rollup       string          `json:"rollup"` // name, or ID in hex after 0x
	Transactions []hexutil.Bytes `json:"transactions"`
	// RevertingTxHashes are transactions of the leg that may revert. Where it is given, be
	// it empty, the leg is applied as one: all other transactions must apply and none of
	// them may revert.
	RevertingTxHashes *[]Hash `json:"revertingTxHashes"`
}

// ID returns the ID of the leg's rollup.
func (l LegArgs) id() (order.RollupID, error) {
	if !strings.HasPrefix(l.Rollup, "0x") {
		if l.Rollup == "" {
			return order.RollupID{}, errors.New("no rollup: want its name, or its ID after 0x")
		}
		return order.NewRollupID(l.Rollup), nil
	}
	b, err := hexutil.Decode(l.Rollup)
	if err != nil {
		return order.RollupID{}, fmt.Errorf("rollup ID %q: %w", l.Rollup, err)
	}
	return order.RollupIDFromBytes(b)
}

// minReplacement keeps names from being guessed.
const minReplacement = 16

// SendBundle takes a bundle over one or more rollups, of which this one is one: all of
// it is ordered together and next to each other, or not at all. It returns the reference
// that ordo_bundleStatus takes; the same bundle has the same.
func (a *api) SendBundle(ctx context.Context, args BundleArgs) (Hash, error) {
	if a.MaySendBundle != nil {
		if err := a.MaySendBundle(ctx); err != nil {
			return Hash{}, err
		}
	}
	b, err := a.bundle(args)
	if err != nil {
		return Hash{}, invalidParams{err.Error()}
	}
	return AdmitBundle(ctx, a.Gateway, b)
}

func (a *api) bundle(args BundleArgs) (b gateway.Bundle, err error) {
	switch {
	case len(args.Legs) == 0 || len(args.Legs) > order.MaxLegs:
		return b, fmt.Errorf("bundle has %d legs, want 1 to %d", len(args.Legs), order.MaxLegs)
	case args.Replacement != "" && len(args.Replacement) < minReplacement:
		return b, fmt.Errorf("replacement has %d characters, want %d or more that nobody can guess", len(args.Replacement), minReplacement)
	}
	info := a.Order.Info()
	b.Position = -1
	var own *terms.Terms
	seen := make(map[order.RollupID]bool)
	for i, leg := range args.Legs {
		id, err := leg.id()
		if err != nil {
			return b, fmt.Errorf("leg %d: %w", i, err)
		}
		if seen[id] {
			return b, fmt.Errorf("leg %d: a second leg of rollup %s; put its transactions into one", i, leg.Rollup)
		}
		seen[id] = true
		if len(leg.Transactions) == 0 {
			return b, fmt.Errorf("leg %d: no transactions", i)
		}
		t, err := args.terms(leg, id == info.RollupID)
		if err != nil {
			return b, fmt.Errorf("leg %d: %w", i, err)
		}
		if id != info.RollupID {
			b.Others = append(b.Others, foreign(id, t, leg.Transactions))
			continue
		}
		b.Position, own = i, t
		for j, raw := range leg.Transactions {
			tx, err := a.decode(raw)
			if err != nil {
				return b, fmt.Errorf("leg %d (rollup %s), transaction %d (%s): %w; want it signed and encoded as the rollup's wallet sends it alone: put that in its place and send the bundle again",
					i, leg.Rollup, j, abridged(raw), err)
			}
			b.Txs = append(b.Txs, tx)
		}
	}
	switch {
	case b.Position < 0:
		return b, fmt.Errorf("no leg is for this rollup, %s (0x%s): send the bundle to one whose rollup it has a leg for", info.Name, info.RollupID)
	case own != nil && !a.Terms:
		return b, fmt.Errorf("rollup %s does not know conditions: its transactions are applied one by one", info.Name)
	}
	if b, err = NewBundle(b, own); err != nil {
		return b, err
	}
	if args.Replacement != "" {
		b.Replacement = "open/" + args.Replacement
	}
	return b, nil
}

// abridged shows the beginning of what may be long.
func abridged(raw []byte) string {
	const most = 8
	if len(raw) <= most {
		return hexutil.Encode(raw)
	}
	return fmt.Sprintf("%s…, %d bytes", hexutil.Encode(raw[:most]), len(raw))
}

// decode reads a transaction of a bundle.
func (a *api) decode(raw []byte) (gateway.Tx, error) {
	if terms.Is(raw) {
		return gateway.Tx{}, errors.New("this is no transaction but terms, which are made here of what the bundle asks for")
	}
	return a.Decode(raw)
}

// terms returns the leg's conditions, nil for none.
func (b BundleArgs) terms(leg LegArgs, own bool) (*terms.Terms, error) {
	t := terms.Terms{AllOrNothing: b.AllOrNothing && len(b.Legs) > 1}
	asked := b.AllOrNothing || leg.RevertingTxHashes != nil
	if leg.RevertingTxHashes != nil {
		for _, h := range *leg.RevertingTxHashes {
			t.MayRevert = append(t.MayRevert, h)
		}
	}
	if own {
		t.MinBlock, t.MaxBlock = uint64(b.MinBlock), uint64(b.MaxBlock)
		t.MinTime, t.MaxTime = uint64(b.MinTimestamp), uint64(b.MaxTimestamp)
		asked = asked || t.MinBlock > 0 || t.MaxBlock > 0 || t.MinTime > 0 || t.MaxTime > 0
	}
	if !asked {
		return nil, nil
	}
	return &t, t.Check()
}

func foreign(id order.RollupID, t *terms.Terms, txs []hexutil.Bytes) order.Leg {
	leg := order.Leg{RollupID: id}
	if t != nil {
		leg.Transactions = append(leg.Transactions, t.Encode())
	}
	for _, raw := range txs {
		leg.Transactions = append(leg.Transactions, raw)
	}
	return leg
}

// NewBundle completes a bundle: what the terms of its own leg, which may be nil, say of
// blocks and times, the gateway keeps as well as it can, so that it does not pay for what
// would be left out; and its reference, which what it says alone makes up.
func NewBundle(b gateway.Bundle, t *terms.Terms) (gateway.Bundle, error) {
	if t != nil {
		if err := t.Check(); err != nil {
			return b, err
		}
		for _, h := range t.MayRevert {
			if !slices.ContainsFunc(b.Txs, func(tx gateway.Tx) bool { return tx.Hash == h }) {
				return b, fmt.Errorf("transaction 0x%x may revert, and is not in the bundle", h)
			}
		}
		b.Terms = t.Encode()
		b.FromBlock, b.UntilBlock = t.MinBlock, t.MaxBlock
		if t.MinTime > 0 {
			b.NotBefore = time.Unix(int64(min(t.MinTime, maxUnix)), 0)
		}
		if t.MaxTime > 0 {
			// To the end of the second: blocks count whole ones.
			b.NotAfter = time.Unix(int64(min(t.MaxTime, maxUnix)), 999_000_000)
		}
	}
	h := sha256.New()
	part := func(p []byte) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write(p)
	}
	part([]byte("ordo/bundle-ref/v1"))
	part(b.Terms)
	part(binary.BigEndian.AppendUint64(nil, uint64(b.Position)))
	part(binary.BigEndian.AppendUint64(nil, uint64(len(b.Txs))))
	for _, tx := range b.Txs {
		part(tx.Raw)
	}
	for _, leg := range b.Others {
		part(leg.RollupID[:])
		digest := order.LegDigest(leg.Transactions)
		part(digest[:])
	}
	b.Ref = [32]byte(h.Sum(nil))
	return b, nil
}

// maxUnix is far enough: the year 9999.
const maxUnix = 253_402_300_799

// maxAgain bounds how often one bundle is taken again after it was dropped.
const maxAgain = 64

// AdmitBundle hands a bundle in and returns its reference once it is on disk. One that
// is known is not taken twice; one that was dropped is taken again under a reference of its own.
func AdmitBundle(ctx context.Context, g *gateway.Gateway, b gateway.Bundle) (ref Hash, err error) {
	for range maxAgain {
		a, err := g.AdmitBundle(b)
		if err == nil {
			return Hash(b.Ref), a.Wait(ctx)
		}
		if !errors.Is(err, gateway.ErrKnown) {
			return Hash{}, err
		}
		if st, ok := g.Bundle(b.Ref); !ok || st.Phase != gateway.BundleDropped {
			return Hash(b.Ref), g.Flush(ctx)
		}
		b.Ref = sha256.Sum256(append([]byte("ordo/bundle-ref-again/v1"), b.Ref[:]...))
	}
	return Hash{}, errors.New("this bundle was dropped too often to be taken again for now")
}

// CancelArgs are the parameters of ordo_cancelBundle.
type CancelArgs struct {
	Replacement string `json:"replacement"`
}

// CancelBundle ends the bundle that was sent last under the name, where it was not sent
// on yet, and returns its reference.
func (a *api) CancelBundle(ctx context.Context, args CancelArgs) (Hash, error) {
	if len(args.Replacement) < minReplacement {
		return Hash{}, invalidParams{"replacement: want the name that the bundle was sent with"}
	}
	return Cancel(ctx, a.Gateway, "open/"+args.Replacement)
}

// Cancel ends the bundle that was handed in last under the name, where it was not sent on
// yet, and returns its reference.
func Cancel(ctx context.Context, g *gateway.Gateway, name string) (Hash, error) {
	ref, err := g.CancelReplacement(ctx, name)
	if errors.Is(err, gateway.ErrUnknown) {
		return Hash{}, errors.New("no bundle is known by this name: it was never sent here with one, or has ended long ago")
	}
	return Hash(ref), err
}
