// Package transfer moves money on the sequencer chain. In come the key of an account that has
// some, and who is to get it; what goes out is in a block when Send returns.
package transfer

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/http"
	"time"

	"connectrpc.com/connect"

	sdked25519 "github.com/cosmos/cosmos-sdk/crypto/keys/ed25519"
	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/ordo-network/ordo/keys"
	"github.com/ordo-network/ordo/sequencer/app"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
)

const (
	// gas is above what a transfer takes, and fee above what nodes ask for it by their own default.
	gas, fee = 200_000, 1_000
	// timeout is above what a node waits for a block.
	timeout = 40 * time.Second
)

// Send gives an account so much uordo of another's. Nodes, which are trusted, are asked one
// after the other; where that ends in an error, the money may be there all the same.
func Send(ctx context.Context, nodes []string, chainID string, from ed25519.PrivateKey, to string, uordo uint64) error {
	enc, err := app.NewEncoding()
	if err != nil {
		return fmt.Errorf("send uordo to %s: %w", to, err)
	}
	var errs []error
	for _, url := range nodes {
		client := sequencerv1connect.NewSequencerServiceClient(&http.Client{Timeout: timeout}, url, connect.WithReadMaxBytes(1<<20))
		err := send(ctx, client, enc, chainID, from, to, uordo)
		if err == nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", url, err))
	}
	return fmt.Errorf("send uordo to %s: %w", to, errors.Join(errs...))
}

func send(ctx context.Context, client sequencerv1connect.SequencerServiceClient, enc *app.Encoding, chainID string, from ed25519.PrivateKey, to string, uordo uint64) error {
	address := keys.Address(from.Public().(ed25519.PublicKey))
	account, err := client.GetAccount(ctx, connect.NewRequest(&sequencerv1.GetAccountRequest{Address: address}))
	if err != nil {
		return fmt.Errorf("read account %s: %w", address, err)
	}
	b := enc.TxConfig.NewTxBuilder()
	if err := b.SetMsgs(&banktypes.MsgSend{FromAddress: address, ToAddress: to, Amount: sdk.NewCoins(app.Coin(uordo))}); err != nil {
		return fmt.Errorf("make the transfer: %w", err)
	}
	b.SetGasLimit(gas)
	b.SetFeeAmount(sdk.NewCoins(app.Coin(fee)))
	key := &sdked25519.PrivKey{Key: from}
	if err := app.SignTx(enc, b, chainID, key, account.Msg.GetAccountNumber(), account.Msg.GetSequence()); err != nil {
		return fmt.Errorf("sign the transfer: %w", err)
	}
	raw, err := enc.TxConfig.TxEncoder()(b.GetTx())
	if err != nil {
		return fmt.Errorf("encode the transfer: %w", err)
	}
	res, err := client.SubmitTransaction(ctx, connect.NewRequest(&sequencerv1.SubmitTransactionRequest{Transaction: raw}))
	if err != nil {
		return fmt.Errorf("submit the transfer: %w", err)
	}
	if m := res.Msg; m.GetCode() != 0 {
		return fmt.Errorf("the sequencer chain refuses the transfer: %s (code %d of %s)", m.GetLog(), m.GetCode(), m.GetCodespace())
	}
	return nil
}
