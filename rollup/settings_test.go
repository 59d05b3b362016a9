package rollup

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ordo-network/ordo/config"
)

func TestSettingsOfTheChain(t *testing.T) {
	t.Parallel()
	first := settings{Mode: ModeEVM, BlockTime: time.Second, Domain: []string{"alpha", "beta"}, DomainStart: 7}
	st, err := openStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	old, err := openStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(st.close(), old.close()); err != nil {
			t.Error(err)
		}
	}()
	// Before the chain begins a mistake can be made good.
	if err := errors.Join(st.pin(settings{Mode: ModeOP}), st.pin(first), st.db.Set(heightKey(keyRecord, 1), record{}.encode(), nil), st.pin(first)); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*settings){
		"execution.mode":       func(s *settings) { s.Mode = ModeOP },
		"execution.block_time": func(s *settings) { s.BlockTime = 0 },
		"domain.rollups":       func(s *settings) { s.Domain = []string{"beta", "alpha"} },
		"domain.start_height":  func(s *settings) { s.DomainStart = 8 },
	} {
		other := first
		change(&other)
		if err := st.pin(other); err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	// A home from before there were such settings.
	if err := old.db.Set(heightKey(keyRecord, 1), record{Number: 1}.encode(), nil); err != nil {
		t.Fatal(err)
	}
	if err := old.pin(first); err == nil {
		t.Error("an old chain goes on with a block time")
	}
	if err := errors.Join(old.pin(settings{Mode: ModeEVM}), old.pin(settings{Mode: ModeEVM})); err != nil {
		t.Error(err)
	}
}

// What contradicts itself is refused before anything is opened, by the name of the setting.
func TestExecutionSettings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   string // in the error; "" for none
	}{
		{"as it is made", func(*Config) {}, ""},
		{"a block time", func(c *Config) { c.Execution.BlockTime = config.Duration(12 * time.Second) }, ""},
		{"parts of a second", func(c *Config) { c.Execution.BlockTime = config.Duration(1500 * time.Millisecond) }, "execution.block_time"},
		{"another mode", func(c *Config) { c.Execution.Mode = "wasm" }, "execution.mode"},
		{"a client that needs seconds", func(c *Config) { c.Execution.Engine, c.Execution.JWT = "http://127.0.0.1:8551", "jwt.hex" }, "execution.block_time"},
		{"a client without a secret", func(c *Config) {
			c.Execution.Engine, c.Execution.BlockTime = "http://127.0.0.1:8551", config.Duration(time.Second)
		}, "execution.jwt"},
		{"a client that is no URL", func(c *Config) {
			c.Execution = ExecutionConfig{Mode: ModeEVM, Engine: "127.0.0.1:8551", JWT: "jwt.hex", BlockTime: config.Duration(time.Second)}
		}, "execution.engine"},
		{"a client", func(c *Config) {
			c.Execution = ExecutionConfig{Mode: ModeOP, Engine: "http://127.0.0.1:8551", JWT: "jwt.hex", BlockTime: config.Duration(time.Second)}
		}, ""},
		{"no op-geth", func(c *Config) { c.Execution.Mode = ModeOP }, "execution.engine"},
		{"no endpoint", func(c *Config) { c.Execution.Mode = ModeGRPC }, "execution.endpoint"},
		{"an endpoint", func(c *Config) { c.Execution.Mode, c.Execution.Endpoint = ModeGRPC, "grpc://127.0.0.1:50051" }, ""},
		{"a domain", func(c *Config) { c.Domain = DomainConfig{[]string{"alpha", "beta"}, 1} }, ""},
		{"a domain of others", func(c *Config) { c.Domain = DomainConfig{[]string{"beta", "gamma"}, 1} }, "domain.rollups"},
		{"a domain of one", func(c *Config) { c.Domain = DomainConfig{[]string{"alpha"}, 1} }, "domain.rollups"},
		{"a domain with one twice", func(c *Config) { c.Domain = DomainConfig{[]string{"alpha", "beta", "beta"}, 1} }, "domain.rollups"},
		{"a domain that begins before the rollup", func(c *Config) { c.StartHeight, c.Domain = 5, DomainConfig{[]string{"alpha", "beta"}, 4} }, "domain.start_height"},
		{"a domain of other machines", func(c *Config) {
			c.Execution.Mode, c.Domain = ModeGo, DomainConfig{[]string{"alpha", "beta"}, 1}
		}, "execution.mode"},
	} {
		cfg := DefaultConfig()
		cfg.Name, cfg.Sequencers = "alpha", []string{"http://127.0.0.1:26602"}
		c.change(&cfg)
		if err := cfg.validate(); c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

// One home of a domain does not run alone, and its node says what it needs.
func TestOneOfADomainIsRefused(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.Name, cfg.Domain = "alpha", DomainConfig{[]string{"alpha", "beta", "gamma"}, 1}
	err := cfg.notAlone(startCommand, "/homes/alpha")
	if err == nil || !strings.Contains(err.Error(), "ordo rollup start --home /homes/alpha --home HOME-OF-BETA --home HOME-OF-GAMMA") {
		t.Errorf("got %v", err)
	}
	cfg.Domain = DomainConfig{}
	if err := cfg.notAlone(startCommand, "/homes/alpha"); err != nil {
		t.Error(err)
	}
}
