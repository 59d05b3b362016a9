package app

import (
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/x/auth/ante"
)

// newAnteHandler returns what stands before each ordinary transaction: fees,
// signatures, sequence numbers. Payers of bundles are ed25519 accounts and sign
// ordinary transactions with the same key, so their money is not locked in.
func newAnteHandler(enc *Encoding, k *keepers) (sdk.AnteHandler, error) {
	return ante.NewAnteHandler(ante.HandlerOptions{
		AccountKeeper: k.account, BankKeeper: k.bank, SignModeHandler: enc.TxConfig.SignModeHandler(),
		SigGasConsumer: ante.DefaultSigVerificationGasConsumer,
	})
}
