package devnet

import "github.com/ordo-network/ordo/execution/evm"

// Mnemonic is known to everybody: its accounts are for tests alone.
const Mnemonic = evm.DevMnemonic

// Account is a funded account of an EVM rollup.
type Account struct{ Address, PrivateKey string }

// AccountETH is what each of Accounts holds on each rollup at the start.
const AccountETH = "10,000"

// Accounts are those that the rollups' genesis funds: the first ten of Mnemonic, at
// m/44'/60'/0'/0/i, which every Ethereum development tool knows.
var Accounts = func() []Account {
	out := make([]Account, len(evm.DevAccounts))
	for i, a := range evm.DevAccounts {
		out[i] = Account{Address: a.Address.Hex(), PrivateKey: a.PrivateKey}
	}
	return out
}()
