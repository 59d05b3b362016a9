package main

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ordo-network/ordo/devnet"
	"github.com/ordo-network/ordo/execution/terms"
	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/internal/jsonrpc"
	"github.com/ordo-network/ordo/keys"
	"github.com/ordo-network/ordo/order"
)

// sendBundleOptions say what is sent, and to whom.
type sendBundleOptions struct {
	legs         []string
	allOrNothing bool
	rpc          string
	sequencer    string
	key          string
}

func newBundleSendCmd() *cobra.Command {
	var network networkFlags
	var o sendBundleOptions
	cmd := &cobra.Command{
		Use:   "send",
		Short: "Send transactions for one or more rollups that are ordered together or not at all",
		Long: `Send transactions for one or more rollups as one bundle: its legs are ordered next to
each other in one block, or none is. That is about the order. With --all-or-nothing each leg
is applied as a whole or not at all; where the rollups are of one domain, executed in
lockstep, all legs are applied or none is. Rollups that are not of one domain then skip
their legs, for they cannot keep that.

The bundle goes to a node of one of its rollups (--rpc, or found in the devnet), which pays
for it, or with a payer's own key to a sequencer. A rollup is a name, or an ID after 0x;
transactions are in hex, each signed and encoded as its rollup wants it.`,
		Example: `  ordo bundle send --leg alpha=0x02f8…,0x02f8… --leg beta=0x02f8…
  ordo bundle send --leg alpha=0x02f8… --leg beta=0x02f8… --all-or-nothing --rpc http://127.0.0.1:8545
  ordo bundle send --leg my-rollup=0x68656c6c6f --sequencer http://127.0.0.1:26602 --key payer.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			legs, err := parseLegs(o.legs)
			if err != nil {
				return err
			}
			if o.sequencer != "" {
				return o.toSequencer(cmd.Context(), cmd.OutOrStdout(), legs)
			}
			if o.rpc == "" {
				e, err := network.load()
				if err != nil {
					return err
				}
				if o.rpc, err = nodeOf(e, legs); err != nil {
					return err
				}
			}
			return o.toNode(cmd.Context(), cmd.OutOrStdout(), legs)
		},
	}
	network.add(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&o.legs, "leg", nil, "a rollup's transactions: ROLLUP=0x…,0x… (once for each rollup)")
	f.BoolVar(&o.allOrNothing, "all-or-nothing", false, "apply all of the bundle or nothing, where its rollups are of one domain")
	f.StringVar(&o.rpc, "rpc", "", "RPC of a node of one of the rollups (default: that of the devnet's)")
	f.StringVar(&o.sequencer, "sequencer", "", "API of a sequencer that takes bundles, instead of a node; needs --key")
	f.StringVar(&o.key, "key", "", "key file of the payer, who signs and pays")
	_ = cmd.MarkFlagRequired("leg") // it is defined above
	cmd.MarkFlagsRequiredTogether("sequencer", "key")
	cmd.MarkFlagsMutuallyExclusive("sequencer", "rpc")
	return cmd
}

// typedLeg is a leg as it was typed.
type typedLeg struct {
	rollup string // name, or ID after 0x
	id     order.RollupID
	txs    [][]byte
}

// parseLegs reads legs such as alpha=0x01,0x02.
func parseLegs(typed []string) ([]typedLeg, error) {
	var legs []typedLeg
	for _, t := range typed {
		rollup, list, ok := strings.Cut(t, "=")
		if !ok || rollup == "" || list == "" {
			return nil, fmt.Errorf("--leg %q: want ROLLUP=0x…,0x…, the rollup's name or ID and its transactions", t)
		}
		id, err := parseRollup(rollup)
		if err != nil {
			return nil, err
		}
		leg := typedLeg{rollup: rollup, id: id}
		for i, tx := range strings.Split(list, ",") {
			digits, ok := strings.CutPrefix(strings.TrimSpace(tx), "0x")
			raw, err := hex.DecodeString(digits)
			if !ok || err != nil || len(raw) == 0 {
				return nil, fmt.Errorf("--leg %s: transaction %d is not hexadecimal digits after 0x", rollup, i)
			}
			leg.txs = append(leg.txs, raw)
		}
		legs = append(legs, leg)
	}
	return legs, nil
}

// parseRollup reads a rollup's name, or its ID after 0x.
func parseRollup(s string) (order.RollupID, error) {
	digits, ok := strings.CutPrefix(s, "0x")
	if !ok {
		return order.NewRollupID(s), nil
	}
	raw, err := hex.DecodeString(digits)
	if err != nil {
		return order.RollupID{}, fmt.Errorf("rollup %q: an ID is 0x and 64 hexadecimal digits", s)
	}
	id, err := order.RollupIDFromBytes(raw)
	if err != nil {
		return id, fmt.Errorf("rollup %q: %w", s, err)
	}
	return id, nil
}

// nodeOf returns the RPC of the first leg's rollup that the network runs.
func nodeOf(e *devnet.Endpoints, legs []typedLeg) (string, error) {
	for _, leg := range legs {
		for _, r := range e.Rollups {
			if order.NewRollupID(r.Name) == leg.id {
				return r.RPC, nil
			}
		}
	}
	return "", errors.New("the network runs no rollup that the bundle has a leg for: name a node with --rpc, or send with --sequencer and --key")
}

// legArgs is a leg in ordo_sendBundle.
type legArgs struct {
	Rollup       string   `json:"rollup"`
	Transactions []string `json:"transactions"`
}

func (o sendBundleOptions) toNode(ctx context.Context, out io.Writer, legs []typedLeg) error {
	args := struct {
		Legs         []legArgs `json:"legs"`
		AllOrNothing bool      `json:"allOrNothing"`
	}{AllOrNothing: o.allOrNothing}
	for _, leg := range legs {
		a := legArgs{Rollup: leg.rollup}
		for _, tx := range leg.txs {
			a.Transactions = append(a.Transactions, "0x"+hex.EncodeToString(tx))
		}
		args.Legs = append(args.Legs, a)
	}
	var ref string
	if err := jsonrpc.New(o.rpc, rpcTimeout).Call(ctx, &ref, "ordo_sendBundle", args); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "accepted as %s\nfollow it with: ordo bundle status %s --rpc %s\n", ref, ref, o.rpc)
	return err
}

// toSequencer signs the bundle with the payer's key and hands it to a sequencer.
func (o sendBundleOptions) toSequencer(ctx context.Context, out io.Writer, legs []typedLeg) error {
	key, err := keys.Load(o.key)
	if err != nil {
		return err
	}
	sequencer := gateway.NewRemote(o.sequencer)
	info, err := sequencer.Info(ctx)
	if err != nil {
		return fmt.Errorf("ask %s: %w", o.sequencer, err)
	}
	b, err := makeBundle(legs, o.allOrNothing, info, key)
	if err != nil {
		return err
	}
	id := b.ID(info.ChainID)
	err = sequencer.SubmitBundle(ctx, func(lane order.Owner) []byte {
		signed := *b
		signed.Sign(info.ChainID, lane, key)
		return signed.Encode()
	})
	if err != nil {
		return fmt.Errorf("send the bundle to %s: %w", o.sequencer, err)
	}
	_, err = fmt.Fprintf(out, "bundle 0x%s of %s, %d bytes, is on the sequencer's disk; it is ordered up to height %d, or not at all\nlook at it with: ordo bundle show 0x%s --rpc URL, of a node of one of its rollups\n",
		id, plural(len(b.Legs), "leg"), b.Size(), b.Expiry, id)
	return err
}

// maxBundleBlocks is how far ahead a bundle's expiry lies, where the chain allows it.
const maxBundleBlocks = 300

// makeBundle makes the bundle that is to be signed.
func makeBundle(legs []typedLeg, allOrNothing bool, info gateway.Info, key ed25519.PrivateKey) (*order.Bundle, error) {
	ahead := max(1, min(maxBundleBlocks, info.MaxExpiryBlocks-info.MaxExpiryBlocks/8))
	b := &order.Bundle{Payer: order.Payer(key.Public().(ed25519.PublicKey)), Expiry: info.Height + ahead}
	for _, leg := range legs {
		txs := leg.txs
		if allOrNothing {
			t := terms.Terms{AllOrNothing: len(legs) > 1}
			txs = append([][]byte{t.Encode()}, txs...)
		}
		b.Legs = append(b.Legs, order.Leg{RollupID: leg.id, Transactions: txs})
	}
	// Twice today's fee: the price may change until it is ordered.
	size := uint64(b.Size() + 16) // and the limit itself
	b.FeeLimit = 2 * ((size*info.FeePerKilobyte + 999) / 1000)
	return b, b.Validate()
}
