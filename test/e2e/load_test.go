package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
)

// load keeps sending transfers to the rollups of a network, whatever happens to
// it, and remembers which were acknowledged.
type load struct {
	cancel context.CancelFunc
	wait   sync.WaitGroup

	mu    sync.Mutex
	acked map[string][]common.Hash // by rollup
	err   error
}

const (
	// loadSenders are accounts 1 to 4 on each rollup.
	loadSenders = 4
	loadPause   = 20 * time.Millisecond
)

func startLoad(t *testing.T, n *network) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{cancel: cancel, acked: map[string][]common.Hash{}}
	for _, r := range n.endpoints.Rollups {
		client := dial(t, r.RPC)
		for i := 1; i <= loadSenders; i++ {
			w := newWallet(t, r, client, i)
			l.wait.Go(func() {
				if err := l.run(ctx, r.Name, w); err != nil && ctx.Err() == nil {
					l.mu.Lock()
					defer l.mu.Unlock()
					l.err = errors.Join(l.err, fmt.Errorf("%s: %w", r.Name, err))
				}
			})
		}
	}
	t.Cleanup(func() { cancel(); l.wait.Wait() })
	return l
}

// run sends one transfer after the other from one account. Each is sent again,
// unchanged, until the node says that it has it.
func (l *load) run(ctx context.Context, rollup string, w *wallet) error {
	nonce, err := w.client.PendingNonceAt(ctx, w.address)
	if err != nil {
		return err
	}
	to := common.HexToAddress("0x00000000000000000000000000000000000e2e03")
	for ; ctx.Err() == nil; nonce++ {
		tx, err := w.sign(nonce, &to, big.NewInt(1), nil, 21_000)
		if err != nil {
			return err
		}
		for tries := 0; ; tries++ {
			retry, err := submit(ctx, w, tx, tries > 0)
			if err != nil {
				return fmt.Errorf("nonce %d of %s: %w", nonce, w.address, err)
			}
			if !retry {
				break
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(poll):
			}
		}
		l.mu.Lock()
		l.acked[rollup] = append(l.acked[rollup], tx.Hash())
		l.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(loadPause):
		}
	}
	return nil
}

// submit sends a transaction once. Again says that it was sent before without an
// answer: then the node may have it already.
func submit(ctx context.Context, w *wallet, tx *types.Transaction, again bool) (retry bool, err error) {
	err = w.client.SendTransaction(ctx, tx)
	var rpcErr interface{ ErrorCode() int }
	switch {
	case err == nil:
		return false, nil
	case !errors.As(err, &rpcErr):
		return true, nil // no answer, the node is down
	case again && (strings.Contains(err.Error(), "already known") || strings.Contains(err.Error(), "nonce too low")):
		return false, nil
	case strings.Contains(err.Error(), "not ready") || strings.Contains(err.Error(), "busy"):
		return true, nil
	}
	return false, err
}

// count returns how many transfers were acknowledged so far, on all rollups.
func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	total := 0
	for _, hashes := range l.acked {
		total += len(hashes)
	}
	return total
}

// more waits until so many more transfers were acknowledged.
func (l *load) more(t *testing.T, n int) {
	t.Helper()
	want := l.count() + n
	eventually(t, settleTime, fmt.Sprintf("%d more acknowledged transfers", n), func() error {
		if got := l.count(); got < want {
			l.mu.Lock()
			defer l.mu.Unlock()
			return errors.Join(fmt.Errorf("there are %d of %d", got, want), l.err)
		}
		return nil
	})
}

// stop ends the load and returns what was acknowledged, by rollup.
func (l *load) stop(t *testing.T) map[string][]common.Hash {
	t.Helper()
	l.cancel()
	l.wait.Wait()
	if l.err != nil {
		t.Errorf("the load was refused: %v", l.err)
	}
	return l.acked
}
