package rollup

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ordo-network/ordo/devnet/ethclients"
	"github.com/ordo-network/ordo/execution/evm"
	"github.com/ordo-network/ordo/test/await"
)

// A real client follows a node, or builds its blocks; both are killed in the middle, and
// go on.
func TestRealClients(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mode    string
		program ethclients.Program
	}{{ModeEVM, ethclients.Geth}, {ModeOP, ethclients.OPGeth}} {
		t.Run(c.mode, func(t *testing.T) {
			t.Parallel()
			if _, err := c.program.Binary(); errors.Is(err, ethclients.ErrNotBuilt) {
				t.Skip(err)
			}
			p := publish(t)
			p.put(t, p.blob(t, 1, 20))
			genesis, err := evm.EncodeGenesis(evm.DevGenesis(31337, nil)) // as every client takes it
			if err != nil {
				t.Fatal(err)
			}
			client, err := ethclients.Start(t.Context(), ethclients.Options{Program: c.program, Dir: filepath.Join(t.TempDir(), "client"), Genesis: genesis})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { client.Kill() })
			file := filepath.Join(t.TempDir(), "genesis.json")
			if err := os.WriteFile(file, genesis, 0o644); err != nil {
				t.Fatal(err)
			}
			address := freeAddress(t)
			home := p.home(t, func(o *InitOptions) {
				o.ChainID, o.GenesisFile, o.Listen = 0, file, address
				o.Execution = Execution{Mode: c.mode, Engine: client.EngineURL(), JWT: client.SecretFile(), ClientRPC: client.RPCURL()}
			})
			node := runNode(t, home, Options{Version: "test", Logger: slog.New(slog.DiscardHandler)})
			behind := running{url: client.RPCURL()}
			block := func(r running, tag string) (b struct{ Number, Hash, Timestamp string }) {
				_ = r.ask("eth_getBlockByNumber", &b, tag, false)
				return b
			}
			var last uint64
			agree := func() {
				t.Helper()
				await.Until(t, fmt.Sprintf("the node and its client agree on a block beyond %d, and it is finalized", last), func() bool {
					here, there := block(node, "latest"), block(behind, "latest")
					number, err := strconv.ParseUint(strings.TrimPrefix(here.Number, "0x"), 16, 64)
					if err != nil || here != there || number <= last || block(behind, "finalized") != here {
						return false
					}
					last = number
					return true
				})
			}
			agree()
			client.Kill()
			p.put(t, p.blob(t, 21, 30))
			if client, err = client.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			agree()
			node.stop()
			p.put(t, p.blob(t, 31, 40))
			node = runNode(t, home, Options{Version: "test", Logger: slog.New(slog.DiscardHandler)})
			agree()
			seconds := make(map[string]bool)
			for i := range last + 1 {
				seconds[block(behind, fmt.Sprintf("0x%x", i)).Timestamp] = true
			}
			if uint64(len(seconds)) != last+1 {
				t.Errorf("%d blocks have %d timestamps", last+1, len(seconds))
			}
		})
	}
}
