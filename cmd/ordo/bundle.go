package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ordo-network/ordo/internal/jsonrpc"
	"github.com/ordo-network/ordo/order"
)

func newBundleCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bundle",
		Short: "Transactions for one or more rollups that are ordered together: send them, see what became of them",
		Example: `  ordo bundle send --leg alpha=0x02f8… --leg beta=0x02f8… --all-or-nothing
  ordo bundle status 0x6b1f…
  ordo bundle show 0x6b1f…`,
	}
	cmd.AddCommand(newBundleSendCmd(), newBundleStatusCmd(), newBundleShowCmd())
	return cmd
}

func newBundleStatusCmd() *cobra.Command {
	return newBundleQueryCmd(&cobra.Command{
		Use:   "status ID",
		Short: "Tell how far a bundle has come, and why it was dropped",
		Long: `Tell how far a bundle has come: held until its block or its time, received, certified,
ordered, safe, finalized, or dropped with the reason. ID is what sending it returned, or the
bundle's ID in the order. Without --rpc all rollups of the devnet are asked.`,
		Example: `  ordo bundle status 0x6b1f…
  ordo bundle status 0x6b1f… --rpc http://127.0.0.1:8545`,
	}, printBundleStatus)
}

func newBundleShowCmd() *cobra.Command {
	return newBundleQueryCmd(&cobra.Command{
		Use:   "show ID",
		Short: "Show all legs of a bundle that was ordered, and what each rollup did with its own",
		Long: `Show all legs of a bundle that was ordered: rollup, transactions, and of those rollups
whose nodes are asked, the block and what became of each transaction. ID is what sending it
returned, or the bundle's ID in the order. Without --rpc all rollups of the devnet are asked.`,
		Example: `  ordo bundle show 0x6b1f…
  ordo bundle show 0x6b1f… --rpc http://127.0.0.1:8545 --rpc http://127.0.0.1:8547`,
	}, showBundle)
}

// newBundleQueryCmd completes a command that asks nodes about a bundle.
func newBundleQueryCmd(cmd *cobra.Command, run func(context.Context, io.Writer, []*jsonrpc.Client, txHash) error) *cobra.Command {
	var network networkFlags
	var rpcs []string
	cmd.Args = cobra.ExactArgs(1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name, err := parseHash(args[0])
		if err != nil {
			return fmt.Errorf("%q is no bundle's ID: it takes 0x and 64 hexadecimal digits", args[0])
		}
		var nodes []*jsonrpc.Client
		for _, url := range rpcs {
			nodes = append(nodes, jsonrpc.New(url, rpcTimeout))
		}
		if len(nodes) == 0 {
			if nodes, err = rollupClients("", &network); err != nil {
				return err
			}
		}
		return run(cmd.Context(), cmd.OutOrStdout(), nodes, name)
	}
	network.add(cmd)
	cmd.Flags().StringArrayVar(&rpcs, "rpc", nil, "RPC of a rollup node; may be given several times (default: all rollups of the devnet)")
	return cmd
}

// bundleAnswer is the answer of ordo_bundleStatus, and of ordo_getBundle, which tells the
// node's own legs too. What is not known is nil.
type bundleAnswer struct {
	Ref             *string             `json:"ref"`
	BundleID        *string             `json:"bundleId"`
	Status          string              `json:"status"`
	Reason          string              `json:"reason"`
	SequencerHeight *jsonrpc.Quantity   `json:"sequencerHeight"`
	BlockNumber     *jsonrpc.Quantity   `json:"blockNumber"`
	ReceivedAt      *jsonrpc.Quantity   `json:"receivedAt"`
	CertifiedAt     *jsonrpc.Quantity   `json:"certifiedAt"`
	OrderedAt       *jsonrpc.Quantity   `json:"orderedAt"`
	SafeAt          *jsonrpc.Quantity   `json:"safeAt"`
	FinalizedAt     *jsonrpc.Quantity   `json:"finalizedAt"`
	EndedAt         *jsonrpc.Quantity   `json:"endedAt"`
	Transactions    []bundleTransaction `json:"transactions"`
	Legs            []bundleLeg         `json:"legs"`
}

type bundleTransaction struct {
	Hash     string `json:"hash"`
	Executed *bool  `json:"executed"` // null where nobody knows
	Reason   string `json:"reason"`
}

// bundleLeg is a leg that the asked node's rollup executed, with what the payer signed of all legs.
type bundleLeg struct {
	LegIndex jsonrpc.Quantity `json:"legIndex"`
	LegCount jsonrpc.Quantity `json:"legCount"`
	Legs     []struct {
		RollupID     string           `json:"rollupId"`
		Transactions jsonrpc.Quantity `json:"transactions"`
		Length       jsonrpc.Quantity `json:"length"`
	} `json:"legs"`
	Applied      *bool               `json:"applied"` // likewise
	Reason       string              `json:"reason"`
	Transactions []bundleTransaction `json:"transactions"`
}

// printBundleStatus prints what the first node says that knows the bundle.
func printBundleStatus(ctx context.Context, out io.Writer, nodes []*jsonrpc.Client, name txHash) error {
	b, err := firstAnswer(ctx, nodes, "ordo_bundleStatus", name)
	if err != nil {
		return err
	}
	printSummary(out, b)
	printTransactions(out, b.Transactions, b.SequencerHeight != nil)
	return nil
}

// firstAnswer asks one node after the other.
func firstAnswer(ctx context.Context, nodes []*jsonrpc.Client, method string, name txHash) (*bundleAnswer, error) {
	var last error
	for _, n := range nodes {
		var b bundleAnswer
		err := n.Call(ctx, &b, method, name)
		if err == nil {
			return &b, nil
		}
		// One node that is down must not hide that another one does not know it.
		if last == nil || !errors.Is(err, jsonrpc.ErrNull) {
			last = err
		}
	}
	if errors.Is(last, jsonrpc.ErrNull) {
		return nil, fmt.Errorf("no node that was asked knows bundle %s: check the ID, or name the node that it was sent to with --rpc", name)
	}
	return nil, last
}

func printSummary(out io.Writer, b *bundleAnswer) {
	line := func(name, value string) { fmt.Fprintf(out, "%-10s %s\n", name, value) }
	if b.Reason != "" {
		line("status", b.Status+": "+b.Reason)
	} else {
		line("status", b.Status)
	}
	for _, id := range []struct {
		name string
		id   *string
	}{{"reference", b.Ref}, {"bundle", b.BundleID}} {
		if id.id != nil {
			line(id.name, *id.id)
		}
	}
	if b.SequencerHeight != nil {
		line("height", fmt.Sprintf("%d of the order", *b.SequencerHeight))
	}
	if b.BlockNumber != nil {
		line("block", fmt.Sprintf("%d of this rollup", *b.BlockNumber))
	}
	for _, step := range []struct {
		name string
		at   *jsonrpc.Quantity
	}{{"received", b.ReceivedAt}, {"certified", b.CertifiedAt}, {"ordered", b.OrderedAt}, {"safe", b.SafeAt}, {"finalized", b.FinalizedAt}} {
		if step.at != nil {
			line(step.name, time.UnixMilli(int64(*step.at)).Format("15:04:05.000"))
		}
	}
}

// handedOver is said of what the rollup's client got, where that does not say what it skips.
const handedOver = "handed to the rollup's client, which does not say whether it was executed"

func printTransactions(out io.Writer, txs []bundleTransaction, ordered bool) {
	for _, tx := range txs {
		what := "executed"
		switch {
		case tx.Executed == nil:
			what = handedOver
		case *tx.Executed:
		case tx.Reason != "":
			what = "not executed: " + tx.Reason
		case ordered:
			what = "not executed"
		default:
			what = ""
		}
		fmt.Fprintln(out, strings.TrimRight(fmt.Sprintf("  %s  %s", tx.Hash, what), " "))
	}
}

// shownLeg is a leg with what the node of its rollup said, where one was asked.
type shownLeg struct {
	rollup       string
	transactions uint64
	block        *jsonrpc.Quantity
	told         *bundleLeg
}

// showBundle asks all nodes and puts together what each says of its rollup's leg.
func showBundle(ctx context.Context, out io.Writer, nodes []*jsonrpc.Client, name txHash) error {
	first, err := firstAnswer(ctx, nodes, "ordo_getBundle", name)
	if err != nil {
		return err
	}
	if first.BundleID == nil || first.SequencerHeight == nil {
		printSummary(out, first)
		fmt.Fprintln(out, "it was not ordered, so no rollup has a leg of it")
		return nil
	}
	// Only the node that it was sent to knows it by its reference.
	id := txHash(*first.BundleID)
	names := make(map[string]string)
	legs := make(map[uint64]*shownLeg)
	count := uint64(0)
	var troubles []string
	for _, n := range nodes {
		var info struct {
			Name     string `json:"name"`
			RollupID string `json:"rollupId"`
		}
		var b bundleAnswer
		err := n.Call(ctx, &info, "ordo_info")
		if err == nil {
			names[info.RollupID] = info.Name
			err = n.Call(ctx, &b, "ordo_getBundle", id)
		}
		if err != nil {
			if !errors.Is(err, jsonrpc.ErrNull) {
				troubles = append(troubles, err.Error())
			}
			continue
		}
		if b.BlockNumber == nil {
			b.BlockNumber = b.blockOf(ctx, n)
		}
		count = max(count, b.collect(legs))
	}
	fmt.Fprintf(out, "bundle %s, %s, ordered at height %d\n", id, plural(int(count), "leg"), *first.SequencerHeight)
	for _, i := range slices.Sorted(maps.Keys(legs)) {
		legs[i].print(out, i, names)
	}
	for _, t := range troubles {
		fmt.Fprintln(out, "  not known: "+t)
	}
	return nil
}

// blockOf asks which block holds what was executed, where the node does not say it of the
// bundle; nil where that is not known.
func (b *bundleAnswer) blockOf(ctx context.Context, n *jsonrpc.Client) *jsonrpc.Quantity {
	for _, leg := range b.Legs {
		for _, tx := range leg.Transactions {
			if tx.Executed != nil && !*tx.Executed {
				continue
			}
			var s txStatus
			if err := n.Call(ctx, &s, "ordo_transactionStatus", tx.Hash); err != nil {
				return nil
			}
			return s.BlockNumber
		}
	}
	return nil
}

// collect adds what the node says of the bundle's legs, and returns how many there are.
func (b *bundleAnswer) collect(legs map[uint64]*shownLeg) (count uint64) {
	for i := range b.Legs {
		own := &b.Legs[i]
		count = max(count, uint64(own.LegCount))
		for j, l := range own.Legs[:min(len(own.Legs), order.MaxLegs)] {
			if legs[uint64(j)] == nil {
				legs[uint64(j)] = &shownLeg{rollup: l.RollupID, transactions: uint64(l.Transactions)}
			}
		}
		shown := legs[uint64(own.LegIndex)]
		if shown == nil {
			shown = &shownLeg{transactions: uint64(len(own.Transactions))}
			legs[uint64(own.LegIndex)] = shown
		}
		shown.told, shown.block = own, b.BlockNumber
	}
	return count
}

func (l *shownLeg) print(out io.Writer, index uint64, names map[string]string) {
	rollup := l.rollup
	if name := names[rollup]; name != "" {
		rollup = name + " (" + rollup + ")"
	}
	fmt.Fprintf(out, "  leg %d, rollup %s, %s\n", index, rollup, plural(int(l.transactions), "transaction"))
	if l.told == nil {
		fmt.Fprintln(out, "    its rollup's node was not asked: name it with --rpc")
		return
	}
	what := "applied"
	switch {
	case l.told.Applied == nil:
		what = handedOver
	case *l.told.Applied:
	case l.told.Reason != "":
		what = "not applied: " + l.told.Reason
	default:
		what = "not applied"
	}
	if l.block != nil {
		what = fmt.Sprintf("block %d, %s", *l.block, what)
	}
	fmt.Fprintln(out, "    "+what)
	for _, tx := range l.told.Transactions {
		if tx.Reason == l.told.Reason {
			tx.Reason = "" // of the leg: once is enough
		}
		fmt.Fprint(out, "  ")
		printTransactions(out, []bundleTransaction{tx}, true)
	}
}
