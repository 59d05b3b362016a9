package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
	"syscall"
	"time"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/spf13/cobra"

	"github.com/ordo-network/ordo/execution/evm"
	"github.com/ordo-network/ordo/internal/jsonrpc"
)

// executedWithin is how long `ordo tx send` waits for a block.
const executedWithin = 30 * time.Second

// ethTx is what a person types of an Ethereum transaction.
type ethTx struct{ to, value, data, key string }

func newTxSendCmd() *cobra.Command {
	var rpc string
	var o ethTx
	cmd := &cobra.Command{
		Use:   "send [TRANSACTION]",
		Short: "Send a transaction to a rollup's node, and wait until it is executed",
		Long: `Send a transaction to a rollup's node, and wait until it is executed.

A rollup with a virtual machine of its own gets TRANSACTION as it is typed, or the bytes of
hexadecimal digits after 0x. For an EVM rollup a transaction is made of the flags, and signed
with the key of the first account of the test mnemonic, or with --private-key.`,
		Example: `  ordo tx send --rpc http://127.0.0.1:8600 '{"key":"greeting","version":1,"value":"hello"}'
  ordo tx send --rpc http://127.0.0.1:8545 --to 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --value 1ether`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) == (o.to != "") {
				return errors.New("say what to send: either a transaction's bytes, or, to an EVM rollup, --to with --value or --data")
			}
			client := jsonrpc.New(rpc, rpcTimeout)
			var hash txHash
			var err error
			if o.to != "" {
				hash, err = o.send(cmd.Context(), rpc)
			} else {
				err = client.Call(cmd.Context(), &hash, "ordo_sendTransaction", hexOf(args[0]))
			}
			if errors.Is(err, syscall.ECONNREFUSED) {
				return fmt.Errorf("no node answers at %s: start it, or name another with --rpc", rpc)
			}
			if err != nil {
				return err
			}
			return awaitTx(cmd.Context(), cmd.OutOrStdout(), client, hash)
		},
	}
	f := cmd.Flags()
	f.StringVar(&rpc, "rpc", "", "RPC of a node of the rollup")
	f.StringVar(&o.to, "to", "", "EVM: address of the account or contract")
	f.StringVar(&o.value, "value", "0", "EVM: amount, in wei, or such as 2gwei, 0.5ether")
	f.StringVar(&o.data, "data", "", "EVM: what a contract is called with, in hex")
	f.StringVar(&o.key, "private-key", evm.DevAccounts[0].PrivateKey, "EVM: key of the sender, in hex")
	_ = cmd.MarkFlagRequired("rpc") // it exists: it was declared above
	return cmd
}

// hexOf returns a transaction's bytes in hex: what is typed so, or what the text consists of.
func hexOf(typed string) string {
	if digits, ok := strings.CutPrefix(typed, "0x"); ok {
		if _, err := hex.DecodeString(digits); err == nil {
			return typed
		}
	}
	return "0x" + hex.EncodeToString([]byte(typed))
}

// send signs the transaction for the chain at rpc, and hands it in.
func (o ethTx) send(ctx context.Context, rpc string) (txHash, error) {
	key, err := crypto.HexToECDSA(strings.TrimPrefix(o.key, "0x"))
	if err != nil {
		return "", fmt.Errorf("--private-key is no key in hex: %w", err)
	}
	value, err := parseWei(o.value)
	if err != nil {
		return "", err
	}
	if !common.IsHexAddress(o.to) {
		return "", fmt.Errorf("--to %q is no address: it takes 0x and 40 hexadecimal digits", o.to)
	}
	data, err := hex.DecodeString(strings.TrimPrefix(o.data, "0x"))
	if err != nil {
		return "", fmt.Errorf("--data is not hexadecimal: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, rpcTimeout)
	defer cancel()
	c, err := ethclient.DialContext(ctx, rpc)
	if err != nil {
		return "", fmt.Errorf("reach %s: %w", rpc, err)
	}
	defer c.Close()
	from, to := crypto.PubkeyToAddress(key.PublicKey), common.HexToAddress(o.to)
	chainID, err := c.ChainID(ctx)
	if err != nil {
		return "", fmt.Errorf("ask %s for its chain ID: %w", rpc, err)
	}
	nonce, err := c.PendingNonceAt(ctx, from)
	if err != nil {
		return "", fmt.Errorf("ask for the nonce of %s: %w", from, err)
	}
	gas, err := c.EstimateGas(ctx, ethereum.CallMsg{From: from, To: &to, Value: value, Data: data})
	if err != nil {
		return "", fmt.Errorf("it would fail: %w", err)
	}
	price, err := c.SuggestGasPrice(ctx)
	if err != nil {
		return "", fmt.Errorf("ask for the price of gas: %w", err)
	}
	tip, err := c.SuggestGasTipCap(ctx)
	if err != nil {
		return "", fmt.Errorf("ask for the usual tip: %w", err)
	}
	tx, err := types.SignNewTx(key, types.LatestSignerForChainID(chainID), &types.DynamicFeeTx{
		ChainID: chainID, Nonce: nonce, To: &to, Value: value, Data: data, Gas: gas + gas/4, // the state may be another by then
		GasTipCap: tip, GasFeeCap: new(big.Int).Lsh(price, 1),
	})
	if err != nil {
		return "", fmt.Errorf("sign the transaction: %w", err)
	}
	if err := c.SendTransaction(ctx, tx); err != nil {
		return "", fmt.Errorf("send the transaction: %w", err)
	}
	return txHash(tx.Hash().Hex()), nil
}

// parseWei reads an amount such as 5, 2gwei or 0.5ether.
func parseWei(s string) (*big.Int, error) {
	number, unit := s, int64(1)
	if n, ok := strings.CutSuffix(s, "ether"); ok {
		number, unit = n, 1e18
	} else if n, ok := strings.CutSuffix(s, "gwei"); ok {
		number, unit = n, 1e9
	}
	const longest = 100 // an exponent could otherwise take all memory
	amount, ok := new(big.Rat).SetString(number)
	if !ok || len(number) > longest || strings.ContainsAny(number, "eEpP/xX_") {
		return nil, fmt.Errorf("--value %q is no amount: want wei, or such as 2gwei, 0.5ether", s)
	}
	amount.Mul(amount, new(big.Rat).SetInt64(unit))
	if !amount.IsInt() || amount.Sign() < 0 {
		return nil, fmt.Errorf("--value %q is no whole number of wei", s)
	}
	return amount.Num(), nil
}

// awaitTx prints the transaction's hash, and where it was executed.
func awaitTx(ctx context.Context, out io.Writer, client *jsonrpc.Client, hash txHash) error {
	fmt.Fprintln(out, hash)
	for began := time.Now(); ; {
		var s txStatus
		err := client.Call(ctx, &s, "ordo_transactionStatus", hash)
		switch {
		case err != nil && !errors.Is(err, jsonrpc.ErrNull):
			return err
		case s.Status == "dropped":
			return fmt.Errorf("the transaction was dropped: %s", s.Reason)
		case s.BlockNumber != nil:
			fmt.Fprintln(out, s.orderedDetail())
			return nil
		case time.Since(began) > executedWithin:
			return fmt.Errorf("the node has the transaction, and it was not executed within %v: go on waiting with `ordo tx watch %s --rpc %s`", executedWithin, hash, client.URL)
		}
		select {
		case <-ctx.Done():
			return nil // the user has seen enough
		case <-time.After(watchInterval):
		}
	}
}
