package rollup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestLoadDomain(t *testing.T) {
	t.Parallel()
	genesis := filepath.Join(t.TempDir(), "genesis.json")
	if err := newSignedChain().doc.SaveAs(genesis); err != nil {
		t.Fatal(err)
	}
	home := func(name string, change func(*InitOptions)) string {
		dir := filepath.Join(t.TempDir(), name)
		o := InitOptions{
			Name: name, ChainID: 31337, Sequencers: []string{"http://127.0.0.1:1"}, SequencerGenesis: genesis, StartHeight: 1,
			Domain: domainNames, DomainStart: 5,
		}
		if change != nil {
			change(&o)
		}
		if err := Init(dir, o); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	alpha, beta := home("alpha", nil), home("beta", nil)
	homes, cfgs, err := loadDomain(startCommand, []string{beta, alpha})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(homes, []string{alpha, beta}) || cfgs[0].Name != "alpha" || cfgs[1].Name != "beta" {
		t.Errorf("homes %v of %s and %s", homes, cfgs[0].Name, cfgs[1].Name)
	}
	for name, test := range map[string]struct {
		homes []string
		want  string
	}{
		"one":            {[]string{alpha}, "--home HOME-OF-BETA"},
		"one twice":      {[]string{alpha, alpha}, "are both homes of alpha"},
		"another start":  {[]string{alpha, home("beta", func(o *InitOptions) { o.DomainStart = 6 })}, filepath.Join(alpha, "config.toml") + ", below [domain], set start_height = 6 "},
		"another order":  {[]string{alpha, home("beta", func(o *InitOptions) { o.Domain = []string{"beta", "alpha"} })}, "domain.rollups is"},
		"another pace":   {[]string{alpha, home("beta", func(o *InitOptions) { o.Execution.BlockTime = time.Second })}, "execution.block_time is 0s for alpha and 1s for beta"},
		"one of none":    {[]string{alpha, home("gamma", func(o *InitOptions) { o.Domain, o.DomainStart = nil, 0 })}, "rollup gamma in "},
		"no such a home": {[]string{alpha, filepath.Join(alpha, "nowhere")}, "nowhere"},
	} {
		if _, _, err := loadDomain(startCommand, test.homes); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// A home of the domain that lies beside the one that is laid out tells its heights.
func TestDomainBeside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	genesis, another := filepath.Join(dir, "genesis.json"), filepath.Join(dir, "another.json")
	if err := errors.Join(newSignedChain().doc.SaveAs(genesis), os.WriteFile(another, []byte("{}"), 0o600)); err != nil {
		t.Fatal(err)
	}
	of := func(name, genesis string, domain ...string) InitOptions {
		return InitOptions{
			Name: name, ChainID: 31337, Sequencers: []string{"http://127.0.0.1:1"}, SequencerGenesis: genesis, StartHeight: 7, DomainStart: 9, Domain: domain,
		}
	}
	for i, o := range []InitOptions{of("gamma", genesis), of("alpha", another, domainNames...), of("alpha", genesis, domainNames...)} {
		if err := Init(filepath.Join(dir, fmt.Sprint(i)), o); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		o    InitOptions
		want string
	}{
		{of("beta", genesis, domainNames...), filepath.Join(dir, "2")},
		{of("alpha", genesis, domainNames...), ""},
		{of("beta", genesis, "beta", "alpha"), ""},
	} {
		got, cfg, err := DomainBeside(filepath.Join(dir, "new"), test.o)
		if err != nil || got != test.want || got != "" && (cfg.StartHeight != 7 || cfg.Domain.StartHeight != 9) {
			t.Errorf("beside %s of %v: %q with %d and %d (%v), want %q", test.o.Name, test.o.Domain, got, cfg.StartHeight, cfg.Domain.StartHeight, err, test.want)
		}
	}
	if got, _, err := DomainBeside(filepath.Join(dir, "nowhere", "new"), of("beta", genesis, domainNames...)); got != "" || err != nil {
		t.Errorf("beside nothing: %q, %v", got, err)
	}
}
