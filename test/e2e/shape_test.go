package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ordo-network/ordo/devnet"
)

// TestAnotherShape runs the smallest sequencer with a third rollup, with the output
// that a person gets, and ends it as systemd would.
func TestAnotherShape(t *testing.T) {
	if testing.Short() {
		t.Skip("it is not part of the basic flow")
	}
	n := newHome(t)
	cmd := exec.Command(binary, "devnet", "--home", n.home, "--base-port", strconv.Itoa(n.basePort),
		"--validators", "1", "--rollups", "3", "--block-time", "50ms", "--verbose")
	output := new(lockedBuffer)
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // gone already where all went well

	eventually(t, startTime, "the banner", func() (err error) {
		n.endpoints, err = devnet.LoadEndpoints(devnet.EndpointsFile(n.home))
		return err
	})
	gamma := n.rollup(t, "gamma")
	if gamma.ChainID != 31339 || len(n.endpoints.Sequencers) != 1 {
		t.Errorf("the endpoints are %+v", n.endpoints)
	}
	w := newWallet(t, gamma, dial(t, gamma.WS), 0)
	transfer(t, w)
	processes(t, n)

	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-exited:
		if err != nil {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(stopTime):
		t.Fatalf("it did not stop:\n%s", output)
	}
	shown := output.String()
	for _, want := range []string{
		"1 validator, 3 rollups", gamma.RPC, devnet.Mnemonic, devnet.Accounts[9].PrivateKey, "tx watch --home " + n.home,
		"rollup-gamma | ", "validator-0  | ", "stopping",
	} {
		if !strings.Contains(shown, want) {
			t.Errorf("%q is not shown:\n%s", want, shown)
		}
	}
	if strings.Contains(shown, " ended ") {
		t.Errorf("a process died:\n%s", shown)
	}
}

// processes checks the file by which programs find the processes of a network.
func processes(t *testing.T, n *network) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(n.home, "processes.json"))
	if err != nil {
		t.Fatal(err)
	}
	var pids map[string]int
	if err := json.Unmarshal(raw, &pids); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"devnet", "validator-0", "relayer", "rollup-alpha", "rollup-beta", "rollup-gamma"} {
		if !running(pids[name]) {
			t.Errorf("%s does not run as process %d", name, pids[name])
		}
	}
	if len(pids) != 6 {
		t.Errorf("the processes are %v", pids)
	}
}
