package celestia

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ordo-network/ordo/internal/freeport"
	"github.com/ordo-network/ordo/test/await"
)

// options of a network of the test's own. Where the binaries are not built the test is
// skipped and says how to build them.
func options(t *testing.T) Options {
	t.Helper()
	app, node, err := Binaries(t.Context())
	if errors.Is(err, ErrNotBuilt) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return Options{Dir: t.TempDir(), AppBinary: app, NodeBinary: node}
}

func started(t *testing.T, o Options) *Network {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	began := time.Now()
	n, err := Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Stop() })
	t.Logf("started in %v", time.Since(began))
	return n
}

type answer struct {
	status int
	Result json.RawMessage
	Error  struct{ Message string }
}

// ask asks the bridge as anybody would who knows celestia-node's JSON-RPC.
func ask(t *testing.T, n *Network, token, method string, params ...any) answer {
	t.Helper()
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, n.Endpoint(), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	a := answer{status: resp.StatusCode}
	if err == nil && resp.StatusCode != http.StatusUnauthorized { // which says nothing more
		err = json.Unmarshal(raw, &a)
	}
	if err != nil {
		t.Fatalf("%s: %s: %s: %v", method, resp.Status, raw, err)
	}
	return a
}

type blob struct {
	Namespace    []byte `json:"namespace"`
	Data         []byte `json:"data"`
	ShareVersion int    `json:"share_version"`
}

// namespace is one of version 0, whose ID has 18 leading zeros.
var namespace = append(make([]byte, 19), "ordo-tests"...)

func submit(t *testing.T, n *Network, data []byte) (height uint64) {
	t.Helper()
	began := time.Now()
	a := ask(t, n, n.Token(), "blob.Submit", []blob{{Namespace: namespace, Data: data}}, struct{}{})
	if err := json.Unmarshal(a.Result, &height); err != nil || height == 0 {
		t.Fatalf("submit %d bytes: %s %+v", len(data), a.Result, a.Error)
	}
	t.Logf("%d bytes landed in block %d in %v", len(data), height, time.Since(began))
	return height
}

func has(t *testing.T, n *Network, height uint64, data []byte) bool {
	t.Helper()
	var blobs []blob
	a := ask(t, n, n.Token(), "blob.GetAll", height, [][]byte{namespace})
	if err := json.Unmarshal(a.Result, &blobs); err != nil {
		t.Fatalf("read block %d: %s %+v", height, a.Result, a.Error)
	}
	for _, b := range blobs {
		if bytes.Equal(b.Data, data) {
			return true
		}
	}
	return false
}

// pattern is data that is the same at each call and does not repeat.
func pattern(size int) []byte {
	out := make([]byte, 0, size+sha256.Size)
	for i := 0; len(out) < size; i++ {
		sum := sha256.Sum256([]byte(strconv.Itoa(i)))
		out = append(out, sum[:]...)
	}
	return out[:size]
}

func TestNetworkGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	o := options(t)
	n := started(t, o)
	small, large := pattern(6_000), pattern(1_500_000)
	first := submit(t, n, small)
	second := submit(t, n, large)
	read := func(when string) {
		t.Helper()
		if !has(t, n, first, small) || !has(t, n, second, large) {
			t.Fatalf("%s: the blobs of blocks %d and %d are not there", when, first, second)
		}
	}
	read("at once")
	if has(t, n, first, large) {
		t.Fatal("a block has what another has")
	}
	endpoint := n.Endpoint()
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	if conn, err := net.Dial("tcp", strings.TrimPrefix(endpoint, "http://")); err == nil {
		conn.Close()
		t.Fatal("it listens after Stop")
	}

	n = started(t, o)
	if n.Endpoint() != endpoint {
		t.Errorf("it is at %s now, and was at %s", n.Endpoint(), endpoint)
	}
	read("after a stop")
	if third := submit(t, n, small); third <= second {
		t.Errorf("block %d comes after %d", third, second)
	}

	app, bridge := n.PIDs()
	if err := errors.Join(syscall.Kill(app, syscall.SIGKILL), syscall.Kill(bridge, syscall.SIGKILL)); err != nil {
		t.Fatal(err)
	}
	<-n.Done()
	if err := n.Stop(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("Stop of what was killed says %v", err)
	}
	n = started(t, o)
	read("after a kill")
	submit(t, n, small)
}

func TestBridgeAsksForTheToken(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Auth, o.BlockTime = true, minBlockTime
	n := started(t, o)
	submit(t, n, pattern(100))
	for _, token := range []string{"", "wrong"} {
		a := ask(t, n, token, "blob.Submit", []blob{{Namespace: namespace, Data: []byte("x")}}, struct{}{})
		if a.status != http.StatusUnauthorized && a.Error.Message == "" {
			t.Errorf("the token %q passes", token)
		}
	}
}

// Nothing may be reached from other machines, and no port is fixed that a second
// network would want as well.
func TestNetworksDoNotMeet(t *testing.T) {
	t.Parallel()
	a, b := started(t, options(t)), started(t, options(t))
	if a.Endpoint() == b.Endpoint() || a.AppRPC() == b.AppRPC() {
		t.Errorf("they share %s or %s", a.Endpoint(), a.AppRPC())
	}
	for _, n := range []*Network{a, b} {
		app, bridge := n.PIDs()
		for _, pid := range []int{app, bridge} {
			for _, addr := range listening(t, pid) {
				if !strings.HasPrefix(addr, "0100007F:") { // 127.0.0.1
					t.Errorf("process %d listens on %s", pid, addr)
				}
			}
		}
	}
	height := submit(t, a, pattern(100))
	await.Until(t, "the second network is as far as the first", func() bool {
		var head struct{ Header struct{ Height string } }
		if err := json.Unmarshal(ask(t, b, "", "header.NetworkHead").Result, &head); err != nil {
			t.Fatal(err)
		}
		at, err := strconv.ParseUint(head.Header.Height, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return at >= height
	})
	if has(t, b, height, pattern(100)) {
		t.Error("the second network has the first one's blob")
	}
}

func TestPortThatIsTakenIsNamed(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	u, err := url.Parse("http://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	_, err = Start(t.Context(), Options{Dir: t.TempDir(), AppBinary: "none", NodeBinary: "none", Port: port})
	if err == nil || !strings.Contains(err.Error(), "port "+u.Port()) {
		t.Errorf("the error is %v", err)
	}
}

func TestNetworkKeepsItsPort(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := endpointPort(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := endpointPort(dir, 0); err != nil || again != first {
		t.Errorf("port %d, then %d: %v", first, again, err)
	}
	other, err := freeport.Claim(1)
	if err != nil {
		t.Fatal(err)
	}
	for _, asked := range []int{other, 0} {
		if port, err := endpointPort(dir, asked); err != nil || port != other {
			t.Errorf("moved to port %d, and %d was asked for: %v", port, other, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "port.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := endpointPort(dir, 0); err == nil {
		t.Error("a port file that is none passes")
	}
}

// script writes a program that stands for a binary.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// dirWithChain has what openChain takes for a chain.
func dirWithChain(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "chain"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Those that run scripts are not parallel: a fork elsewhere while a script is written
// would hold it open, and an open file cannot be executed.
func TestProcessThatDiesSaysWhy(t *testing.T) {
	program := script(t, "echo out of luck; exit 3")
	_, err := Start(t.Context(), Options{Dir: dirWithChain(t), AppBinary: program, NodeBinary: program})
	if err == nil || !strings.Contains(err.Error(), "celestia-app ended: exit status 3: out of luck") {
		t.Errorf("the error is %v", err)
	}
}

func TestChainThatCannotBeMadeLeavesNone(t *testing.T) {
	program, dir := script(t, "echo no room >&2; exit 1"), t.TempDir()
	for range 2 {
		_, err := Start(t.Context(), Options{Dir: dir, AppBinary: program, NodeBinary: program})
		if err == nil || !strings.Contains(err.Error(), "no room") {
			t.Errorf("the error is %v", err)
		}
		if _, err := os.Stat(filepath.Join(dir, "chain")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("there is a chain: %v", err)
		}
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	program := script(t, "exec sleep 1000")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := Start(ctx, Options{Dir: dirWithChain(t), AppBinary: program, NodeBinary: program})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
}

func TestBlockTimeHasABound(t *testing.T) {
	t.Parallel()
	if _, err := Start(t.Context(), Options{Dir: t.TempDir(), BlockTime: time.Millisecond}); err == nil || !strings.Contains(err.Error(), "100ms") {
		t.Errorf("the error is %v", err)
	}
}
