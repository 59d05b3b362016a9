package ordering

import (
	"fmt"

	"github.com/ordo-network/ordo/order"
	orderingv1 "github.com/ordo-network/ordo/sequencer/ordering/v1"
)

// Params are the rules of ordering that governance may change.
type Params = orderingv1.Params

// Bounds of the parameters. They keep fees of a whole block below 2^64 and the
// window of carried bundles below a day of blocks.
const (
	maxFeePerKilobyte = 1 << 40
	maxExpiryBlocks   = 1 << 20
)

// DefaultParams returns the rules of a new chain: 1 uordo for 1,000 bytes, a
// minute of 100 ms blocks until a bundle must have been ordered, 1 MiB a block.
func DefaultParams() Params {
	return Params{
		FeePerKilobyte:  1000,
		MaxExpiryBlocks: 600,
		MaxBundleBytes:  256 << 10,
		MaxBatchBytes:   1 << 20,
	}
}

// ValidateParams checks that the chain can run under the rules.
func ValidateParams(p Params) error {
	switch {
	case p.FeePerKilobyte > maxFeePerKilobyte:
		return fmt.Errorf("fee_per_kilobyte is %d, at most %d", p.FeePerKilobyte, uint64(maxFeePerKilobyte))
	case p.MaxExpiryBlocks == 0 || p.MaxExpiryBlocks > maxExpiryBlocks:
		return fmt.Errorf("max_expiry_blocks is %d, want 1 to %d", p.MaxExpiryBlocks, maxExpiryBlocks)
	case p.MaxBundleBytes == 0 || p.MaxBundleBytes > order.MaxBundleBytes:
		return fmt.Errorf("max_bundle_bytes is %d, want 1 to %d", p.MaxBundleBytes, order.MaxBundleBytes)
	case p.MaxBatchBytes > order.MaxBatchBytes:
		return fmt.Errorf("max_batch_bytes is %d, at most %d", p.MaxBatchBytes, order.MaxBatchBytes)
	case p.MaxBatchBytes < uint64(order.BundleSizeInBatch(int(p.MaxBundleBytes))):
		return fmt.Errorf("max_batch_bytes is %d, too small for a bundle of max_bundle_bytes (%d)", p.MaxBatchBytes, p.MaxBundleBytes)
	}
	return nil
}

// Fee returns what a bundle of that many bytes costs, in uordo.
func Fee(bytes, feePerKilobyte uint64) uint64 { return (bytes*feePerKilobyte + 999) / 1000 }
