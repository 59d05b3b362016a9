package ordering

import (
	"crypto/ed25519"
	"encoding/hex"
	"net"
	"net/url"
	"strings"
	"testing"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/stretchr/testify/require"

	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	"github.com/ordo-network/ordo/order"
	orderingv1 "github.com/ordo-network/ordo/sequencer/ordering/v1"
)

// registration returns what validator i sends to register a key.
func registration(i int, key ed25519.PrivateKey) *orderingv1.MsgSetAttester {
	return &orderingv1.MsgSetAttester{
		Operator: account(i).String(), AttestationKey: public(key), Address: "new.example:7000", Api: "https://new.example:443",
		Proof: ed25519.Sign(key, AttesterSignBytes(networkID, owner(i))),
	}
}

func (n *network) register(m *orderingv1.MsgSetAttester) error {
	_, err := n.server().SetAttester(n.ctx, m)
	return err
}

// The key takes effect with the next committee, the addresses at once.
func TestRegistrationAndRotation(t *testing.T) {
	n := newNetwork(t, 2, 1)
	key := func(epoch uint64, i int) []byte {
		c := n.committee(epoch)
		at, ok := c.Index(owner(i))
		require.True(t, ok)
		return c.Members[at].Key[:]
	}
	require.NoError(t, n.register(registration(0, attestationKey(0, 1))), "a rotation")
	require.NoError(t, n.register(registration(1, attestationKey(1, 0))), "the first key")
	require.Equal(t, public(attestationKey(0, 0)), key(0, 0))
	require.Equal(t, make([]byte, 32), key(0, 1))
	v, err := n.keeper.View(n.ctx, 1)
	require.NoError(t, err)
	require.Equal(t, "new.example:7000", v.Contacts[owner(0)].Address)
	require.Equal(t, "https://new.example:443", v.Contacts[owner(1)].API)

	n.toEpoch(1)
	require.Equal(t, public(attestationKey(0, 1)), key(1, 0))
	require.Equal(t, public(attestationKey(1, 0)), key(1, 1))
	require.Equal(t, public(attestationKey(0, 0)), key(0, 0), "epoch 0 is as it was")

	require.NoError(t, n.register(registration(0, attestationKey(0, 0))), "back to a key of its own")
	n.toEpoch(2)
	require.Equal(t, public(attestationKey(0, 0)), key(2, 0))
}

func TestRegistrationRefused(t *testing.T) {
	n := newNetwork(t, 2, 2)
	fresh := attestationKey(0, 1)
	for name, tc := range map[string]struct {
		edit func(*orderingv1.MsgSetAttester)
		want error
	}{
		"operator malformed":        {func(m *orderingv1.MsgSetAttester) { m.Operator = "x" }, ErrAttester},
		"operator of another chain": {func(m *orderingv1.MsgSetAttester) { m.Operator = "ordo1" + m.Operator[7:] }, ErrAttester},
		"key cut off":               {func(m *orderingv1.MsgSetAttester) { m.AttestationKey = m.AttestationKey[1:] }, ErrAttester},
		"no proof":                  {func(m *orderingv1.MsgSetAttester) { m.Proof = nil }, ErrAttester},
		"proof by another key": {func(m *orderingv1.MsgSetAttester) {
			m.Proof = ed25519.Sign(attestationKey(0, 2), AttesterSignBytes(networkID, owner(0)))
		}, ErrAttester},
		"proof for another chain": {func(m *orderingv1.MsgSetAttester) {
			m.Proof = ed25519.Sign(fresh, AttesterSignBytes("other", owner(0)))
		}, ErrAttester},
		"proof for another operator": {func(m *orderingv1.MsgSetAttester) {
			m.Proof = ed25519.Sign(fresh, AttesterSignBytes(networkID, owner(1)))
		}, ErrAttester},
		"another's proof": {func(m *orderingv1.MsgSetAttester) { *m = *registration(1, fresh); m.Operator = account(0).String() }, ErrAttester},
		"consensus key": {func(m *orderingv1.MsgSetAttester) {
			*m = *registration(0, consensusKey(1).Key)
		}, ErrAttester},
		"stranger":           {func(m *orderingv1.MsgSetAttester) { *m = *registration(5, fresh) }, ErrNoValidator},
		"key of another":     {func(m *orderingv1.MsgSetAttester) { *m = *registration(0, attestationKey(1, 0)) }, ErrKeyTaken},
		"address malformed":  {func(m *orderingv1.MsgSetAttester) { m.Address = "http://new.example:7000" }, ErrAttester},
		"api malformed":      {func(m *orderingv1.MsgSetAttester) { m.Api = "new.example:443" }, ErrAttester},
		"api of another":     {func(m *orderingv1.MsgSetAttester) { m.Api = "ftp://new.example:443" }, ErrAttester},
		"api with a path":    {func(m *orderingv1.MsgSetAttester) { m.Api = "http://new.example:443/" }, ErrAttester},
		"api with a user":    {func(m *orderingv1.MsgSetAttester) { m.Api = "http://me@new.example:443" }, ErrAttester},
		"api without a host": {func(m *orderingv1.MsgSetAttester) { m.Api = "https://:443" }, ErrAttester},
	} {
		m := registration(0, fresh)
		tc.edit(m)
		require.ErrorIs(t, n.keeper.register(n.ctx, networkID, m), tc.want, name)
		require.ErrorIs(t, n.register(m), sdkerrors.ErrInvalidRequest, name)
		a, _, err := n.keeper.Attester(n.ctx, owner(0))
		require.NoError(t, err)
		require.Equal(t, attester(0), a, name)
	}
	require.NoError(t, n.register(registration(0, fresh)))
}

// With a point of small order anybody could sign in the validator's name. The zero
// key is one, and stands for none in a committee.
func TestKeyWithoutSecretRefused(t *testing.T) {
	n := newNetwork(t, 1, 0)
	for _, key := range []string{
		strings.Repeat("00", 32), "01" + strings.Repeat("00", 31), "ec" + strings.Repeat("ff", 30) + "7f",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	} {
		m := registration(0, attestationKey(0, 0))
		var err error
		m.AttestationKey, err = hex.DecodeString(key)
		require.NoError(t, err)
		m.Proof = nobody
		require.True(t, cmted25519.PubKey(m.AttestationKey).VerifySignature(AttesterSignBytes(networkID, owner(0)), m.Proof), "it proves nothing")
		require.ErrorIs(t, n.keeper.register(n.ctx, networkID, m), ErrAttester)
	}
}

// A key stays its first owner's, also when that one has gone on to another key, or is gone.
func TestKeyIsNeverUsedByTwo(t *testing.T) {
	n := newNetwork(t, 2, 2)
	require.NoError(t, n.register(registration(0, attestationKey(0, 1))))
	require.ErrorIs(t, n.keeper.register(n.ctx, networkID, registration(1, attestationKey(0, 0))), ErrKeyTaken)

	require.NoError(t, n.staking.Jail(n.ctx, consensusAddress(0)))
	n.toEpoch(1)
	_, found, err := n.keeper.Attester(n.ctx, owner(0))
	require.NoError(t, err)
	require.True(t, found, "whoever is only jailed may come back")
	n.unbond(0, stakeEach)
	n.ctx = n.ctx.WithBlockTime(n.ctx.BlockTime().Add(30 * 24 * 3600 * 1e9))
	n.endStaking()
	n.toEpoch(3)
	_, found, err = n.keeper.Attester(n.ctx, owner(0))
	require.NoError(t, err)
	require.False(t, found, "the validator is gone")
	require.ErrorIs(t, n.keeper.register(n.ctx, networkID, registration(1, attestationKey(0, 1))), ErrKeyTaken)
}

var hostPorts = map[string]bool{
	"a:1": true, "example.com:65535": true, "10.0.0.1:80": true, "[::1]:80": true, "[2001:db8::1]:7000": true, "A-b_c.d:7": true,
	strings.Repeat("a", 253) + ":1": true, strings.Repeat("a", 254) + ":1": false,
	"": false, "a": false, ":1": false, "a:": false, "a:0": false, "a:01": false, "a:+1": false, "a:65536": false, "a:1:2": false,
	"a b:1": false, "a/b:1": false, "a@b:1": false, "ä:1": false, "a\x00:1": false, "a*b:1": false, "[]:1": false, "[::1:1": false,
	"::1:80": false, "[10.0.0.1]:80": false, "[fe80::1%eth0]:80": false, "[::1]]:80": false,
}

func TestHostPort(t *testing.T) {
	for s, want := range hostPorts {
		require.Equal(t, want, isHostPort(s), s)
	}
}

// What is accepted here, those who dial it understand too.
func FuzzHostPort(f *testing.F) {
	for s := range hostPorts {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !isHostPort(s) {
			return
		}
		host, _, err := net.SplitHostPort(s)
		require.NoError(t, err)
		require.NotEmpty(t, host)
		u, err := url.Parse("http://" + s)
		require.NoError(t, err)
		require.Equal(t, s, u.Host)
	})
}

func TestProofSaysWhatItIsFor(t *testing.T) {
	var o order.Owner
	o[0] = 7
	require.Equal(t, "ordo/attester/v1\x00chain\x07"+strings.Repeat("\x00", 19), string(AttesterSignBytes("chain", o)))
}
