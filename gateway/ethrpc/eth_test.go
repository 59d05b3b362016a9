package ethrpc_test

import (
	"testing"

	"github.com/ethereum/go-ethereum/core/types"
)

func TestTransfer(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.run()
	tx := transfer(0, 0, nil)
	r.mustSend(tx)
	if receipt := r.receipt(tx); receipt.Status != types.ReceiptStatusSuccessful {
		t.Errorf("status %d", receipt.Status)
	}
}
