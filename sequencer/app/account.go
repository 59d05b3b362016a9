package app

import (
	"fmt"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/ordo-network/ordo/sequencer/ordering"
	"github.com/ordo-network/ordo/sequencer/pool"
)

// Account is what the last state says of an account.
type Account struct {
	Known    bool
	Number   uint64
	Sequence uint64 // of its next transaction
	Balance  uint64 // that it can spend, in uordo
}

// Account reads the account of an address such as "ordo1...". Errors: pool.ErrNotReady.
func (a *App) Account(address string) (Account, error) {
	v := a.state.current.Load()
	if v == nil {
		return Account{}, pool.ErrNotReady
	}
	raw, err := accounts.StringToBytes(address)
	if err != nil {
		return Account{}, fmt.Errorf("address %q: %w", address, err)
	}
	ctx := v.reader()
	known := a.keepers.account.GetAccount(ctx, raw)
	if known == nil {
		return Account{}, nil
	}
	coin := a.keepers.bank.SpendableCoin(ctx, sdk.AccAddress(raw), ordering.Denom)
	out := Account{Known: true, Number: known.GetAccountNumber(), Sequence: known.GetSequence()}
	if coin.Amount.IsUint64() {
		out.Balance = coin.Amount.Uint64()
	} else {
		out.Balance = ^uint64(0)
	}
	return out, nil
}
