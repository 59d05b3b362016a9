package ordering

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"

	sdk "github.com/cosmos/cosmos-sdk/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"

	"github.com/ordo-network/ordo/order"
	orderingv1 "github.com/ordo-network/ordo/sequencer/ordering/v1"
)

var (
	// ErrAttester is returned for a registration that is malformed or unproven.
	ErrAttester = errors.New("not a valid registration of an attester")
	// ErrKeyTaken is returned for an attestation key that is, or once was, somebody else's.
	ErrKeyTaken = errors.New("attestation key belongs to another validator")
	// ErrNoValidator is returned for an account that operates no validator.
	ErrNoValidator = errors.New("account operates no validator")
)

const (
	attesterDomain = "ordo/attester/v1\x00"
	maxHostLen     = 253 // of a name in the DNS
)

// nobody is a signature that takes no secret to make. By the rules that CometBFT
// verifies with (ZIP-215) it holds under every key that is a point of small order, for
// whatever is signed, and under no other.
var nobody = append([]byte{1}, make([]byte, ed25519.SignatureSize-1)...)

// AttesterSignBytes returns what an attestation key signs to show that it belongs to
// the operator: nobody can register a key that is not his.
func AttesterSignBytes(chainID string, operator order.Owner) []byte {
	return append(append([]byte(attesterDomain), chainID...), operator[:]...)
}

// Attesters returns what validators have registered, by operator. Keys take effect
// with the next epoch's committee; addresses do at once, since whoever has moved must
// be found.
func (k Keeper) Attesters(ctx context.Context) ([]*orderingv1.Attester, error) {
	var all []*orderingv1.Attester
	err := k.each(ctx, attesterPrefix, func(_, raw []byte) error {
		a := new(orderingv1.Attester)
		if err := a.Unmarshal(raw); err != nil {
			return fmt.Errorf("decode attester: %w", err)
		}
		all = append(all, a)
		return nil
	})
	return all, err
}

// Attester returns what the owner has registered, or reports that it has not.
func (k Keeper) Attester(ctx context.Context, o order.Owner) (*orderingv1.Attester, bool, error) {
	a := new(orderingv1.Attester)
	found, err := k.get(ctx, attesterKey(o), a)
	if err != nil {
		return nil, false, fmt.Errorf("attester %s: %w", o, err)
	}
	return a, found, nil
}

// register checks a validator's message and writes what it registers.
// Errors: ErrAttester, ErrKeyTaken, ErrNoValidator.
func (k Keeper) register(ctx context.Context, chainID string, m *orderingv1.MsgSetAttester) error {
	a := &orderingv1.Attester{Operator: m.Operator, Key: m.AttestationKey, Address: m.Address, Api: m.Api}
	owner, err := checkAttester(a)
	if err != nil {
		return err
	}
	switch _, err := k.staking.GetValidator(ctx, owner[:]); {
	case errors.Is(err, stakingtypes.ErrNoValidatorFound):
		return fmt.Errorf("%s: %w", m.Operator, ErrNoValidator)
	case err != nil:
		return fmt.Errorf("read validator: %w", err)
	}
	key := cmted25519.PubKey(m.AttestationKey)
	if !key.VerifySignature(AttesterSignBytes(chainID, owner), m.Proof) {
		return fmt.Errorf("proof is not the attestation key's signature over chain %q and operator %s: %w", chainID, m.Operator, ErrAttester)
	}
	// One key for both would put the attestation key where the consensus key is, which
	// may be a remote signer that signs nothing but votes.
	switch _, err := k.staking.GetValidatorByConsAddr(ctx, sdk.ConsAddress(key.Address())); {
	case err == nil:
		return fmt.Errorf("attestation key is a validator's consensus key, want one of its own: %w", ErrAttester)
	case !errors.Is(err, stakingtypes.ErrNoValidatorFound):
		return fmt.Errorf("read validator: %w", err)
	}
	return k.setAttester(ctx, owner, a)
}

// setAttester writes what the owner registers, unless another one has used the key:
// then a signature would not say who made it. Errors: ErrKeyTaken.
func (k Keeper) setAttester(ctx context.Context, owner order.Owner, a *orderingv1.Attester) error {
	if err := k.reserveKey(ctx, a.Key, owner); err != nil {
		return err
	}
	return k.set(ctx, attesterKey(owner), a)
}

// reserveKey makes the key the owner's for ever. Errors: ErrKeyTaken.
func (k Keeper) reserveKey(ctx context.Context, key []byte, owner order.Owner) error {
	kv := k.store.OpenKVStore(ctx)
	have, err := kv.Get(keyOwnerKey(key))
	switch {
	case err != nil:
		return fmt.Errorf("read owner of attestation key: %w", err)
	case have == nil:
		return kv.Set(keyOwnerKey(key), owner[:])
	case !bytes.Equal(have, owner[:]):
		return fmt.Errorf("key %x: %w", key, ErrKeyTaken)
	}
	return nil
}

// forgetAttesters deletes registrations of operators whose validator is gone. Their
// keys stay theirs.
func (k Keeper) forgetAttesters(ctx context.Context, needed func(order.Owner) bool) error {
	all, err := k.Attesters(ctx)
	if err != nil {
		return err
	}
	var gone [][]byte
	for _, a := range all {
		owner, err := ownerOf(a.Operator)
		if err != nil {
			return err
		}
		if needed(owner) {
			continue
		}
		_, err = k.staking.GetValidator(ctx, owner[:])
		if errors.Is(err, stakingtypes.ErrNoValidatorFound) {
			gone = append(gone, attesterKey(owner))
		} else if err != nil {
			return fmt.Errorf("read validator: %w", err)
		}
	}
	return k.remove(ctx, gone)
}

// checkAttester checks the form of a registration, makes the operator's address
// canonical and returns it. Errors: ErrAttester.
func checkAttester(a *orderingv1.Attester) (order.Owner, error) {
	owner, err := ownerOf(a.GetOperator())
	if err != nil {
		return owner, fmt.Errorf("operator: %w: %w", err, ErrAttester)
	}
	a.Operator = sdk.AccAddress(owner[:]).String()
	// The zero key, which stands for none in a committee, is one that anybody can sign with.
	if len(a.Key) != ed25519.PublicKeySize || cmted25519.PubKey(a.Key).VerifySignature([]byte(attesterDomain), nobody) {
		return owner, fmt.Errorf("attestation key %x, want %d bytes that are an ed25519 key with a secret: %w", a.Key, ed25519.PublicKeySize, ErrAttester)
	}
	if !isHostPort(a.Address) {
		return owner, fmt.Errorf("address %q, want host:port: %w", a.Address, ErrAttester)
	}
	host, ok := strings.CutPrefix(a.Api, "http://")
	if !ok {
		host, ok = strings.CutPrefix(a.Api, "https://")
	}
	if !ok || !isHostPort(host) {
		return owner, fmt.Errorf("api %q, want http://host:port or https://host:port: %w", a.Api, ErrAttester)
	}
	return owner, nil
}

func ownerOf(operator string) (order.Owner, error) {
	addr, err := sdk.AccAddressFromBech32(operator)
	if err != nil {
		return order.Owner{}, err
	}
	return order.OwnerFromBytes(addr)
}

// isHostPort reports whether s is host:port, with a name, an IPv4 address or an IPv6
// address in brackets. It is stricter than package net and does not change with it:
// all nodes must agree, whatever they were built with.
func isHostPort(s string) bool {
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 {
		return false
	}
	host, port := s[:colon], s[colon+1:]
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port[0] == '0' {
		return false
	}
	if len(host) == 0 || len(host) > maxHostLen {
		return false
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		ip, err := netip.ParseAddr(inner)
		return ok && err == nil && ip.Is6() && ip.Zone() == ""
	}
	for _, c := range []byte(host) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_':
		default:
			return false
		}
	}
	return true
}
