package main

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ordo-network/ordo/keys"
)

func newKeysCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Make and show the keys of payers, who sign bundles and pay for them",
		Example: `  ordo keys new payer.json
  ordo keys show payer.json`,
	}
	cmd.AddCommand(
		&cobra.Command{
			Use:     "new FILE",
			Short:   "Make a key, write it to FILE and print its address",
			Example: "  ordo keys new gateway.json",
			Args:    cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				key, err := keys.Generate(args[0])
				if err != nil {
					return err
				}
				return printKey(cmd, key)
			},
		},
		&cobra.Command{
			Use:     "show FILE",
			Short:   "Print the address and the public key of the key in FILE",
			Example: "  ordo keys show gateway.json",
			Args:    cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				key, err := keys.Load(args[0])
				if err != nil {
					return err
				}
				return printKey(cmd, key)
			},
		},
	)
	return cmd
}

func printKey(cmd *cobra.Command, key ed25519.PrivateKey) error {
	pub := key.Public().(ed25519.PublicKey)
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "address     %s\npublic key  %s\n", keys.Address(pub), hex.EncodeToString(pub))
	return err
}
