package engine_test

import (
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"

	"github.com/ordo-network/ordo/devnet/ethclients"
	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/engine"
	"github.com/ordo-network/ordo/execution/evm"
	"github.com/ordo-network/ordo/execution/executiontest"
)

func openMirror(t testing.TB, dir string) *engine.Mirror {
	t.Helper()
	genesis := evm.DevGenesis(chainID, nil)
	p := peerOf(t, ethclients.Geth, encode(t, genesis), dir)
	m, err := engine.NewMirror(openEVM(t, filepath.Join(dir, "evm"), genesis), p.dial(t), quiet())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMirrorConformance(t *testing.T) {
	t.Parallel()
	need(t, ethclients.Geth)
	h := executiontest.LegHarness{
		Harness: executiontest.Harness{
			Open:        func(t *testing.T, dir string) execution.Client { return openMirror(t, dir) },
			Transaction: func(t *testing.T, n uint64) []byte { return transfer(t, 0, n) },
			Invalid:     invalid(t),
			BlockTime:   time.Second,
		},
		Reverts: func(t *testing.T, n uint64) []byte {
			return sign(t, key(t, 0), &types.DynamicFeeTx{
				ChainID: big.NewInt(chainID), Nonce: n, Gas: 100_000, To: &params.HistoryStorageAddress, Data: []byte{1},
				GasTipCap: big.NewInt(1), GasFeeCap: big.NewInt(100_000_000_000),
			})
		},
		TransactionHash: func(tx []byte) execution.Hash { return execution.Hash(crypto.Keccak256Hash(tx)) },
	}
	executiontest.Run(t, h.Harness)
	executiontest.RunTerms(t, h)
	executiontest.RunLockstep(t, h)
}

// TestMirrorOfYoungPrunedClient: a client that was killed before it had written any state
// waits for peers. Ordo waits and says what to do; stopped in order and started again, the
// client goes on.
func TestMirrorOfYoungPrunedClient(t *testing.T) {
	t.Parallel()
	need(t, ethclients.Geth)
	binary, err := ethclients.Geth.Binary()
	if err != nil {
		t.Fatal(err)
	}
	// The client as its defaults are.
	script := filepath.Join(t.TempDir(), "geth")
	text := "#!/bin/sh\nfor a; do shift; case $a in --state.scheme|hash|--gcmode|archive) ;; *) set -- \"$@\" \"$a\";; esac; done\nexec " + binary + " \"$@\"\n"
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	genesis, dir := evm.DevGenesis(chainID, nil), t.TempDir()
	process, err := ethclients.Start(t.Context(), ethclients.Options{
		Program: ethclients.Geth, Binary: script, Dir: filepath.Join(dir, "geth"), Genesis: encode(t, genesis),
	})
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, process: process}
	t.Cleanup(func() { p.kill() })
	log := &buffer{}
	inner := openEVM(t, filepath.Join(dir, "evm"), genesis)
	m, err := engine.NewMirror(inner, p.dialLogging(t, log), quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	for h := range uint64(5) {
		executeOn(t, m, block(h+1, transfer(t, 0, h)))
	}
	p.kill()
	p.restart()
	done := make(chan execution.Result, 1)
	go func() { done <- executeOn(t, m, block(6)) }()
	select {
	case <-done: // it had written its state after all
		t.Log("it came back by itself")
	case <-log.says(t, "stop it in order and start it again"):
		t.Log("it has to be started again")
		if err := p.process.Stop(); err != nil {
			t.Fatal(err)
		}
		p.restart()
		<-done
	case <-time.After(time.Minute):
		t.Fatal("it neither goes on nor says why not")
	}
}

// TestMirrorNamesAnotherGenesis with both hashes.
func TestMirrorNamesAnotherGenesis(t *testing.T) {
	t.Parallel()
	need(t, ethclients.Geth)
	dir := t.TempDir()
	p := peerOf(t, ethclients.Geth, encode(t, evm.DevGenesis(chainID+1, nil)), dir)
	other := evm.DevGenesis(chainID, nil)
	other.Timestamp = 1
	inner := openEVM(t, filepath.Join(dir, "evm"), other)
	m, err := engine.NewMirror(inner, p.dial(t), quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	_, err = m.Open(t.Context())
	if !errors.Is(err, engine.ErrGenesis) || !strings.Contains(err.Error(), strings.TrimPrefix(inner.BlockChain().Genesis().Hash().Hex(), "0x")) {
		t.Errorf("the error is %v", err)
	}
}

// TestMirrorStopsWhereTheClientDisagrees: the client lacks a fork, which its genesis does
// not show, and a block that uses the fork's instruction is another one to it. Nothing
// goes on after that, whoever is started again.
func TestMirrorStopsWhereTheClientDisagrees(t *testing.T) {
	t.Parallel()
	need(t, ethclients.Geth)
	to := common.HexToAddress("0xc12")
	alloc := types.GenesisAlloc{to: {Code: common.FromHex("5f1e00"), Balance: new(big.Int)}} // CLZ, of Osaka
	old := evm.DevGenesis(chainID, alloc)
	old.Config.OsakaTime = nil
	dir := t.TempDir()
	p := peerOf(t, ethclients.Geth, encode(t, old), dir)
	open := func() *engine.Mirror {
		m, err := engine.NewMirror(openEVM(t, filepath.Join(dir, "evm"), evm.DevGenesis(chainID, alloc)), p.dial(t), quiet())
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := open()
	good := executeOn(t, m, block(1, transfer(t, 0, 0)))
	call := sign(t, key(t, 1), &types.DynamicFeeTx{
		ChainID: big.NewInt(chainID), Gas: 50_000, To: &to, GasTipCap: big.NewInt(1), GasFeeCap: big.NewInt(100_000_000_000),
	})
	result, err := m.Execute(t.Context(), good.Head.Hash, block(2, call))
	if !errors.Is(err, execution.ErrDisagree) || !strings.Contains(err.Error(), fmt.Sprintf("%x", result.Head.Hash)) ||
		!strings.Contains(err.Error(), fmt.Sprintf("%x", good.Head.Hash)) {
		t.Errorf("the error is %v", err)
	}
	if _, err := m.Open(t.Context()); !errors.Is(err, execution.ErrDisagree) {
		t.Errorf("open after it: the error is %v", err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	again := open()
	defer func() { _ = again.Close() }()
	if _, err := again.Open(t.Context()); !errors.Is(err, execution.ErrDisagree) {
		t.Errorf("open again: the error is %v", err)
	}
}

func TestSecretIsChecked(t *testing.T) {
	t.Parallel()
	need(t, ethclients.Geth)
	p := peerOf(t, ethclients.Geth, encode(t, evm.DevGenesis(chainID, nil)), t.TempDir())
	_, err := engine.Dial(t.Context(), engine.Config{URL: p.process.EngineURL(), Secret: [32]byte{1}, Logger: quiet()})
	if !errors.Is(err, engine.ErrSecret) {
		t.Errorf("with another secret: the error is %v", err)
	}
	secret, err := engine.LoadSecret(p.process.SecretFile())
	if err != nil {
		t.Fatal(err)
	}
	_, err = engine.Dial(t.Context(), engine.Config{URL: p.process.EngineURL(), Secret: secret, Logger: quiet(), Now: func() time.Time { return time.Now().Add(-time.Hour) }})
	if !errors.Is(err, engine.ErrSecret) {
		t.Errorf("with a clock that is an hour late: the error is %v", err)
	}
	for _, text := range []string{"", "0x12", strings.Repeat("zz", 32), strings.Repeat("00", 33)} {
		path := filepath.Join(t.TempDir(), "jwt.hex")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := engine.LoadSecret(path); err == nil {
			t.Errorf("a secret of %q is taken", text)
		}
	}
}
