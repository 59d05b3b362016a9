package engine_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"io"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ordo-network/ordo/devnet/ethclients"
	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/engine"
	"github.com/ordo-network/ordo/execution/evm"
)

const chainID = 31337

// peer is a real client that outlives those of the package that drive it.
type peer struct {
	t       testing.TB
	process *ethclients.Process
	usedBy  string // the data directory of the last that drove it
}

// peers are the real clients of a test by their own folders.
var peers struct {
	sync.Mutex
	byDir map[string]*peer
}

// peerOf returns the client that belongs to a data directory, starting it where there is
// none. A copy of the directory, as a crash leaves it, belongs to the same client, which
// then has crashed too.
func peerOf(t testing.TB, program ethclients.Program, genesis []byte, dir string) *peer {
	t.Helper()
	peers.Lock()
	defer peers.Unlock()
	note := filepath.Join(dir, "peer")
	if home, err := os.ReadFile(note); err == nil {
		p := peers.byDir[string(home)]
		if p.usedBy != dir {
			p.usedBy = dir
			p.kill()
			p.restart()
		}
		return p
	}
	p := &peer{t: t, usedBy: dir}
	home := t.TempDir()
	var err error
	p.process, err = ethclients.Start(t.Context(), ethclients.Options{Program: program, Dir: home, Genesis: genesis})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.process.Kill() })
	if err := os.WriteFile(note, []byte(home), 0o644); err != nil {
		t.Fatal(err)
	}
	if peers.byDir == nil {
		peers.byDir = map[string]*peer{}
	}
	peers.byDir[home] = p
	return p
}

func (p *peer) kill() { p.process.Kill() }

func (p *peer) restart() {
	p.t.Helper()
	again, err := p.process.Restart(context.Background())
	if err != nil {
		p.t.Fatal(err)
	}
	p.process = again
}

// dial returns the client's Engine API.
func (p *peer) dial(t testing.TB) *engine.API { return p.dialLogging(t, io.Discard) }

func (p *peer) dialLogging(t testing.TB, log io.Writer) *engine.API {
	t.Helper()
	secret, err := engine.LoadSecret(p.process.SecretFile())
	if err != nil {
		t.Fatal(err)
	}
	api, err := engine.Dial(t.Context(), engine.Config{URL: p.process.EngineURL(), Secret: secret, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return api
}

// buffer is a log that may be read while it is written.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// says is closed once the log holds a text.
func (b *buffer) says(t testing.TB, text string) <-chan struct{} {
	said := make(chan struct{})
	go func() {
		for t.Context().Err() == nil {
			b.mu.Lock()
			found := strings.Contains(b.buf.String(), text)
			b.mu.Unlock()
			if found {
				close(said)
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	return said
}

// block returns the sequencer block of that height, a second after the one before.
func block(height uint64, txs ...[]byte) execution.Block {
	return execution.Block{
		Height: height, Hash: sha256.Sum256(binary.BigEndian.AppendUint64(nil, height)),
		Time: time.Unix(1_900_000_000+int64(height), 0), Transactions: txs,
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// need skips the test where a program is not built.
func need(t testing.TB, program ethclients.Program) {
	t.Helper()
	if _, err := program.Binary(); err != nil {
		t.Skip(err)
	}
}

func encode(t testing.TB, genesis *core.Genesis) []byte {
	t.Helper()
	raw, err := json.Marshal(genesis)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func openEVM(t testing.TB, dir string, genesis *core.Genesis) *evm.Client {
	t.Helper()
	c, err := evm.New(evm.Config{DataDir: dir, Genesis: genesis, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func key(t testing.TB, i int) *ecdsa.PrivateKey {
	t.Helper()
	k, err := crypto.HexToECDSA(strings.TrimPrefix(evm.DevAccounts[i].PrivateKey, "0x"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sign(t testing.TB, k *ecdsa.PrivateKey, data types.TxData) []byte {
	t.Helper()
	raw, err := types.MustSignNewTx(k, types.LatestSignerForChainID(big.NewInt(chainID)), data).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// transfer returns the n-th transaction of a development account.
func transfer(t testing.TB, from int, nonce uint64) []byte {
	t.Helper()
	to := common.HexToAddress("0x1234")
	return sign(t, key(t, from), &types.DynamicFeeTx{
		ChainID: big.NewInt(chainID), Nonce: nonce, Gas: 21000, To: &to, Value: big.NewInt(1),
		GasTipCap: big.NewInt(1), GasFeeCap: big.NewInt(100_000_000_000),
	})
}

// invalid are transactions of account 1 that look right and are never applied.
func invalid(t testing.TB) [][]byte {
	t.Helper()
	to := common.HexToAddress("0x1234")
	tx := func(change func(*types.DynamicFeeTx)) []byte {
		data := &types.DynamicFeeTx{
			ChainID: big.NewInt(chainID), Gas: 21000, To: &to, Value: big.NewInt(1),
			GasTipCap: big.NewInt(1), GasFeeCap: big.NewInt(100_000_000_000),
		}
		change(data)
		return sign(t, key(t, 1), data)
	}
	foreign := bytes.Clone(transfer(t, 1, 0))
	foreign[len(foreign)-40] ^= 1 // another signature is of another account, without funds
	return [][]byte{
		foreign,
		append(bytes.Clone(transfer(t, 1, 0)), 0),
		tx(func(d *types.DynamicFeeTx) { d.Nonce = 1 }),
		tx(func(d *types.DynamicFeeTx) { d.Nonce = 1<<64 - 1 }),
		tx(func(d *types.DynamicFeeTx) { d.Gas = 20999 }),
		tx(func(d *types.DynamicFeeTx) { d.Gas = 1<<63 + 1 }),
		tx(func(d *types.DynamicFeeTx) { d.Value = new(big.Int).Lsh(big.NewInt(1), 255) }),
		tx(func(d *types.DynamicFeeTx) { d.GasFeeCap = new(big.Int).Lsh(big.NewInt(1), 263) }),
		tx(func(d *types.DynamicFeeTx) { d.GasFeeCap = big.NewInt(0) }),
		tx(func(d *types.DynamicFeeTx) { d.GasTipCap = new(big.Int).Add(d.GasFeeCap, big.NewInt(1)) }),
		tx(func(d *types.DynamicFeeTx) { d.Data = make([]byte, evm.MaxTransactionBytes) }),
		tx(func(d *types.DynamicFeeTx) {
			d.ChainID = big.NewInt(chainID)
			d.To, d.Gas, d.Data = nil, 1<<24, make([]byte, 49153)
		}),
	}
}
