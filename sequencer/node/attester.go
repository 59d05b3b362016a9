package node

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"slices"

	sdk "github.com/cosmos/cosmos-sdk/types"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"

	"github.com/ordo-network/ordo/keys"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/app"
	"github.com/ordo-network/ordo/sequencer/ordering"
	orderingv1 "github.com/ordo-network/ordo/sequencer/ordering/v1"
)

// Attester is what a home holds for its validator's part in dispersal.
type Attester struct {
	ChainID string
	Keys    keys.Attestation
	Address string // host:port of dispersal, for the chain
	API     string // URL, for the chain

	file string
}

// LoadAttester reads it from the node's home.
func LoadAttester(dir string) (*Attester, error) {
	h := home(dir)
	c, _, err := h.load()
	if err != nil {
		return nil, err
	}
	doc, err := h.genesisDoc()
	if err != nil {
		return nil, err
	}
	a := &Attester{ChainID: doc.ChainID, file: h.attestation()}
	if a.Address, a.API, err = c.contact(); err != nil {
		return nil, fmt.Errorf("%s: %w", h.ordo(), err)
	}
	a.Keys, err = h.attestationKeys()
	return a, err
}

// Message registers the newest key and where the node is reached.
func (a *Attester) Message(operator sdk.AccAddress) (*orderingv1.MsgSetAttester, error) {
	owner, err := order.OwnerFromBytes(operator)
	if err != nil {
		return nil, fmt.Errorf("operator %s: %w", operator, err)
	}
	key := a.Keys.Newest()
	return &orderingv1.MsgSetAttester{
		Operator: operator.String(), AttestationKey: key.Public().(ed25519.PublicKey), Address: a.Address, Api: a.API,
		Proof: ed25519.Sign(key, ordering.AttesterSignBytes(a.ChainID, owner)),
	}, nil
}

// Rotate puts a new key into the home, which the chain is then to be told of, and
// removes those that are not in use. A key that the chain has not been told of yet, by
// a rotation that was cut short, is taken instead of a new one. The node finds the key
// when a committee names it.
func (a *Attester) Rotate(registered, inUse func(ed25519.PublicKey) bool) error {
	newest := a.Keys.Newest()
	next := slices.DeleteFunc(slices.Clone(a.Keys), func(key ed25519.PrivateKey) bool {
		public := key.Public().(ed25519.PublicKey)
		return !key.Equal(newest) && !registered(public) && !inUse(public)
	})
	if registered(newest.Public().(ed25519.PublicKey)) {
		var err error
		if next, err = next.Add(); err != nil {
			return err
		}
	}
	// Killed here, or before the chain is told: the next rotation goes on.
	if err := next.Save(a.file); err != nil {
		return err
	}
	a.Keys = next
	return nil
}

// verifyProof checks that who wrote the message has the attestation key. What else the
// message says is checked with the genesis.
func verifyProof(chainID string, m *orderingv1.MsgSetAttester) error {
	addr, err := sdk.AccAddressFromBech32(m.Operator)
	if err != nil {
		return err
	}
	owner, err := order.OwnerFromBytes(addr)
	if err != nil {
		return err
	}
	if len(m.AttestationKey) != ed25519.PublicKeySize || !ed25519.Verify(m.AttestationKey, ordering.AttesterSignBytes(chainID, owner), m.Proof) {
		return fmt.Errorf("the proof is not the key's signature for chain %s: print the record anew with `ordo sequencer attester record`", chainID)
	}
	return nil
}

// AddAttesters writes into a genesis where validators are reached and how they sign,
// in place of what it says about them. The proofs of the keys are checked.
func AddAttesters(enc *app.Encoding, g *genutiltypes.AppGenesis, msgs ...*orderingv1.MsgSetAttester) error {
	var state map[string]json.RawMessage
	if err := json.Unmarshal(g.AppState, &state); err != nil {
		return fmt.Errorf("decode genesis: %w", err)
	}
	var own orderingv1.GenesisState
	if err := enc.Codec.UnmarshalJSON(state[ordering.ModuleName], &own); err != nil {
		return fmt.Errorf("decode genesis of ordering: %w", err)
	}
	for _, m := range msgs {
		if err := verifyProof(g.ChainID, m); err != nil {
			return fmt.Errorf("attester of %s: %w", m.Operator, err)
		}
		own.Attesters = slices.DeleteFunc(own.Attesters, func(a *orderingv1.Attester) bool { return a.Operator == m.Operator })
		own.Attesters = append(own.Attesters, &orderingv1.Attester{Operator: m.Operator, Key: m.AttestationKey, Address: m.Address, Api: m.Api})
	}
	var err error
	if state[ordering.ModuleName], err = enc.Codec.MarshalJSON(&own); err != nil {
		return fmt.Errorf("encode genesis of ordering: %w", err)
	}
	if err := enc.Basics.ValidateGenesis(enc.Codec, enc.TxConfig, state); err != nil {
		return fmt.Errorf("check genesis: %w", err)
	}
	if g.AppState, err = json.MarshalIndent(state, "", "  "); err != nil {
		return fmt.Errorf("encode genesis: %w", err)
	}
	return nil
}
