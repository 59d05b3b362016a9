package evm_test

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha512"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"

	"github.com/ordo-network/ordo/execution/evm"
)

func TestCheckGenesis(t *testing.T) {
	t.Parallel()
	future := uint64(1) << 40
	for _, test := range []struct {
		name, says string
		change     func(*core.Genesis)
	}{
		{"no config", "config", func(g *core.Genesis) { g.Config = nil }},
		{"no chain ID", "chainId", func(g *core.Genesis) { g.Config.ChainID = nil }},
		{"proof of work", "terminalTotalDifficulty", func(g *core.Genesis) { g.Config.TerminalTotalDifficulty = nil }},
		{"merge later", "terminalTotalDifficulty", func(g *core.Genesis) { g.Config.TerminalTotalDifficulty = big.NewInt(1) }},
		{"difficulty", "difficulty", func(g *core.Genesis) { g.Difficulty = big.NewInt(1) }},
		{"clique", "clique", func(g *core.Genesis) { g.Config.Clique = new(params.CliqueConfig) }},
		{"number", "number", func(g *core.Genesis) { g.Number = 1 }},
		{"London later", "londonBlock", func(g *core.Genesis) {
			g.Config.LondonBlock = big.NewInt(1)
			g.Config.ArrowGlacierBlock = nil
			g.Config.GrayGlacierBlock = nil
			g.Config.MergeNetsplitBlock = nil
		}},
		{"no Shanghai", "shanghaiTime", func(g *core.Genesis) { g.Config.ShanghaiTime = nil }},
		{"Cancun later", "cancunTime", func(g *core.Genesis) {
			g.Config.CancunTime, g.Config.PragueTime, g.Config.OsakaTime = &future, nil, nil
		}},
		{"no blob schedule", "blob", func(g *core.Genesis) { g.Config.BlobScheduleConfig = nil }},
		{"Amsterdam", "amsterdamTime", func(g *core.Genesis) { g.Config.AmsterdamTime = &future }},
		{"gas limit", "gasLimit", func(g *core.Genesis) { g.GasLimit = 0 }},
		{"extra data", "extraData", func(g *core.Genesis) { g.ExtraData = make([]byte, 32) }},
		{"no system contract", params.WithdrawalQueueAddress.Hex(), func(g *core.Genesis) { delete(g.Alloc, params.WithdrawalQueueAddress) }},
	} {
		g := evm.DevGenesis(chainID, nil)
		test.change(g)
		err := evm.CheckGenesis(g)
		if !errors.Is(err, evm.ErrGenesis) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: error %v, want one about %s", test.name, err, test.says)
		}
		if _, err := evm.New(evm.Config{DataDir: t.TempDir(), Genesis: g}); !errors.Is(err, evm.ErrGenesis) {
			t.Errorf("%s: new: error %v", test.name, err)
		}
	}
	if err := evm.CheckGenesis(nil); !errors.Is(err, evm.ErrGenesis) {
		t.Errorf("nil: error %v", err)
	}
	cancunOnly := evm.DevGenesis(chainID, nil)
	cancunOnly.Config.PragueTime, cancunOnly.Config.OsakaTime = nil, nil
	delete(cancunOnly.Alloc, params.WithdrawalQueueAddress)
	if err := evm.CheckGenesis(cancunOnly); err != nil {
		t.Errorf("Cancun only: %v", err)
	}
	c := openGenesis(t, t.TempDir(), cancunOnly)
	if res := execute(t, c, block(1, transfer(t, 0, 0, evm.DevAccounts[1].Address))); len(res.Skipped) != 0 {
		t.Errorf("Cancun only: skipped %v", res.Skipped)
	}
}

func TestLoadGenesis(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "genesis.json")
	want := evm.DevGenesis(chainID, nil)
	raw, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := evm.LoadGenesis(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.ToBlock().Hash() != want.ToBlock().Hash() || got.Config.ChainID.Cmp(want.Config.ChainID) != 0 {
		t.Error("the genesis that was read is not the one that was written")
	}
	if _, err := evm.LoadGenesis(path + ".missing"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: error %v", err)
	}
	if err := os.WriteFile(path, []byte(`{"alloc":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := evm.LoadGenesis(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("broken file: error %v, want one that names it", err)
	}
}

func TestOtherGenesis(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := open(t, dir)
	execute(t, c, block(1))
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	later := uint64(1) << 40
	past := uint64(1)
	for name, change := range map[string]func(*core.Genesis){
		"account":  func(g *core.Genesis) { g.Alloc[evm.DevAccounts[0].Address] = types.Account{Balance: big.NewInt(1)} },
		"chain ID": func(g *core.Genesis) { g.Config.ChainID = big.NewInt(chainID + 1) },
		"forks":    func(g *core.Genesis) { g.Config.OsakaTime = &past },
	} {
		g := evm.DevGenesis(chainID, nil)
		change(g)
		if _, err := evm.New(evm.Config{DataDir: dir, Genesis: g}); !errors.Is(err, evm.ErrGenesis) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: error %v, want ErrGenesis and the directory", name, err)
		}
	}
	upgrade := evm.DevGenesis(chainID, nil)
	upgrade.Config.BPO1Time, upgrade.Config.BlobScheduleConfig.BPO1 = &later, params.DefaultBPO1BlobConfig
	c = openGenesis(t, dir, upgrade)
	if got := session(t, c).Soft.Number; got != 1 {
		t.Errorf("soft head %d after a fork was scheduled, want 1", got)
	}
}

// The keys and addresses are those of the mnemonic, by BIP-39, BIP-32 and BIP-44.
func TestDevAccounts(t *testing.T) {
	t.Parallel()
	seed, err := pbkdf2.Key(sha512.New, evm.DevMnemonic, []byte("mnemonic"), 2048, 64)
	if err != nil {
		t.Fatal(err)
	}
	split := func(key, data []byte) (k, chain []byte) {
		mac := hmac.New(sha512.New, key)
		mac.Write(data)
		sum := mac.Sum(nil)
		return sum[:32], sum[32:]
	}
	child := func(key, chain []byte, index uint32) (k, c []byte) {
		data := append([]byte{0}, key...)
		if index < 1<<31 {
			private, err := crypto.ToECDSA(key)
			if err != nil {
				t.Fatal(err)
			}
			data = crypto.CompressPubkey(&private.PublicKey)
		}
		tweak, c := split(chain, binary.BigEndian.AppendUint32(data, index))
		sum := new(big.Int).Add(new(big.Int).SetBytes(tweak), new(big.Int).SetBytes(key))
		return sum.Mod(sum, crypto.S256().Params().N).FillBytes(make([]byte, 32)), c
	}
	key, chain := split([]byte("Bitcoin seed"), seed)
	for _, index := range []uint32{1<<31 + 44, 1<<31 + 60, 1 << 31, 0} {
		key, chain = child(key, chain, index)
	}
	genesis := evm.DevGenesis(chainID, nil)
	for i, account := range evm.DevAccounts {
		raw, _ := child(key, chain, uint32(i))
		private, err := crypto.ToECDSA(raw)
		if err != nil {
			t.Fatal(err)
		}
		given, err := crypto.HexToECDSA(strings.TrimPrefix(account.PrivateKey, "0x"))
		if err != nil {
			t.Fatal(err)
		}
		if !given.Equal(private) || crypto.PubkeyToAddress(private.PublicKey) != account.Address {
			t.Errorf("account %d is not of the mnemonic", i)
		}
		if got := genesis.Alloc[account.Address].Balance.String(); got != "10000"+strings.Repeat("0", 18) {
			t.Errorf("account %d has %s wei", i, got)
		}
	}
}

// TestDevGenesisContracts: what tools look for is there, byte for byte as on Ethereum's
// chain.
func TestDevGenesisContracts(t *testing.T) {
	t.Parallel()
	alloc := evm.DevGenesis(chainID, nil).Alloc
	for addr, want := range map[common.Address]string{
		params.DeterministicFactoryAddress: "0x2fa86add0aed31f33a762c9d88e807c475bd51d0f52bd0955754b2608f7e4989",
		evm.Multicall3:                     "0xd5c15df687b16f2ff992fc8d767b4216323184a2bbc6ee2f9c398c318e770891",
	} {
		if got := crypto.Keccak256Hash(alloc[addr].Code); got != common.HexToHash(want) {
			t.Errorf("the code at %s has hash %s, want %s", addr, got, want)
		}
	}
}

// TestEncodeGenesis: what other clients want to be told changes no hash, nor is it lost on
// who reads the file here.
func TestEncodeGenesis(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*core.Genesis){
		"Osaka":        func(*core.Genesis) {},
		"Prague":       func(g *core.Genesis) { g.Config.OsakaTime = nil },
		"no schedules": func(g *core.Genesis) { g.Config.OsakaTime, g.Config.BlobScheduleConfig = nil, nil },
	} {
		want := evm.DevGenesis(chainID, nil)
		change(want)
		raw, err := evm.EncodeGenesis(want)
		if err != nil {
			t.Fatal(err)
		}
		got := new(core.Genesis)
		var file struct {
			Config struct{ BlobSchedule map[string]*params.BlobConfig }
		}
		if err := errors.Join(json.Unmarshal(raw, got), json.Unmarshal(raw, &file)); err != nil {
			t.Fatal(err)
		}
		if got.ToBlock().Hash() != want.ToBlock().Hash() || !reflect.DeepEqual(got.Config, want.Config) {
			t.Errorf("%s: the genesis that was read is not the one that was written", name)
		}
		schedule := file.Config.BlobSchedule
		if osaka := schedule["osaka"]; want.Config.OsakaTime == nil != (osaka == nil) || osaka != nil && *osaka != *schedule["prague"] {
			t.Errorf("%s: schedule of osaka: %v", name, osaka)
		}
	}
}
