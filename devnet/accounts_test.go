package devnet

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"testing"

	"github.com/cosmos/go-bip39"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/ethereum/go-ethereum/crypto"
)

// The constants are what BIP-39, BIP-32 and BIP-44 make of the mnemonic.
func TestAccountsAreThoseOfTheMnemonic(t *testing.T) {
	t.Parallel()
	const hardened = 1 << 31
	for i, want := range Accounts {
		key, chain := hmacHalves([]byte("Bitcoin seed"), bip39.NewSeed(Mnemonic, ""))
		for _, index := range []uint32{hardened | 44, hardened | 60, hardened, 0, uint32(i)} {
			key, chain = childKey(key, chain, index)
		}
		if got := "0x" + hex.EncodeToString(key); got != want.PrivateKey {
			t.Errorf("account %d: private key is %s, the constant is %s", i, got, want.PrivateKey)
		}
		private, err := crypto.ToECDSA(key)
		if err != nil {
			t.Fatal(err)
		}
		if got := crypto.PubkeyToAddress(private.PublicKey).Hex(); got != want.Address {
			t.Errorf("account %d: address is %s, the constant is %s", i, got, want.Address)
		}
	}
}

// childKey is CKDpriv of BIP-32.
func childKey(key, chain []byte, index uint32) (child, childChain []byte) {
	var data []byte
	if index >= 1<<31 {
		data = append([]byte{0}, key...)
	} else {
		data = secp256k1.PrivKeyFromBytes(key).PubKey().SerializeCompressed()
	}
	tweak, childChain := hmacHalves(chain, binary.BigEndian.AppendUint32(data, index))
	var sum, k secp256k1.ModNScalar
	sum.SetByteSlice(tweak)
	k.SetByteSlice(key)
	raw := sum.Add(&k).Bytes()
	return raw[:], childChain
}

func hmacHalves(key, data []byte) (left, right []byte) {
	mac := hmac.New(sha512.New, key)
	mac.Write(data)
	sum := mac.Sum(nil)
	return sum[:32], sum[32:]
}
