package devnet

import (
	"path/filepath"
)

// genesisFile is the sequencer chain's genesis: the same file in each validator's home.
func genesisFile(home string) string {
	return filepath.Join(home, validatorName(0), "config", "genesis.json")
}

func rollupHome(home string, i int) string { return filepath.Join(home, "rollup-"+rollupNames[i]) }

func relayerHome(home string) string { return filepath.Join(home, "relayer") }

// children are the processes of a network, as an operator would start them.
func (o Options) children(s Shape) []child {
	var out []child
	add := func(name string, stage int, home string, args ...string) {
		args = append(args, "--home", home)
		if o.LogLevel != "" {
			args = append(args, "--log-level", o.LogLevel)
		}
		out = append(out, child{name: name, stage: stage, args: args, log: filepath.Join(o.Home, logsName, name+".log")})
	}
	for i := range s.Validators {
		add(validatorName(i), stageValidator, filepath.Join(o.Home, validatorName(i)), "sequencer", "start")
	}
	add("relayer", stageRelayer, relayerHome(o.Home), "relayer", "start")
	for i := range s.Rollups {
		add("rollup-"+rollupNames[i], stageRollup, rollupHome(o.Home, i), "rollup", "start")
	}
	return out
}

func build(home string, s Shape) error { return nil }
