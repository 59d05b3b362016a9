// Package ts holds the store in TypeScript against what every virtual machine must keep.
package ts

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/astria"
	"github.com/ordo-network/ordo/execution/executiontest"
)

// needNode skips where the program's packages were not installed.
func needNode(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("node_modules/tsx"); err != nil {
		t.Skip("run `npm ci --ignore-scripts` in examples/ts first: this test needs its packages")
	}
}

// machine is the client of a store whose process ends with it.
type machine struct {
	*astria.Client
	cmd  *exec.Cmd
	http string
}

func (m *machine) Close() error {
	_ = m.cmd.Process.Kill()
	_ = m.cmd.Wait() // it was killed
	return m.Client.Close()
}

func start(t *testing.T, dir string) *machine {
	t.Helper()
	cmd := exec.Command("node", "--import", "tsx", "kv.ts", "--data", dir, "--chain-id", "ordo-test", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{cmd: cmd}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	endpoint := ""
	for lines := bufio.NewScanner(out); (endpoint == "" || m.http == "") && lines.Scan(); {
		if at, ok := strings.CutPrefix(lines.Text(), "execution on "); ok {
			endpoint, _, _ = strings.Cut(at, ",")
		}
		if at, ok := strings.CutPrefix(lines.Text(), "proofs on "); ok {
			m.http = at
		}
	}
	m.Client, err = astria.Dial(t.Context(), astria.Config{
		Endpoint: endpoint, RollupID: sha256.Sum256([]byte("kv")), ChainID: "ordo-test", Firm: true, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func set(key string, version uint64, value string) []byte {
	return fmt.Appendf(nil, `{"key":%q,"version":%d,"value":%q}`, key, version, value)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	needNode(t)
	executiontest.Run(t, executiontest.Harness{
		Open:        func(t *testing.T, dir string) execution.Client { return start(t, dir) },
		Transaction: func(_ *testing.T, n uint64) []byte { return set("count", n+1, "up") },
		Invalid:     [][]byte{set("other", 0, ""), set("other", 2, ""), []byte(`{"key":1}`), []byte(`null`)},
		EveryHeight: true,
	})
}

// Whoever knows the tree's root need not believe the store.
func TestProof(t *testing.T) {
	t.Parallel()
	needNode(t)
	m := start(t, t.TempDir())
	s, err := m.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var txs [][]byte
	for i := range 5 {
		txs = append(txs, set(fmt.Sprintf("k%d", i), 1, "x"))
	}
	if _, err := m.Execute(t.Context(), s.Soft.Hash, executiontest.Harness{}.Block(1, txs...)); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		res, err := http.Get(fmt.Sprintf("%s/?key=k%d", m.http, i))
		if err != nil {
			t.Fatal(err)
		}
		var answer json.RawMessage
		err = json.NewDecoder(res.Body).Decode(&answer)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		const script = `import { verify } from "./merkle.ts"; const a = JSON.parse(process.argv[1]);
			const forged = { ...a.write, value: "y" };
			console.log(verify(a.block.root, a.write, a.proof), verify(a.block.root, forged, a.proof));`
		out, err := exec.Command("node", "--import", "tsx", "--input-type=module", "-e", script, string(answer)).CombinedOutput()
		if err != nil || string(out) != "true false\n" {
			t.Errorf("the proof of k%d, and of a forged value: %s, %v; want true and false; %s", i, out, err, answer)
		}
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}
