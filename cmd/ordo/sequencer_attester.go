package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/flags"
	"github.com/cosmos/cosmos-sdk/client/tx"

	sequencer "github.com/ordo-network/ordo/sequencer/node"
	orderingv1 "github.com/ordo-network/ordo/sequencer/ordering/v1"
)

// newAttesterCmd tells the chain how a validator signs attestations and where it is
// reached.
func newAttesterCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "attester",
		Short: "Register the key by which a validator attests batches, and where it is reached",
		Long: `Register the key by which a validator attests batches, and where it is reached.
The keys are in config/attestation_keys.json of the node's home, the addresses in
the section dispersal of config/ordo.toml. A new address holds at once, a new key
from the next epoch on; the node need not be restarted.`,
		Example: `  ordo sequencer attester show
  ordo sequencer attester set --from operator --fees 500uordo
  ordo sequencer attester rotate --from operator --fees 500uordo`,
	}
	cmd.AddCommand(newAttesterShowCmd(), newAttesterSetCmd(), newAttesterRotateCmd(), newAttesterRecordCmd())
	return cmd
}

func newAttesterSetCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "set",
		Short:   "Tell the chain this node's newest key and its addresses",
		Example: "  ordo sequencer attester set --from operator --fees 500uordo",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, err := client.GetClientTxContext(cmd)
			if err != nil {
				return err
			}
			a, err := sequencer.LoadAttester(ctx.HomeDir)
			if err != nil {
				return err
			}
			return setAttester(cmd, ctx, a)
		},
	}
	flags.AddTxFlagsToCmd(cmd)
	return cmd
}

func setAttester(cmd *cobra.Command, ctx client.Context, a *sequencer.Attester) error {
	msg, err := a.Message(ctx.GetFromAddress())
	if err != nil {
		return err
	}
	return tx.GenerateOrBroadcastTxCLI(ctx, cmd.Flags(), msg)
}

func newAttesterRotateCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Make a new key and tell the chain",
		Long: `Make a new key and tell the chain. The new key is in the home before anybody hears
of it; the old one stays there for as long as a committee names it, and the node
goes on signing with it until then. Where this is cut short, run it again: it goes on
with the key that it made.`,
		Example: "  ordo sequencer attester rotate --from operator --fees 500uordo",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, err := client.GetClientTxContext(cmd)
			if err != nil {
				return err
			}
			a, err := sequencer.LoadAttester(ctx.HomeDir)
			if err != nil {
				return err
			}
			known, err := askAttesters(cmd.Context(), ctx)
			if err != nil {
				return err
			}
			registered := func(key ed25519.PublicKey) bool { return known.operator(key) != nil }
			if err := a.Rotate(registered, func(key ed25519.PublicKey) bool { return len(known.epochs(key)) > 0 }); err != nil {
				return err
			}
			return setAttester(cmd, ctx, a)
		},
	}
	flags.AddTxFlagsToCmd(cmd)
	return cmd
}

func newAttesterShowCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show",
		Short:   "Print this node's keys, its addresses, and what the chain knows of them",
		Example: "  ordo sequencer attester show --home ./net/validator-0",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, err := client.GetClientQueryContext(cmd)
			if err != nil {
				return err
			}
			a, err := sequencer.LoadAttester(ctx.HomeDir)
			if err != nil {
				return err
			}
			known, err := askAttesters(cmd.Context(), ctx)
			if err != nil {
				return fmt.Errorf("ask the node at %s, which must be running: %w", ctx.NodeURI, err)
			}
			return showAttester(cmd, a, known)
		},
	}
	flags.AddQueryFlagsToCmd(cmd)
	return cmd
}

func showAttester(cmd *cobra.Command, a *sequencer.Attester, known *attesters) error {
	var b strings.Builder
	var record *orderingv1.Attester
	for _, key := range a.Keys {
		public := key.Public().(ed25519.PublicKey)
		fmt.Fprintf(&b, "key      %s  ", hex.EncodeToString(public))
		var uses []string
		if r := known.operator(public); r != nil {
			record = r
			uses = append(uses, "registered by "+r.Operator)
		}
		for _, epoch := range known.epochs(public) {
			uses = append(uses, fmt.Sprintf("attests in epoch %d", epoch))
		}
		if len(uses) == 0 {
			uses = []string{"not in use"}
		}
		fmt.Fprintln(&b, strings.Join(uses, ", "))
	}
	fmt.Fprintf(&b, "address  %s\nAPI      %s\n", a.Address, a.API)
	switch newest := a.Keys.Newest().Public().(ed25519.PublicKey); {
	case record == nil || !bytes.Equal(record.Key, newest):
		fmt.Fprintln(&b, "The newest key is not registered: run `ordo sequencer attester set`.")
	case record.Address != a.Address || record.Api != a.API:
		fmt.Fprintf(&b, "The chain knows other addresses, %s and %s: run `ordo sequencer attester set`.\n", record.Address, record.Api)
	}
	_, err := fmt.Fprint(cmd.OutOrStdout(), b.String())
	return err
}

func newAttesterRecordCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "record KEY",
		Short: "Print what the genesis of a new chain is to say about this node",
		Long: `Print what the genesis of a new chain is to say about this node, whose operator has
the KEY of that name. It goes to whoever makes the genesis, together with the
genesis transaction; "ordo sequencer genesis add-attester" takes it in.`,
		Example: "  ordo sequencer attester record operator > alice.json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ring, err := openKeyring(cmd)
			if err != nil {
				return err
			}
			r, err := ring.Key(args[0])
			if err != nil {
				return fmt.Errorf("key %s: %w", args[0], err)
			}
			operator, err := r.GetAddress()
			if err != nil {
				return fmt.Errorf("key %s: %w", args[0], err)
			}
			ctx := client.GetClientContextFromCmd(cmd)
			a, err := sequencer.LoadAttester(ctx.HomeDir)
			if err != nil {
				return err
			}
			msg, err := a.Message(operator)
			if err != nil {
				return err
			}
			raw, err := ctx.Codec.MarshalJSON(msg)
			if err != nil {
				return fmt.Errorf("encode record: %w", err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", raw)
			return err
		},
	}
	flags.AddKeyringFlags(cmd.Flags())
	return cmd
}

// attesters is what the chain says about attestation keys.
type attesters struct {
	registered []*orderingv1.Attester
	// committees of the next block's epoch and of the one before: older batches can no
	// longer be attested.
	committees []*orderingv1.Committee
}

func askAttesters(ctx context.Context, cc client.Context) (*attesters, error) {
	query := orderingv1.NewQueryClient(cc)
	all, err := query.Attesters(ctx, &orderingv1.QueryAttestersRequest{})
	if err != nil {
		return nil, fmt.Errorf("query attesters: %w", err)
	}
	now, err := query.Committee(ctx, &orderingv1.QueryCommitteeRequest{Current: true})
	if err != nil {
		return nil, fmt.Errorf("query committee: %w", err)
	}
	out := &attesters{registered: all.Attesters, committees: []*orderingv1.Committee{now.Committee}}
	if epoch := now.Committee.Epoch; epoch > 0 {
		before, err := query.Committee(ctx, &orderingv1.QueryCommitteeRequest{Epoch: epoch - 1})
		if err != nil {
			return nil, fmt.Errorf("query committee: %w", err)
		}
		out.committees = append(out.committees, before.Committee)
	}
	return out, nil
}

// operator returns the record with that key, or nil.
func (a *attesters) operator(key ed25519.PublicKey) *orderingv1.Attester {
	i := slices.IndexFunc(a.registered, func(r *orderingv1.Attester) bool { return bytes.Equal(r.Key, key) })
	if i < 0 {
		return nil
	}
	return a.registered[i]
}

// epochs returns those whose committee names the key.
func (a *attesters) epochs(key ed25519.PublicKey) []uint64 {
	var out []uint64
	for _, c := range a.committees {
		if slices.ContainsFunc(c.Members, func(m *orderingv1.Member) bool { return bytes.Equal(m.Key, key) }) {
			out = append(out, c.Epoch)
		}
	}
	return out
}
