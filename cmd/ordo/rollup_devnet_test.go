package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"

	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/ordo-network/ordo/config"
	"github.com/ordo-network/ordo/da/layers"
	"github.com/ordo-network/ordo/devnet"
	"github.com/ordo-network/ordo/keys"
	"github.com/ordo-network/ordo/relayer"
	"github.com/ordo-network/ordo/rollup"
	"github.com/ordo-network/ordo/sequencer/app"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
)

// bank is a sequencer node that takes transfers.
type bank struct {
	sequencerv1connect.UnimplementedSequencerServiceHandler
	t   *testing.T
	enc *app.Encoding

	mu sync.Mutex
	to []string // who got something
}

func (b *bank) GetAccount(context.Context, *connect.Request[sequencerv1.GetAccountRequest]) (*connect.Response[sequencerv1.GetAccountResponse], error) {
	return connect.NewResponse(&sequencerv1.GetAccountResponse{AccountNumber: 3, Sequence: 5}), nil
}

func (b *bank) SubmitTransaction(_ context.Context, r *connect.Request[sequencerv1.SubmitTransactionRequest]) (*connect.Response[sequencerv1.SubmitTransactionResponse], error) {
	tx, err := b.enc.TxConfig.TxDecoder()(r.Msg.GetTransaction())
	if err != nil {
		b.t.Error(err)
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range tx.GetMsgs() {
		if send := m.(*banktypes.MsgSend); send.Amount.IsAllPositive() {
			b.to = append(b.to, send.ToAddress)
		}
	}
	return connect.NewResponse(&sequencerv1.SubmitTransactionResponse{Height: 18}), nil
}

// aDevnet lays out what a node that joins a devnet reads of it, and the settings of its relayer.
func aDevnet(t *testing.T) (net string, relays relayer.Config, pays *bank) {
	t.Helper()
	net = t.TempDir()
	comet := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"jsonrpc": "2.0", "id": 1, "result": {"sync_info": {"latest_block_height": "17"}}}`))
	}))
	t.Cleanup(comet.Close)
	enc, err := app.NewEncoding()
	if err != nil {
		t.Fatal(err)
	}
	pays = &bank{t: t, enc: enc}
	mux := http.NewServeMux()
	mux.Handle(sequencerv1connect.NewSequencerServiceHandler(pays))
	sequencer := httptest.NewServer(mux)
	t.Cleanup(sequencer.Close)
	e := devnet.Endpoints{
		ChainID: devnet.ChainID, CometRPC: comet.URL, Sequencers: []string{"http://127.0.0.1:1", sequencer.URL}, Genesis: filepath.Join(net, "genesis.json"),
		Rollups: []devnet.RollupEndpoint{{Name: "alpha"}},
	}
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	relays = relayer.DefaultConfig()
	relays.Sequencers, relays.Rollups = e.Sequencers, []string{"alpha"}
	err = errors.Join(
		os.WriteFile(e.Genesis, []byte("{}"), 0o600),
		os.WriteFile(devnet.EndpointsFile(net), raw, 0o600),
		rollup.Init(filepath.Join(net, "rollup-alpha"), rollup.InitOptions{
			Name: "alpha", ChainID: 1, Sequencers: e.Sequencers, SequencerGenesis: e.Genesis,
			DA: rollup.DAConfig{Layer: "local", Config: layers.Config{Endpoint: "http://127.0.0.1:2"}},
		}),
		config.Write(filepath.Join(net, "relayer", "config.toml"), relays),
	)
	if err != nil {
		t.Fatal(err)
	}
	return net, relays, pays
}

// A node is laid out once its devnet relays it, not before: whoever was interrupted, or could
// not, runs the command again.
func TestJoinDevnetIsFinishedByASecondRun(t *testing.T) {
	t.Parallel()
	net, relays, pays := aDevnet(t)
	home := filepath.Join(t.TempDir(), "mine")
	join := func() (string, error) {
		var out bytes.Buffer
		cmd := newRollupCmd()
		cmd.SetArgs([]string{"init", "--home", home, "--name", "mine", "--chain-id", "4242", "--devnet", net})
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		err := cmd.Execute()
		return out.String(), err
	}
	settings := filepath.Join(net, "relayer", "config.toml")
	if err := os.WriteFile(settings, []byte("rollups = []"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := join(); err == nil || !strings.Contains(err.Error(), settings) {
		t.Fatalf("the relayer cannot take it: %v", err)
	}
	if _, err := rollup.LoadConfig(home); err == nil {
		t.Error("the node is laid out, and nobody relays it")
	}
	payer, err := os.ReadFile(filepath.Join(home, "payer.json"))
	if err != nil {
		t.Fatal(err)
	}
	// As a run leaves it that was killed between the two.
	relays.Rollups, relays.StartHeights = append(relays.Rollups, "mine"), map[string]uint64{"mine": 16}
	if err := config.Write(settings, relays); err != nil {
		t.Fatal(err)
	}
	out, err := join()
	if err != nil || !strings.Contains(out, "the devnet's relayer posts its data") {
		t.Fatalf("the second run: %v\n%s", err, out)
	}
	cfg, err := rollup.LoadConfig(home)
	if err != nil || cfg.StartHeight != 17 || cfg.DA.Layer != "local" {
		t.Errorf("the settings are %+v: %v", cfg, err)
	}
	got, err := relayer.LoadConfig(filepath.Join(net, "relayer"))
	if err != nil || !slices.Equal(got.Rollups, []string{"alpha", "mine"}) || got.StartHeights["mine"] > 17 {
		t.Errorf("the relayer has %v from %v: %v", got.Rollups, got.StartHeights, err)
	}
	if now, err := os.ReadFile(filepath.Join(home, "payer.json")); err != nil || !bytes.Equal(now, payer) {
		t.Errorf("the payer is another one: %v", err)
	}
	own, err := keys.Load(filepath.Join(home, "payer.json"))
	if err != nil {
		t.Fatal(err)
	}
	if given, err := keys.Load(filepath.Join(net, "rollup-alpha", "payer.json")); err != nil || given.Equal(own) {
		t.Errorf("it pays with the key of the devnet's rollup: %v", err)
	}
	pays.mu.Lock()
	defer pays.mu.Unlock()
	if me := keys.Address(own.Public().(ed25519.PublicKey)); len(pays.to) == 0 || slices.ContainsFunc(pays.to, func(to string) bool { return to != me }) {
		t.Errorf("funds went to %v, the payer is %s", pays.to, me)
	}
	if _, err := join(); err == nil || !strings.Contains(err.Error(), "is a rollup node already") {
		t.Errorf("the third run: %v", err)
	}
	if _, err := os.Stat(filepath.Join(home, "config.toml.tmp")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
}
