package ethclients

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/ordo-network/ordo/execution/evm"
	"github.com/ordo-network/ordo/internal/gobuild"
)

var programs = []Program{Geth, OPGeth}

func TestBuildIDIsThatOfTheModule(t *testing.T) {
	for _, p := range programs {
		if err := gobuild.CheckSum("../../"+p.Module, p.buildID); err != nil {
			t.Error(err)
		}
	}
}

func TestBinaryThatIsNotBuiltSaysHow(t *testing.T) {
	t.Setenv(gobuild.EnvCache, t.TempDir())
	for _, p := range programs {
		t.Setenv(p.Env, "")
		if _, err := p.Binary(); !errors.Is(err, ErrNotBuilt) || !strings.Contains(err.Error(), "make "+p.target) {
			t.Errorf("the error is %v", err)
		}
		t.Setenv(p.Env, "/nowhere/"+p.Name)
		if _, err := p.Binary(); !errors.Is(err, ErrNotBuilt) {
			t.Errorf("the error is %v", err)
		}
	}
}

// TestClientAnswersAfterKill: it is there again at the same addresses.
func TestClientAnswersAfterKill(t *testing.T) {
	for _, p := range programs {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			if _, err := p.Binary(); err != nil {
				t.Skip(err)
			}
			genesis, err := evm.EncodeGenesis(evm.DevGenesis(4242, nil))
			if err != nil {
				t.Fatal(err)
			}
			client, err := Start(t.Context(), Options{Program: p, Dir: t.TempDir(), Genesis: genesis})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = client.Stop() }()
			chainID(t, client.RPCURL())
			client.Kill()
			again, err := client.Restart(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = again.Stop() }()
			chainID(t, client.RPCURL())
			if again.EngineURL() != client.EngineURL() {
				t.Errorf("the Engine API is at %s, was at %s", again.EngineURL(), client.EngineURL())
			}
			if _, err := os.Stat(again.SecretFile()); err != nil {
				t.Error(err)
			}
			if err := again.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

func chainID(t *testing.T, url string) {
	t.Helper()
	resp, err := http.Post(url, "application/json", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(body.String(), `"0x1092"`) {
		t.Errorf("eth_chainId answers %s", body.String())
	}
}
