package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ordo-network/ordo/internal/jsonrpc"
)

// rpcTimeout bounds one question to a rollup node.
const rpcTimeout = 5 * time.Second

func newTxCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tx",
		Short: "Send a transaction; what became of one, told by its node or checked against the validators",
		Example: `  ordo tx send --rpc http://127.0.0.1:8545 --to 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --value 1ether
  ordo tx watch 0x6b1f…
  ordo tx verify 0x6b1f…`,
	}
	cmd.AddCommand(newTxSendCmd(), newTxWatchCmd(), newTxVerifyCmd(), newTxReceiptCmd())
	return cmd
}

func newTxWatchCmd() *cobra.Command {
	var network networkFlags
	var rpc string
	cmd := &cobra.Command{
		Use:   "watch HASH",
		Short: "Follow a transaction: received, certified, ordered, safe, finalized",
		Long: `Follow a transaction until it is finalized: received by its node, certified
once validators with more than two thirds of the stake have it on disk and no proposer can
leave it out, ordered (and executed), safe once its data came back from the DA layer,
finalized once the DA layer cannot take it back. Without --rpc all rollups of the devnet are asked.`,
		Example: `  ordo tx watch 0x6b1f…
  ordo tx watch 0x6b1f… --rpc http://127.0.0.1:8545`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			hash, err := parseHash(args[0])
			if err != nil {
				return err
			}
			rollups, err := rollupClients(rpc, &network)
			if err != nil {
				return err
			}
			return watchTx(cmd.Context(), cmd.OutOrStdout(), rollups, hash)
		},
	}
	network.add(cmd)
	cmd.Flags().StringVar(&rpc, "rpc", "", "RPC of a rollup node (default: all rollups of the devnet)")
	return cmd
}

// rollupClients returns the nodes that may know a transaction.
func rollupClients(rpc string, network *networkFlags) ([]*jsonrpc.Client, error) {
	if rpc != "" {
		return []*jsonrpc.Client{jsonrpc.New(rpc, rpcTimeout)}, nil
	}
	e, err := network.load()
	if err != nil {
		return nil, err
	}
	var out []*jsonrpc.Client
	for _, r := range e.Rollups {
		out = append(out, jsonrpc.New(r.RPC, rpcTimeout))
	}
	return out, nil
}

// txHash is a transaction hash in the spelling of Ethereum's JSON-RPC.
type txHash string

func parseHash(s string) (txHash, error) {
	digits, ok := strings.CutPrefix(s, "0x")
	if raw, err := hex.DecodeString(digits); !ok || err != nil || len(raw) != 32 {
		return "", fmt.Errorf("%q is no transaction hash: it takes 0x and 64 hexadecimal digits", s)
	}
	return txHash(strings.ToLower(s)), nil
}

// txStatus is the answer of ordo_transactionStatus; what has not happened yet is nil.
type txStatus struct {
	Status           string            `json:"status"`
	Executed         *bool             `json:"executed"` // null where nobody knows
	BlockNumber      *jsonrpc.Quantity `json:"blockNumber"`
	TransactionIndex *jsonrpc.Quantity `json:"transactionIndex"`
	SequencerHeight  *jsonrpc.Quantity `json:"sequencerHeight"`
	BundleID         string            `json:"bundleId"`
	Reason           string            `json:"reason"`
	ReceivedAt       *jsonrpc.Quantity `json:"receivedAt"`
	CertifiedAt      *jsonrpc.Quantity `json:"certifiedAt"`
	OrderedAt        *jsonrpc.Quantity `json:"orderedAt"`
	SafeAt           *jsonrpc.Quantity `json:"safeAt"`
	FinalizedAt      *jsonrpc.Quantity `json:"finalizedAt"`
}

const (
	watchInterval = 50 * time.Millisecond
	// unknownFor is how long a transaction may be unknown to all nodes: it may be on
	// its way, but hardly longer.
	unknownFor = 10 * time.Second
)

// watchTx prints each step of a transaction as it happens.
func watchTx(ctx context.Context, out io.Writer, rollups []*jsonrpc.Client, hash txHash) error {
	printer := stepPrinter{out: out}
	began := time.Now()
	for ctx.Err() == nil { // after Ctrl-C the user has seen enough
		status, err := findStatus(ctx, &rollups, hash)
		switch {
		case errors.Is(err, context.Canceled):
		case errors.Is(err, jsonrpc.ErrNull):
			if time.Since(began) > unknownFor {
				return fmt.Errorf("no node that was asked knows transaction %s: check the hash, or name the node that it was sent to with --rpc", hash)
			}
		case err != nil:
			return err
		default:
			if done, err := printer.show(status); done || err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(watchInterval):
		}
	}
	return nil
}

// findStatus asks the nodes for a transaction. The first that knows it is the only
// one to be asked from then on.
func findStatus(ctx context.Context, rollups *[]*jsonrpc.Client, hash txHash) (*txStatus, error) {
	var last error
	for _, r := range *rollups {
		var s txStatus
		err := r.Call(ctx, &s, "ordo_transactionStatus", hash)
		if err == nil {
			*rollups = []*jsonrpc.Client{r}
			return &s, nil
		}
		// One node that is down must not hide that another one does not know it yet.
		if last == nil || !errors.Is(err, jsonrpc.ErrNull) {
			last = err
		}
	}
	return nil, last
}

// stepPrinter prints the steps that have not been printed yet.
type stepPrinter struct {
	out     io.Writer
	printed int
	before  *jsonrpc.Quantity // time of the step printed last
}

func (p *stepPrinter) show(s *txStatus) (done bool, err error) {
	if s.Status == "dropped" {
		return false, fmt.Errorf("the transaction was dropped: %s", s.Reason)
	}
	for i, step := range []struct {
		name   string
		at     *jsonrpc.Quantity
		detail string
	}{
		{"received", s.ReceivedAt, ""},
		{"certified", s.CertifiedAt, "no proposer can leave it out"},
		{"ordered", s.OrderedAt, s.orderedDetail()},
		{"safe", s.SafeAt, "the data came back from the DA layer"},
		{"finalized", s.FinalizedAt, ""},
	} {
		if i < p.printed {
			continue
		}
		if step.at == nil {
			// What came before it was ordered only its own node tells, and not after a
			// restart.
			if s.OrderedAt != nil && (step.name == "received" || step.name == "certified") {
				p.printed++
				continue
			}
			return false, nil
		}
		since := ""
		if p.before != nil && *step.at >= *p.before {
			since = fmt.Sprintf("+%d ms", *step.at-*p.before)
		}
		at := time.UnixMilli(int64(*step.at)).Format("15:04:05.000")
		line := fmt.Sprintf("%-10s %s  %10s  %s", step.name, at, since, step.detail)
		fmt.Fprintln(p.out, strings.TrimRight(line, " "))
		p.before = step.at
		p.printed++
	}
	return true, nil
}

func (s *txStatus) orderedDetail() string {
	var parts []string
	if s.SequencerHeight != nil {
		parts = append(parts, fmt.Sprintf("height %d of the order", *s.SequencerHeight))
	}
	switch {
	case s.Executed == nil && s.BlockNumber != nil:
		parts = append(parts, fmt.Sprintf("block %d, %s", *s.BlockNumber, handedOver))
	case s.Executed == nil:
	case *s.Executed && s.BlockNumber != nil && s.TransactionIndex != nil:
		parts = append(parts, fmt.Sprintf("executed in block %d at index %d", *s.BlockNumber, *s.TransactionIndex))
	case !*s.Executed && s.Reason != "":
		parts = append(parts, "not executed: "+s.Reason)
	case !*s.Executed:
		parts = append(parts, "not executed")
	}
	return strings.Join(parts, ", ")
}
