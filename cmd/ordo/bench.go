package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ordo-network/ordo/bench"
	"github.com/ordo-network/ordo/devnet"
	"github.com/ordo-network/ordo/internal/freeport"
)

func newBenchCmd() *cobra.Command {
	var endpoints string
	var o bench.TransfersOptions
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure a network: transfers a second, time to receipt and to safe",
		Long: `Sends unique signed transfers at a given rate, spread over all rollups, and
prints JSON: what was sent, refused, executed; percentiles of the time from
sending to the answer, to the receipt and to the safe block, in milliseconds; and
what each process used. Without --endpoints it starts a devnet of its own in a
temporary directory, on free ports, and removes it afterwards.`,
		Example: `  ordo bench --rate 200 --duration 20s
  ordo bench --endpoints ~/.ordo/devnet/endpoints.json --rate 1500`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			o.Progress = func(line string) { fmt.Fprintln(cmd.ErrOrStderr(), line) }
			if endpoints == "" {
				file, stop, err := startBenchDevnet(ctx, cmd.ErrOrStderr())
				if err != nil {
					return err
				}
				defer stop()
				endpoints = file
			}
			net, err := devnet.LoadEndpoints(endpoints)
			if err != nil {
				return err
			}
			res, err := bench.Transfers(ctx, *net, o)
			if err != nil {
				return err
			}
			enc := json.NewEncoder(cmd.OutOrStdout())
			enc.SetIndent("", "  ")
			return enc.Encode(res)
		},
	}
	cmd.Flags().StringVar(&endpoints, "endpoints", "", "endpoints file of a running devnet")
	cmd.Flags().IntVar(&o.Rate, "rate", 200, "transactions a second, over all rollups")
	cmd.Flags().DurationVar(&o.Duration, "duration", 20*time.Second, "how long to send")
	cmd.Flags().IntVar(&o.Senders, "senders", 100, "accounts per rollup that send")
	cmd.Flags().DurationVar(&o.Settle, "settle", 30*time.Second, "how long to wait for the last receipts and safe blocks")
	cmd.AddCommand(newBenchOrderCmd(), newBenchDACmd(), newBenchExecCmd(), newBenchPeerCmd(), newBenchReaderCmd(), newBenchEVMCmd())
	return cmd
}

// startBenchDevnet runs this binary's devnet and returns its endpoints file and how to end it.
func startBenchDevnet(ctx context.Context, log io.Writer) (file string, stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, fmt.Errorf("find this program: %w", err)
	}
	dir, err := os.MkdirTemp("", "ordo-bench-")
	if err != nil {
		return "", nil, err
	}
	file = filepath.Join(dir, "endpoints.json")
	port, err := freeport.Claim(64)
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	child := exec.CommandContext(ctx, self, "devnet", "--home", filepath.Join(dir, "home"), "--endpoints-file", file,
		"--base-port", fmt.Sprint(port), "--json")
	out, err := os.Create(filepath.Join(dir, "devnet.log"))
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	child.Stdout, child.Stderr = out, out
	child.Cancel = func() error { return child.Process.Signal(syscall.SIGTERM) }
	child.WaitDelay = 20 * time.Second
	if err := child.Start(); err != nil {
		return "", nil, errors.Join(fmt.Errorf("start a devnet: %w", err), os.RemoveAll(dir))
	}
	fmt.Fprintln(log, "starting a devnet in", dir)
	var exit error
	ended := make(chan struct{})
	go func() {
		exit = child.Wait()
		close(ended)
	}()
	stop = func() {
		_ = child.Process.Signal(syscall.SIGTERM) // gone already: nothing to end
		<-ended
		_ = out.Close()
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(log, "remove", dir+":", err)
		}
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(60 * time.Second)
	defer limit.Stop()
	for {
		select {
		case <-ended:
			raw, _ := os.ReadFile(filepath.Join(dir, "devnet.log"))
			stop()
			return "", nil, fmt.Errorf("the devnet ended at once: %w\n%s", exit, raw)
		case <-limit.C:
			stop()
			return "", nil, errors.New("the devnet did not answer within 60 s")
		case <-ctx.Done():
			stop()
			return "", nil, ctx.Err()
		case <-tick.C:
			if _, err := os.Stat(file); err == nil {
				return file, stop, nil
			}
		}
	}
}
