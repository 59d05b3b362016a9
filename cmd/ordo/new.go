package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ordo-network/ordo/execution/evm"
	"github.com/ordo-network/ordo/scaffold"
)

func newRollupNewCmd() *cobra.Command {
	var chainID uint64
	p := scaffold.Project{Source: sourceDir()}
	cmd := &cobra.Command{
		Use:   "new DIRECTORY",
		Short: "Make a project for a new rollup: its code, and commands that run it on a devnet",
		Long: `Make a project for a new rollup, named like its directory: its code, a Makefile that lays
out and runs a node of it on a devnet, and a README. The templates are:

  evm   an EVM rollup with a genesis of its own
  go    a virtual machine in Go, in the process of its node
  ts    a virtual machine in TypeScript, in a process of its own, over gRPC
  wasm  a virtual machine in Go, the rules of which are a WebAssembly program

A project in Go is compiled together with Ordo, from Ordo's source code on this machine:
where this program was compiled, or what --ordo-source names.`,
		Example: `  ordo rollup new my-rollup --template go
  ordo rollup new my-chain --template evm --chain-id 4242
  ordo rollup new my-rollup --template go --ordo-source ~/src/ordo`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if p.Dir, err = filepath.Abs(args[0]); err != nil {
				return fmt.Errorf("find %s: %w", args[0], err)
			}
			p.Name = filepath.Base(p.Dir)
			if cmd.Flags().Changed("ordo-source") {
				if p.Source, err = filepath.Abs(p.Source); err != nil {
					return fmt.Errorf("find ordo's source code: %w", err)
				}
			}
			binary, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program's file: %w", err)
			}
			p.Command = []string{binary}
			if commandName(binary) != os.Args[0] { // a file that `go run` removes
				p.Command = []string{"go", "-C", p.Source, "run", "./cmd/ordo"}
			}
			if p.Template == "evm" {
				if chainID == 0 {
					chainID = scaffold.ChainID(p.Name)
				}
				if p.Genesis, err = evm.EncodeGenesis(evm.DevGenesis(chainID, nil)); err != nil {
					return err
				}
			}
			if err := scaffold.New(p); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), `made %s from the template %s

start a network, unless one runs:   %s devnet
in another terminal, a node of it:  cd %s && make start
in a third one, a transaction:      cd %s && make tx get
`, args[0], p.Template, commandName(binary), args[0], args[0])
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&p.Template, "template", "", strings.Join(scaffold.Templates(), ", "))
	f.Uint64Var(&chainID, "chain-id", 0, "chain ID of an EVM rollup (default: one that is made of its name)")
	f.StringVar(&p.Source, "ordo-source", p.Source, "directory of ordo's source code, which a project in Go is compiled with")
	_ = cmd.MarkFlagRequired("template") // it exists: it was declared above
	return cmd
}

// sourceDir is where this program was compiled, if that is still there and known: a build
// with -trimpath does not tell.
func sourceDir() string {
	_, file, _, _ := runtime.Caller(0)
	dir := filepath.Dir(filepath.Dir(filepath.Dir(file)))
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil || !filepath.IsAbs(dir) {
		return ""
	}
	return dir
}
