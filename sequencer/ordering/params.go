package ordering

import (
	"fmt"

	sdkmath "cosmossdk.io/math"

	"github.com/ordo-network/ordo/order"
	orderingv1 "github.com/ordo-network/ordo/sequencer/ordering/v1"
)

// Params are the rules of ordering that governance may change.
type Params = orderingv1.Params

// Bounds of the parameters. They keep fees of a whole block below 2^64, the window
// of carried bundles below a day of blocks, and what a block takes in memory within
// what a small machine has.
const (
	maxFeePerKilobyte = 1 << 40
	maxExpiryBlocks   = 1 << 20
	// Followers take blocks of 84 MiB: that much data, as much again to show that batches
	// of it are void, records of legs, and for each batch that is void up to 115 KiB of
	// proofs, whatever the stakes (follower.MaxBlockBytes has the sum).
	maxBlockBytes            = 24 << 20
	maxBlockCertificates     = 256
	maxBlockCertificateBytes = 3 << 20
	// A block is full where the largest batch that there may be has no room any more: a
	// block of no more than that would be full from the start, and order nothing.
	minBlockBytes = 2 * order.MaxBatchBytes
	// A batch is attested, certified and ordered within its epoch and the next.
	minEpochBlocks    = 10
	maxEpochBlocks    = 1 << 20
	maxLaneQuotaBytes = 1 << 36
	maxRetainEpochs   = 1 << 20
	// minRetainEpochs: a block orders batches of its epoch and the one before.
	minRetainEpochs = 1
	maxFractionLen  = 20 // "0." and 18 digits, which is all that a fraction has
)

// DefaultParams returns the rules of a new chain: 1 uordo for 1,000 bytes, a
// minute of 100 ms blocks until a bundle must have been ordered, 2 MiB a batch and
// 24 MiB and 256 batches a block, an epoch a minute, two weeks of epochs kept.
func DefaultParams() Params {
	return Params{
		FeePerKilobyte:            1000,
		MaxExpiryBlocks:           600,
		MaxBundleBytes:            256 << 10,
		MaxBatchBytes:             order.MaxBatchBytes,
		MaxBlockBytes:             24 << 20,
		MaxBlockCertificates:      maxBlockCertificates,
		MaxBlockCertificateBytes:  2 << 20,
		EpochBlocks:               600,
		LaneQuotaBytes:            64 << 20,
		SlashFractionEquivocation: "0.05",
		RetainEpochs:              20160,
	}
}

// ValidateParams checks that the chain can run under the rules. Each lane must be able
// to bring in its largest batch, or the rule that no lane is left behind would ask for
// the impossible.
func ValidateParams(p Params) error {
	for _, b := range []struct {
		name            string
		have, low, high uint64
	}{
		{"fee_per_kilobyte", p.FeePerKilobyte, 0, maxFeePerKilobyte},
		{"max_expiry_blocks", p.MaxExpiryBlocks, 1, maxExpiryBlocks},
		{"max_bundle_bytes", p.MaxBundleBytes, 1, order.MaxBundleBytes},
		{"max_batch_bytes", p.MaxBatchBytes, 1, order.MaxBatchBytes},
		{"max_block_bytes", p.MaxBlockBytes, minBlockBytes, maxBlockBytes},
		{"max_block_certificates", p.MaxBlockCertificates, 1, maxBlockCertificates},
		{"max_block_certificate_bytes", p.MaxBlockCertificateBytes, order.MaxCertificateBytes, maxBlockCertificateBytes},
		{"epoch_blocks", p.EpochBlocks, minEpochBlocks, maxEpochBlocks},
		{"lane_quota_bytes", p.LaneQuotaBytes, p.MaxBatchBytes, maxLaneQuotaBytes},
		{"retain_epochs", p.RetainEpochs, minRetainEpochs, maxRetainEpochs},
	} {
		if b.have < b.low || b.have > b.high {
			return fmt.Errorf("%s is %d, want %d to %d", b.name, b.have, b.low, b.high)
		}
	}
	if p.MaxBatchBytes < uint64(order.BundleSizeInBatch(int(p.MaxBundleBytes))) {
		return fmt.Errorf("max_batch_bytes is %d, too small for a bundle of max_bundle_bytes (%d)", p.MaxBatchBytes, p.MaxBundleBytes)
	}
	_, err := slashFraction(p)
	return err
}

// slashFraction returns the share of its stake that equivocation costs a validator.
func slashFraction(p Params) (sdkmath.LegacyDec, error) {
	s := p.SlashFractionEquivocation
	if len(s) <= maxFractionLen {
		f, err := sdkmath.LegacyNewDecFromStr(s)
		if err == nil && !f.IsNegative() && f.LTE(sdkmath.LegacyOneDec()) {
			return f, nil
		}
	}
	return sdkmath.LegacyDec{}, fmt.Errorf("slash_fraction_equivocation is %q, want 0 to 1 as \"0.05\"", s)
}

// Fee returns what a bundle of that many bytes costs, in uordo.
func Fee(bytes, feePerKilobyte uint64) uint64 { return (bytes*feePerKilobyte + 999) / 1000 }
