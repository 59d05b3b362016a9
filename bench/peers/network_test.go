package peers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	cmttypes "github.com/cometbft/cometbft/types"

	"github.com/ordo-network/ordo/internal/freeport"
)

// TestMain lets the test binary be a validator, where it gets a home.
func TestMain(m *testing.M) {
	if len(os.Args) != 2 || os.Args[1][0] == '-' {
		os.Exit(m.Run())
	}
	if err := Run(context.Background(), os.Args[1], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// network runs validators and returns a client of each.
func network(t *testing.T, n int, s Settings) (dir string, clients []Client) {
	t.Helper()
	dir = t.TempDir()
	first, err := freeport.Claim(2 * n)
	if err != nil {
		t.Fatal(err)
	}
	ports := func(i int) Ports { return Ports{P2P: first + 2*i, Door: first + 2*i + 1} }
	if err := Init(dir, n, s, ports); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		// A process for each: some of CometBFT's routines outlive its Stop and may then panic.
		cmd := exec.Command(os.Args[0], Home(dir, i))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill() // Wait tells more
			_ = cmd.Wait()         // it was killed
		})
		clients = append(clients, Client{URL: "http://" + loopback(ports(i).Door), HTTP: http.DefaultClient})
	}
	ctx := t.Context()
	for _, c := range clients {
		deadline := time.Now().Add(30 * time.Second)
		for {
			h, err := c.Height(ctx)
			if h > 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("no block: %v", err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return dir, clients
}

func TestWhatIsSubmittedIsReadOnceAndVerified(t *testing.T) {
	for name, gossip := range map[string]bool{"gossip": true, "no gossip": false} {
		t.Run(name, func(t *testing.T) {
			s := DefaultSettings()
			s.Gossip = gossip
			dir, clients := network(t, 4, s)
			genesis, err := cmttypes.GenesisDocFromFile(GenesisFile(dir))
			if err != nil {
				t.Fatal(err)
			}
			want := map[[32]byte]int{}
			var txs [][]byte
			for i := range 40 {
				tx := bytes.Repeat([]byte{byte(i)}, 20_000+i)
				txs, want[sha256.Sum256(tx)] = append(txs, tx), len(tx)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			read := make(chan Block, 1000)
			failed := make(chan error, 1)
			ready := make(chan struct{})
			go func() {
				failed <- clients[2].Blocks(ctx, genesis, func() { close(ready) }, func(b Block) { read <- b })
			}()
			heads := make(chan uint64, 1000)
			go func() { _ = clients[1].Heads(ctx, func(h uint64) { heads <- h }) }() // ends with ctx
			<-ready
			for i, tx := range txs {
				if err := clients[i%4].Submit(ctx, tx); err != nil {
					t.Error(err)
				}
			}
			<-heads
			for len(want) > 0 {
				select {
				case err := <-failed:
					t.Fatal(err)
				case b := <-read:
					for _, tx := range b.Txs {
						if size, ok := want[tx.Key]; !ok || size != tx.Size {
							t.Fatalf("height %d has transaction %x of %d bytes, want %d", b.Height, tx.Key, tx.Size, size)
						}
						delete(want, tx.Key)
					}
				}
			}
		})
	}
}

func TestABlockThatWasAlteredDoesNotVerify(t *testing.T) {
	dir, clients := network(t, 1, DefaultSettings())
	genesis, err := cmttypes.GenesisDocFromFile(GenesisFile(dir))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	payload := bytes.Repeat([]byte("payload"), 100)
	alter := Client{URL: clients[0].URL, HTTP: &http.Client{Transport: altering{[]byte("payload"), []byte("PAYLOAD")}}}
	failed := make(chan error, 1)
	go func() { failed <- alter.Blocks(ctx, genesis, func() {}, func(Block) {}) }()
	for i := byte(0); ; i++ {
		if err := clients[0].Submit(ctx, append(payload, i)); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-failed:
			if !errors.Is(err, ErrUnverified) || !strings.Contains(err.Error(), "data of height") {
				t.Fatalf("altered block: %v", err)
			}
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// altering replaces bytes in the body of what a server sends.
type altering struct{ from, to []byte }

func (a altering) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		resp.Body = &alteredBody{resp.Body, a}
	}
	return resp, err
}

type alteredBody struct {
	body interface {
		Read([]byte) (int, error)
		Close() error
	}
	a altering
}

func (b *alteredBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	copy(p, bytes.ReplaceAll(p[:n], b.a.from, b.a.to))
	return n, err
}

func (b *alteredBody) Close() error { return b.body.Close() }

func TestInitRefusesWhatCannotRun(t *testing.T) {
	ports := func(int) Ports { return Ports{} }
	if err := Init(t.TempDir(), 0, DefaultSettings(), ports); err == nil || !strings.Contains(err.Error(), "0 validators") {
		t.Errorf("no validators: %v", err)
	}
	small := DefaultSettings()
	small.BlockBytes = 1000
	if err := Init(t.TempDir(), 1, small, ports); err == nil || !strings.Contains(err.Error(), "1000 bytes") {
		t.Errorf("tiny blocks: %v", err)
	}
	if err := Run(t.Context(), t.TempDir(), os.Stderr); err == nil || !strings.Contains(err.Error(), "not the home of a peer") {
		t.Errorf("run in an empty directory: %v", err)
	}
}
