package ethrpc_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/common/hexutil"
)

// What an account has sent counts while it is executed, too: neither what it is told to use next
// goes back, nor is anything refused as if it came too early.
func TestNoncesGoOnWhileBlocksAreMade(t *testing.T) {
	t.Parallel()
	r := start(t)
	const n = 900
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for last := hexutil.Uint64(0); ; {
				select {
				case <-done:
					return
				default:
				}
				var next hexutil.Uint64
				if err := r.rpc.CallContext(t.Context(), &next, "eth_getTransactionCount", address(0), "pending"); err != nil || next < last {
					t.Errorf("nonce %d after %d: %v", next, last, err)
					return
				}
				last = next
			}
		})
	}
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				r.order()
			}
		}
	})
	for nonce := range n {
		raw, err := transfer(0, uint64(nonce), nil).MarshalBinary()
		if err == nil {
			err = r.rpc.CallContext(t.Context(), nil, "eth_sendRawTransaction", hexutil.Bytes(raw))
		}
		if err != nil {
			t.Error(fmt.Errorf("nonce %d: %w", nonce, err))
			break
		}
	}
	close(done)
	wg.Wait()
}
