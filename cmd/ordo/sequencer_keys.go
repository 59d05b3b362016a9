package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/flags"
	"github.com/cosmos/cosmos-sdk/crypto/hd"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	sdk "github.com/cosmos/cosmos-sdk/types"
)

// newChainKeysCmd keeps keys where the other commands of the Cosmos SDK look for
// them: in the keyring of the node's home.
func newChainKeysCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Keep the keys of operators and other account holders",
		Example: `  ordo sequencer keys add operator
  ordo sequencer keys list --home ./net/validator-0 --keyring-backend test`,
	}
	flags.AddKeyringFlags(cmd.PersistentFlags())
	cmd.AddCommand(newKeyAddCmd(), newKeyListCmd(), newKeyShowCmd(), newKeyDeleteCmd())
	return cmd
}

func openKeyring(cmd *cobra.Command) (keyring.Keyring, error) {
	ring := client.GetClientContextFromCmd(cmd).Keyring
	if ring == nil {
		return nil, errors.New("no keyring: choose one with --keyring-backend")
	}
	return ring, nil
}

func printRecord(cmd *cobra.Command, r *keyring.Record) error {
	addr, err := r.GetAddress()
	if err != nil {
		return fmt.Errorf("read key %s: %w", r.Name, err)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s  %s  %s\n", r.Name, addr, sdk.ValAddress(addr))
	return err
}

func newKeyAddCmd() *cobra.Command {
	var fromPhrase bool
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Make a key, or take one in by its phrase, and print its addresses as account and as validator",
		Example: `  ordo sequencer keys add operator
  ordo sequencer keys add operator --recover < phrase.txt`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ring, err := openKeyring(cmd)
			if err != nil {
				return err
			}
			if _, err := ring.Key(args[0]); err == nil {
				return fmt.Errorf("a key named %s is there already", args[0])
			}
			path := hd.CreateHDPath(sdk.CoinType, 0, 0).String()
			if fromPhrase {
				phrase, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
				if err != nil && phrase == "" {
					return fmt.Errorf("read the phrase from standard input: %w", err)
				}
				r, err := ring.NewAccount(args[0], strings.TrimSpace(phrase), "", path, hd.Secp256k1)
				if err != nil {
					return fmt.Errorf("take in the key: %w", err)
				}
				return printRecord(cmd, r)
			}
			r, phrase, err := ring.NewMnemonic(args[0], keyring.English, path, "", hd.Secp256k1)
			if err != nil {
				return fmt.Errorf("make the key: %w", err)
			}
			if err := printRecord(cmd, r); err != nil {
				return err
			}
			cmd.PrintErrf("\nWrite this phrase down. It is the only way to get the key back.\n\n%s\n", phrase)
			return nil
		},
	}
	cmd.Flags().BoolVar(&fromPhrase, "recover", false, "read the phrase of a key from standard input")
	return cmd
}

func newKeyListCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List all keys with their addresses",
		Example: "  ordo sequencer keys list --home ./net/validator-0 --keyring-backend test",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ring, err := openKeyring(cmd)
			if err != nil {
				return err
			}
			records, err := ring.List()
			if err != nil {
				return fmt.Errorf("list keys: %w", err)
			}
			for _, r := range records {
				if err := printRecord(cmd, r); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func newKeyShowCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "show NAME",
		Short:   "Print the addresses of a key",
		Example: "  ordo sequencer keys show operator",
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
			return printRecord(cmd, r)
		},
	}
}

func newKeyDeleteCmd() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:     "delete NAME",
		Short:   "Forget a key",
		Example: "  ordo sequencer keys delete operator --yes",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes {
				return errors.New("a key that is deleted can only be had back by its phrase: say --yes if that is meant")
			}
			ring, err := openKeyring(cmd)
			if err != nil {
				return err
			}
			if err := ring.Delete(args[0]); err != nil {
				return fmt.Errorf("delete key %s: %w", args[0], err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "delete it")
	return cmd
}
