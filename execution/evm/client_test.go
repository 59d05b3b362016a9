package evm_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	gethlog "github.com/ethereum/go-ethereum/log"
	"go.uber.org/goleak"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/evm"
	"github.com/ordo-network/ordo/test/await"
	"github.com/ordo-network/ordo/test/killed"
)

const chainID = 31337

// epoch is the time of sequencer block 0.
var epoch = time.Unix(1_750_000_000, 0)

func open(t testing.TB, dir string) *evm.Client {
	t.Helper()
	return openGenesis(t, dir, evm.DevGenesis(chainID, nil))
}

func openGenesis(t testing.TB, dir string, genesis *core.Genesis) *evm.Client {
	t.Helper()
	c, err := evm.New(evm.Config{DataDir: dir, Genesis: genesis})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func session(t testing.TB, c execution.Client) execution.Session {
	t.Helper()
	s, err := c.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// block is the sequencer block of that height on a chain of ten a second.
func block(height uint64, txs ...[]byte) execution.Block {
	return execution.Block{
		Height:       height,
		Hash:         sha256.Sum256(binary.BigEndian.AppendUint64([]byte("block"), height)),
		Time:         epoch.Add(time.Duration(height) * 100 * time.Millisecond),
		Transactions: txs,
	}
}

func execute(t testing.TB, c execution.Client, b execution.Block) execution.Result {
	t.Helper()
	res, err := c.Execute(context.Background(), session(t, c).Soft.Hash, b)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func key(t testing.TB, i int) *ecdsa.PrivateKey {
	t.Helper()
	k, err := crypto.HexToECDSA(evm.DevAccounts[i].PrivateKey[2:])
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// sign encodes the transaction as a wallet sends it.
func sign(t testing.TB, k *ecdsa.PrivateKey, tx types.TxData) []byte {
	t.Helper()
	raw, err := types.MustSignNewTx(k, types.LatestSignerForChainID(big.NewInt(chainID)), tx).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func transfer(t testing.TB, from int, nonce uint64, to common.Address) []byte {
	return sign(t, key(t, from), &types.DynamicFeeTx{
		ChainID: big.NewInt(chainID), Nonce: nonce, Gas: 21000, To: &to, Value: big.NewInt(1),
		GasTipCap: big.NewInt(1), GasFeeCap: big.NewInt(10_000_000_000),
	})
}

func TestClosedDirectoryIsFree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := open(t, dir)
	if _, err := evm.New(evm.Config{DataDir: dir, Genesis: evm.DevGenesis(chainID, nil)}); err == nil {
		t.Fatal("two clients opened one data directory")
	}
	execute(t, c, block(1))
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if got := session(t, open(t, dir)).Soft.Number; got != 1 {
		t.Errorf("soft head %d, want 1", got)
	}
}

// geth says nothing in the ordinary course of things, to which a crash belongs, and to be
// closed at any time, and Close leaves nothing running.
func TestQuiet(t *testing.T) {
	if os.Getenv(quietDir) == "" {
		// geth's logger and its goroutines are of the process: it runs in its own.
		cmd := exec.Command(os.Args[0], "-test.run=^TestQuiet$")
		cmd.Env = append(os.Environ(), quietDir+"="+t.TempDir())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	var out bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	dir := os.Getenv(quietDir)
	cfg := evm.Config{DataDir: filepath.Join(dir, "chain"), Genesis: evm.DevGenesis(chainID, nil), Logger: logger}
	crashed := cfg
	crashed.DataDir = filepath.Join(dir, "crashed")

	for _, cfg := range []evm.Config{cfg, cfg, crashed} {
		c, err := evm.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		head := execute(t, c, block(session(t, c).Soft.Height+1, []byte("garbage"))).Head
		if err := c.SetFirm(t.Context(), head.Hash); err != nil {
			t.Fatal(err)
		}
		if head.Number == 1 { // closed as soon as it has a block, it has not begun with its index
			db := c.Ethereum().ChainDb()
			await.Until(t, "block 1 is indexed", func() bool { tail := rawdb.ReadTxIndexTail(db); return tail != nil && *tail == 0 })
			rawdb.WriteTxIndexTail(db, 2)
		}
		if cfg.DataDir != crashed.DataDir && head.Number == 2 {
			if err := os.Rename(killed.Copy(t, cfg.DataDir), crashed.DataDir); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if out.Len() > 0 {
		t.Errorf("logged:\n%s", out.String())
	}
	gethlog.Info("below")
	gethlog.Warn("above", "number", 7)
	if got := out.String(); !strings.Contains(got, "level=WARN msg=above component=geth number=7") || strings.Contains(got, "below") {
		t.Errorf("logged %q, want the warning alone", got)
	}
	goleak.VerifyNone(t)
}

const quietDir = "ORDO_TEST_QUIET_DIR"

// A process killed while it made the database leaves a directory that opens.
func TestHalfMadeDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "evm", "chaindata"), 0o700); err != nil {
		t.Fatal(err)
	}
	execute(t, open(t, dir), block(1))
}

// A killed process loses nothing that Execute and SetFirm returned for.
func TestKill(t *testing.T) {
	if dir := os.Getenv(killDir); dir != "" {
		runUntilKilled(t, dir)
		return
	}
	t.Parallel()
	dir := t.TempDir()
	for round := range 3 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKill$", "-test.v")
		cmd.Env = append(os.Environ(), killDir+"="+dir)
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var soft, firm uint64
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			_, _ = fmt.Sscanf(lines.Text(), "soft %d firm %d", &soft, &firm)
			if soft >= uint64(round+1)*25 {
				break
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed
		if soft == 0 {
			t.Fatal("the process made no block")
		}
		c := open(t, dir)
		got := session(t, c)
		// It may have gone on for a little after the last line that was read.
		if got.Soft.Number < soft || got.Firm.Number < firm {
			t.Errorf("soft %d firm %d on disk, %d and %d were reported", got.Soft.Number, got.Firm.Number, soft, firm)
		}
		execute(t, c, block(got.Soft.Height+1))
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

const killDir = "ORDO_TEST_KILL_DIR"

func runUntilKilled(t *testing.T, dir string) {
	c := open(t, dir)
	s := session(t, c)
	soft, firm := s.Soft, s.Firm
	state, err := c.BlockChain().State()
	if err != nil {
		t.Fatal(err)
	}
	for nonce := state.GetNonce(evm.DevAccounts[0].Address); nonce < 10_000; nonce++ {
		soft = execute(t, c, block(soft.Height+1, transfer(t, 0, nonce, common.HexToAddress("0x1234")))).Head
		if soft.Number%5 == 0 {
			if err := c.SetFirm(t.Context(), soft.Hash); err != nil {
				t.Fatal(err)
			}
			firm = soft
		}
		fmt.Printf("soft %d firm %d\n", soft.Number, firm.Number)
	}
}
