package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// chainExamples are of commands that the Cosmos SDK brings, below `ordo sequencer`. Those
// that it writes into its help are of a program called appd or simd, or are missing.
const chainExamples = `
genesis add-genesis-account operator 2000000000000uordo
genesis bulk-add-genesis-account accounts.json
genesis collect-gentxs
genesis gentx operator 1000000000000uordo --chain-id my-network
genesis validate genesis.json
tx bank multi-send operator ordo1... ordo1... 1000000uordo --fees 500uordo
tx bank send operator ordo1... 1000000uordo --fees 500uordo
tx broadcast signed.json
tx decode CpIBCo8BChwvY29zbW9z...
tx distribution fund-community-pool 1000000uordo --from operator --fees 500uordo
tx distribution fund-validator-rewards-pool ordovaloper1... 1000000uordo --from operator --fees 500uordo
tx distribution set-withdraw-addr ordo1... --from operator --fees 500uordo
tx distribution withdraw-all-rewards --from operator --fees 500uordo
tx distribution withdraw-rewards ordovaloper1... --from operator --fees 500uordo
tx distribution withdraw-validator-commission ordovaloper1... --from operator --fees 500uordo
tx encode signed.json
tx gov cancel-proposal 1 --from operator --fees 500uordo
tx gov deposit 1 10000000uordo --from operator --fees 500uordo
tx gov draft-proposal
tx gov submit-legacy-proposal --title Title --description Text --type Text --deposit 10000000uordo --from operator --fees 500uordo
tx gov submit-proposal proposal.json --from operator --fees 500uordo
tx gov vote 1 yes --from operator --fees 500uordo
tx gov weighted-vote 1 yes=0.6,no=0.4 --from operator --fees 500uordo
tx multi-sign unsigned.json committee alice.json bob.json
tx sign unsigned.json --from operator
tx slashing unjail --from operator --fees 500uordo
tx staking cancel-unbond ordovaloper1... 1000000uordo 1200 --from operator --fees 500uordo
tx staking create-validator validator.json --from operator --fees 500uordo
tx staking delegate ordovaloper1... 1000000uordo --from operator --fees 500uordo
tx staking edit-validator --new-moniker alice --from operator --fees 500uordo
tx staking redelegate ordovaloper1... ordovaloper1... 1000000uordo --from operator --fees 500uordo
tx staking rotate-cons-pub-key '{"@type":"/cosmos.crypto.ed25519.PubKey","key":"..."}' --from operator --fees 500uordo
tx staking unbond ordovaloper1... 1000000uordo --from operator --fees 500uordo
tx upgrade cancel-software-upgrade --title Title --summary Text --deposit 10000000uordo --from operator --fees 500uordo
tx upgrade software-upgrade v2 --upgrade-height 120000 --title Title --summary Text --deposit 10000000uordo --from operator --fees 500uordo
`

// showExamples gives each of those commands its example, and those that only have others
// below them the first of these.
func showExamples(sequencer *cobra.Command) {
	for line := range strings.Lines(chainExamples) {
		words := strings.Fields(line)
		for cmd := sequencer; len(words) > 0; words = words[1:] {
			subs := cmd.Commands()
			i := slices.IndexFunc(subs, func(sub *cobra.Command) bool { return sub.Name() == words[0] })
			if i < 0 {
				break
			}
			cmd = subs[i]
			if cmd.Example == "" || !strings.Contains(cmd.Example, "ordo ") {
				cmd.Example = "  ordo sequencer " + strings.TrimSpace(line)
			}
		}
	}
}
