package main

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/ordo-network/ordo/gateway/receipt"
	"github.com/ordo-network/ordo/internal/jsonrpc"
	"github.com/ordo-network/ordo/keys"
)

// receiptOptions say where a receipt is from and by whom it must be.
type receiptOptions struct{ rpc, file, payer, save string }

func newTxReceiptCmd() *cobra.Command {
	var network networkFlags
	var o receiptOptions
	cmd := &cobra.Command{
		Use:   "receipt HASH",
		Short: "Get a node's signed word that it accepted a transaction for ordering, and check it",
		Long: `Get a node's signed receipt for a transaction that it accepted, check it, and keep it. The
node cannot deny it later: with a proof that the transaction was ordered it shows how long
that took, with proofs that it was not it shows that the node did not bring it into the order.
Ask for it soon: a node remembers what has ended for a while.

A receipt is the word of whoever holds the payer's key. Give --payer the address that you
know the node by; else the node's own word is taken for who it is.`,
		Example: `  ordo tx receipt 0x6b1f… --rpc http://127.0.0.1:8545 --save receipt.json
  ordo tx receipt 0x6b1f… --file receipt.json --payer ordo1…`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			hash, err := parseHash(args[0])
			if err != nil {
				return err
			}
			if o.file != "" {
				return o.check(cmd.OutOrStdout(), hash)
			}
			nodes, err := rollupClients(o.rpc, &network)
			if err != nil {
				return err
			}
			return o.fetch(cmd.Context(), cmd.OutOrStdout(), nodes, hash)
		},
	}
	network.add(cmd)
	f := cmd.Flags()
	f.StringVar(&o.rpc, "rpc", "", "RPC of the node that accepted it (default: all rollups of the devnet)")
	f.StringVar(&o.file, "file", "", "check a receipt that was kept in this file, and ask nobody")
	f.StringVar(&o.payer, "payer", "", "address of the payer that must have signed it")
	f.StringVar(&o.save, "save", "", "keep the receipt in this file")
	cmd.MarkFlagsMutuallyExclusive("file", "rpc")
	cmd.MarkFlagsMutuallyExclusive("file", "save")
	return cmd
}

// maxReceiptFile bounds what is read as a receipt.
const maxReceiptFile = 1 << 14

// check reads a kept receipt and verifies it.
func (o receiptOptions) check(out io.Writer, hash txHash) error {
	f, err := os.Open(o.file)
	if err != nil {
		return fmt.Errorf("read the receipt: %w", err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxReceiptFile))
	if err != nil {
		return fmt.Errorf("read the receipt: %w", err)
	}
	var r receipt.Receipt
	if err := json.Unmarshal(raw, &r); err != nil {
		return fmt.Errorf("%s: %w", o.file, err)
	}
	return o.verify(out, &r, hash, o.payer)
}

// fetch asks the nodes for a receipt and verifies it.
func (o receiptOptions) fetch(ctx context.Context, out io.Writer, nodes []*jsonrpc.Client, hash txHash) error {
	var last error
	for _, n := range nodes {
		var r receipt.Receipt
		err := n.Call(ctx, &r, "ordo_getReceipt", hash)
		if err != nil {
			if last == nil || !errors.Is(err, jsonrpc.ErrNull) {
				last = err
			}
			continue
		}
		payer, err := o.compare(ctx, n, &r)
		if err != nil {
			return err
		}
		if err := o.verify(out, &r, hash, payer); err != nil {
			return err
		}
		return o.keep(out, &r)
	}
	if errors.Is(last, jsonrpc.ErrNull) {
		return fmt.Errorf("no node that was asked accepted transaction %s, or remembers that it did", hash)
	}
	return last
}

// compare holds the receipt against what the node says of itself, and returns who must
// have signed it.
func (o receiptOptions) compare(ctx context.Context, n *jsonrpc.Client, r *receipt.Receipt) (payer string, err error) {
	var info struct {
		RollupID         string `json:"rollupId"`
		SequencerChainID string `json:"sequencerChainId"`
		Payer            string `json:"payer"`
	}
	if err := n.Call(ctx, &info, "ordo_info"); err != nil {
		return "", err
	}
	if got := "0x" + r.RollupID.String(); got != info.RollupID || r.ChainID != info.SequencerChainID {
		return "", fmt.Errorf("NOT verified: the receipt is for rollup %s by chain %s, the node's are %s and %s", got, r.ChainID, info.RollupID, info.SequencerChainID)
	}
	if o.payer != "" {
		return o.payer, nil
	}
	return info.Payer, nil
}

func (o receiptOptions) verify(out io.Writer, r *receipt.Receipt, hash txHash, payer string) error {
	signer := keys.Address(ed25519.PublicKey(r.Payer[:]))
	if err := r.Verify(); err != nil {
		return fmt.Errorf("NOT verified: %w", err)
	}
	if got := "0x" + hex.EncodeToString(r.TxHash[:]); got != string(hash) {
		return fmt.Errorf("NOT verified: the receipt is for transaction %s", got)
	}
	if payer != "" && payer != signer {
		return fmt.Errorf("NOT verified: the receipt is signed by %s, want %s", signer, payer)
	}
	fmt.Fprintf(out, "transaction %s\n  accepted for ordering at %s by the signer's clock\n  for rollup %s, by chain %s\n", hash,
		time.UnixMilli(int64(r.Received)).UTC().Format("2006-01-02T15:04:05.000Z"), r.RollupID, r.ChainID)
	if r.Bundle != [32]byte{} {
		fmt.Fprintf(out, "  with the bundle 0x%x, under its terms\n", r.Bundle)
	}
	fmt.Fprintf(out, "  signed by %s\n", signer)
	switch {
	case payer == "":
		fmt.Fprintln(out, "verified: the signature holds; whose it is, compare with the payer that you know the node by")
	case o.payer == "":
		fmt.Fprintln(out, "verified: the signature holds, and is by whom the node says that it is")
	default:
		fmt.Fprintln(out, "verified: the signature holds, and is by the payer that you named")
	}
	return nil
}

func (o receiptOptions) keep(out io.Writer, r *receipt.Receipt) error {
	if o.save == "" {
		return nil
	}
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the receipt: %w", err)
	}
	if err := os.WriteFile(o.save, append(raw, '\n'), 0o600); err != nil {
		return fmt.Errorf("keep the receipt: %w", err)
	}
	_, err = fmt.Fprintf(out, "kept in %s\n", o.save)
	return err
}
