package ethrpc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ordo-network/ordo/execution/terms"
	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/gateway/ordorpc"
)

// Bounds on bundles, as Flashbots has them.
const (
	maxBundleTxs      = 100
	maxBundleBytes    = 300_000
	maxReplacementLen = 128
)

// searchers are the methods that searchers know from Flashbots. A bundle is ordered as
// one and applied as one, or not at all: its bounds travel with it as terms, which every
// node of the rollup keeps. There is no auction: where it stands is for the order to say.
type searchers struct {
	door    *door
	evm     EVM
	allowed []string // who may send bundles
}

// sendBundleArgs are the parameters of eth_sendBundle.
type sendBundleArgs struct {
	Txs               []hexutil.Bytes `json:"txs"`
	BlockNumber       ordorpc.Number  `json:"blockNumber"`    // 0: any
	MaxBlockNumber    ordorpc.Number  `json:"maxBlockNumber"` // not of Flashbots: the last of several blocks that will do
	MinTimestamp      ordorpc.Number  `json:"minTimestamp"`
	MaxTimestamp      ordorpc.Number  `json:"maxTimestamp"`
	RevertingTxHashes []common.Hash   `json:"revertingTxHashes"`
	ReplacementUUID   string          `json:"replacementUuid"`

	// Known from other builders, and not kept here: what would be lost without a word.
	DroppingTxHashes []common.Hash  `json:"droppingTxHashes"`
	RefundPercent    ordorpc.Number `json:"refundPercent"`
}

// sentBundle is the answer of eth_sendBundle.
type sentBundle struct {
	// BundleHash is what ordo_bundleStatus takes: where the bundle is, and why it was
	// not included.
	BundleHash ordorpc.Hash `json:"bundleHash"`
}

// SendBundle takes a bundle of signed transactions for one block, or for one of several.
func (s *searchers) SendBundle(ctx context.Context, args sendBundleArgs) (*sentBundle, error) {
	from, signed, err := searcher(ctx)
	if err != nil {
		return nil, err
	}
	if err := mayBundle(ctx, s.allowed); err != nil {
		return nil, err
	}
	switch {
	case len(args.DroppingTxHashes) > 0:
		return nil, invalidParams{"droppingTxHashes is not offered: a bundle is applied whole. revertingTxHashes may revert"}
	case args.RefundPercent > 0:
		return nil, invalidParams{"refundPercent is not offered: nobody but the rollup's fee recipient is paid for order here"}
	}
	name, err := replacement(args.ReplacementUUID, from, signed)
	if err != nil {
		return nil, err
	}
	b, t, err := s.bundle(args)
	if err != nil {
		return nil, invalidParams{err.Error()}
	}
	b.Replacement = name
	if b, err = ordorpc.NewBundle(b, t); err != nil {
		return nil, invalidParams{err.Error()}
	}
	ref, err := ordorpc.AdmitBundle(ctx, s.door.gateway, b)
	if err != nil {
		return nil, err
	}
	return &sentBundle{BundleHash: ref}, nil
}

// mayBundle refuses callers who may not send bundles.
func mayBundle(ctx context.Context, allowed []string) error {
	if slices.Contains(allowed, "*") {
		return nil
	}
	from, signed, err := searcher(ctx)
	switch {
	case err != nil:
		return err
	case !signed:
		return invalidParams{"bundles are taken from known senders alone: sign the request (" + signatureHeader + ")"}
	case !slices.ContainsFunc(allowed, func(a string) bool { return strings.EqualFold(a, from.Hex()) }):
		return fmt.Errorf("bundles of %s are not taken here: ask the operator to add it to the setting rpc.bundles", from.Hex())
	}
	return nil
}

// replacement is a searcher's own name for bundles: nobody else can replace or cancel
// them.
func replacement(uuid string, from common.Address, signed bool) (string, error) {
	switch {
	case uuid == "":
		return "", nil
	case len(uuid) > maxReplacementLen:
		return "", invalidParams{fmt.Sprintf("replacementUuid has %d characters, at most %d", len(uuid), maxReplacementLen)}
	case !signed:
		return "", invalidParams{"replacementUuid needs the header " + signatureHeader + ": whose bundle is replaced or cancelled must be known"}
	}
	return senderName(from) + "/" + uuid, nil
}

func (s *searchers) bundle(args sendBundleArgs) (b gateway.Bundle, t *terms.Terms, err error) {
	if args.MaxBlockNumber == 0 {
		args.MaxBlockNumber = args.BlockNumber
	}
	if b.Txs, err = s.decode(args.Txs); err != nil {
		return b, nil, err
	}
	t = &terms.Terms{
		MinBlock: uint64(args.BlockNumber), MaxBlock: uint64(args.MaxBlockNumber),
		MinTime: uint64(args.MinTimestamp), MaxTime: uint64(args.MaxTimestamp),
	}
	for _, h := range args.RevertingTxHashes {
		t.MayRevert = append(t.MayRevert, h)
	}
	if head := s.evm.BlockChain().CurrentBlock().Number.Uint64(); t.MaxBlock != 0 && t.MaxBlock <= head {
		return b, nil, fmt.Errorf("block %d is past: the head is %d. On a rollup with several blocks a second, give a range: blockNumber to maxBlockNumber", t.MaxBlock, head)
	}
	return b, t, nil
}

// decode reads a bundle's transactions.
func (s *searchers) decode(raws []hexutil.Bytes) (txs []gateway.Tx, err error) {
	if len(raws) == 0 || len(raws) > maxBundleTxs {
		return nil, fmt.Errorf("bundle has %d transactions, want 1 to %d", len(raws), maxBundleTxs)
	}
	size := 0
	seen := make(map[[32]byte]bool)
	for i, raw := range raws {
		if size += len(raw); size > maxBundleBytes {
			return nil, fmt.Errorf("bundle has more than %d bytes", maxBundleBytes)
		}
		tx, err := s.door.bundled(raw)
		if err != nil {
			return nil, fmt.Errorf("transaction %d: %w", i, err)
		}
		if seen[tx.Hash] {
			return nil, fmt.Errorf("transaction %d is there twice", i)
		}
		seen[tx.Hash] = true
		txs = append(txs, tx)
	}
	return txs, nil
}

// cancelBundleArgs are the parameters of eth_cancelBundle.
type cancelBundleArgs struct {
	ReplacementUUID string `json:"replacementUuid"`
}

// CancelBundle ends the bundle that was sent last under the searcher's name for it, where
// it was not sent on yet, and returns its hash in a list.
func (s *searchers) CancelBundle(ctx context.Context, args cancelBundleArgs) ([]ordorpc.Hash, error) {
	from, signed, err := searcher(ctx)
	if err != nil {
		return nil, err
	}
	if args.ReplacementUUID == "" {
		return nil, invalidParams{"replacementUuid: want the one that the bundle was sent with"}
	}
	name, err := replacement(args.ReplacementUUID, from, signed)
	if err != nil {
		return nil, err
	}
	ref, err := ordorpc.Cancel(ctx, s.door.gateway, name)
	if err != nil {
		return nil, err
	}
	return []ordorpc.Hash{ref}, nil
}

// bundleHash names a list of transactions as Flashbots does.
func bundleHash(txs []*types.Transaction) common.Hash {
	var hashes []byte
	for _, tx := range txs {
		hashes = append(hashes, tx.Hash().Bytes()...)
	}
	return crypto.Keccak256Hash(hashes)
}

// errNoTransactions is returned for a bundle to be tried out that holds none.
var errNoTransactions = errors.New("bundle missing txs")
