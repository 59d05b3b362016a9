package rollup

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ordo-network/ordo/execution"
)

// settings are those that make the chain: with others there would be other blocks.
type settings struct {
	Mode        string        `json:"mode"`
	BlockTime   time.Duration `json:"block_time"`
	Domain      []string      `json:"domain,omitempty"`
	DomainStart uint64        `json:"domain_start,omitempty"`
}

func settingsOf(c Config) settings {
	return settings{Mode: c.Execution.Mode, BlockTime: time.Duration(c.Execution.BlockTime), Domain: c.Domain.Rollups, DomainStart: c.Domain.StartHeight}
}

// difference says which setting is another one than at the first start.
func (s settings) difference(first settings) error {
	changed := func(setting, is, was string) error {
		return fmt.Errorf("%s is %s and was %s when this chain began: with another one the node would make other blocks than the rest; "+
			"set it back, or lay out a new home for a new rollup", setting, is, was)
	}
	switch {
	case s.Mode != first.Mode:
		return changed("execution.mode", s.Mode, first.Mode)
	case s.BlockTime != first.BlockTime:
		return changed("execution.block_time", s.BlockTime.String(), first.BlockTime.String())
	case !slices.Equal(s.Domain, first.Domain):
		return changed("domain.rollups", "["+strings.Join(s.Domain, ", ")+"]", "["+strings.Join(first.Domain, ", ")+"]")
	case s.DomainStart != first.DomainStart:
		return changed("domain.start_height", fmt.Sprint(s.DomainStart), fmt.Sprint(first.DomainStart))
	}
	return nil
}

// pin keeps the settings, and refuses others once the chain has begun. A home from before
// there were any ran the EVM without a block time.
func (s *store) pin(now settings) error {
	begun, err := s.used()
	if err != nil {
		return err
	}
	if begun {
		first := settings{Mode: ModeEVM}
		raw, ok, err := s.get([]byte(keyChain))
		if err != nil {
			return err
		}
		if ok {
			if err := json.Unmarshal(raw, &first); err != nil {
				return fmt.Errorf("read the chain's settings: %w", err)
			}
		}
		return now.difference(first)
	}
	raw, err := json.Marshal(now)
	if err != nil {
		return fmt.Errorf("keep the chain's settings: %w", err)
	}
	return s.db.Set([]byte(keyChain), raw, pebble.Sync)
}

// used reports whether the store holds a record.
func (s *store) used() (used bool, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: heightKey(keyRecord, 0), UpperBound: []byte("h0")})
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	return it.First(), it.Error()
}

// pace says which blocks of the order become blocks of the rollup.
func (c Config) pace() execution.Pace {
	e := c.Execution
	return execution.Pace{BlockTime: time.Duration(e.BlockTime), Every: e.Mode == ModeGRPC && e.BlockTime == 0}
}

// validateExecution says what is wrong with what executes the rollup.
func (c Config) validateExecution() error {
	e := c.Execution
	if err := c.pace().Check(); err != nil {
		return fmt.Errorf("execution.block_time: %w", err)
	}
	missing := func(setting, why string) error { return fmt.Errorf("execution.%s is empty: %s", setting, why) }
	switch e.Mode {
	case ModeEVM:
		if e.Engine == "" {
			return nil
		}
		fallthrough
	case ModeOP:
		switch {
		case e.Engine == "":
			return missing("engine", "mode op needs the Engine API of an op-geth, such as http://127.0.0.1:8551")
		case e.JWT == "":
			return missing("jwt", "name the file with the secret of the Engine API: the one that the client was started with")
		case e.BlockTime == 0:
			return errors.New("execution.block_time is 0, and an Ethereum client takes no two blocks of one second: set it to 1s or more; it cannot be changed once the chain has begun")
		}
		return httpURL("execution.engine", e.Engine)
	case ModeGRPC:
		if e.Endpoint == "" {
			return missing("endpoint", "mode grpc needs a client of astria.execution.v2, such as grpc://127.0.0.1:50051")
		}
	case ModeGo:
	default:
		return fmt.Errorf("execution.mode is %q: want %s, %s, %s or %s", e.Mode, ModeEVM, ModeOP, ModeGRPC, ModeGo)
	}
	return nil
}

func httpURL(setting, value string) error {
	if u, err := url.Parse(value); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%s is %q: want a URL such as http://127.0.0.1:8551", setting, value)
	}
	return nil
}

// validateDomain says what is wrong with the rollup's domain.
func (c Config) validateDomain() error {
	d := c.Domain
	switch {
	case len(d.Rollups) == 0:
		if d.StartHeight != 0 {
			return errors.New("domain.start_height is set and domain.rollups is empty: name the rollups that are executed together, this one too")
		}
		return nil
	case !slices.Contains(d.Rollups, c.Name):
		return fmt.Errorf("domain.rollups does not name this rollup, %s: it names all that are executed together", c.Name)
	case len(d.Rollups) == 1:
		return errors.New("domain.rollups names this rollup alone: name the others, or none")
	case c.Execution.Mode != ModeEVM:
		return fmt.Errorf("domain.rollups is set, and execution.mode is %s: rollups of mode %s alone are executed together", c.Execution.Mode, ModeEVM)
	case d.StartHeight < c.StartHeight:
		return fmt.Errorf("domain.start_height, %d, is below start_height, %d", d.StartHeight, c.StartHeight)
	}
	if sorted := slices.Sorted(slices.Values(d.Rollups)); len(slices.Compact(sorted)) < len(d.Rollups) {
		return errors.New("domain.rollups names a rollup twice")
	}
	return nil
}

// notAlone refuses to run one rollup of a domain without the others, by that command: whether
// a bundle is applied hangs on all of them.
func (c Config) notAlone(command, home string) error {
	others := slices.DeleteFunc(slices.Clone(c.Domain.Rollups), func(name string) bool { return name == c.Name })
	if len(others) == 0 {
		return nil
	}
	command += " --home " + home
	for _, name := range others {
		command += " --home HOME-OF-" + strings.ToUpper(name)
	}
	return fmt.Errorf("rollup %s is of a domain with %s, and whether a bundle over them is applied is known only to a node that executes all of them: run them together:\n  %s",
		c.Name, strings.Join(others, ", "), command)
}
