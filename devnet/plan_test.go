package devnet

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestStandardPortsAreThoseThatToolsExpect(t *testing.T) {
	t.Parallel()
	p := newPlan(DefaultShape())
	if p.Rollups[0].RPC != 8545 || p.Rollups[1].RPC != 8546 {
		t.Errorf("rollups listen on %d and %d, want 8545 and 8546", p.Rollups[0].RPC, p.Rollups[1].RPC)
	}
	if got := p.Validators[0]; got != (validatorPorts{P2P: 26600, RPC: 26601, API: 26602, Metrics: 26603, Dispersal: 26604}) {
		t.Errorf("validator 0 listens on %+v", got)
	}
}

func TestNoPortIsGivenTwice(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := Shape{
			Validators: rapid.IntRange(1, MaxValidators).Draw(t, "validators"),
			Rollups:    rapid.IntRange(1, MaxRollups).Draw(t, "rollups"),
			BlockTime:  time.Second,
			DA:         DA{Layers: rapid.SampledFrom([]string{"local", "celestia", "local,alpha=eigenda"}).Draw(t, "layers")},
			BasePort:   rapid.SampledFrom([]int{0, 1024, 30000, 65000}).Draw(t, "base"),
		}
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		owners := map[int]string{}
		claims := newPlan(s).claims()
		for _, c := range claims {
			if other, taken := owners[c.port]; taken {
				t.Errorf("port %d is for the %s and the %s", c.port, other, c.owner)
			}
			owners[c.port] = c.owner
			// The relayer's and those of DA layers' nodes are kept for them, used or not.
			if n := 5*s.Validators + 2*s.Rollups + 4; s.BasePort > 0 && (c.port < s.BasePort || c.port >= s.BasePort+n) {
				t.Errorf("port %d of the %s is not among the %d from %d on", c.port, c.owner, n, s.BasePort)
			}
		}
		want := 5*s.Validators + 2*s.Rollups + 2
		if s.DA.Layers == "local,alpha=eigenda" && s.Rollups > 1 {
			want++ // the local one is used, too
		}
		if len(claims) != want {
			t.Errorf("%d ports, want %d", len(claims), want)
		}
	})
}

func TestShapeOutOfBounds(t *testing.T) {
	t.Parallel()
	for flag, change := range map[string]func(*Shape){
		"--validators": func(s *Shape) { s.Validators = 17 },
		"--rollups":    func(s *Shape) { s.Rollups = 0 },
		"--block-time": func(s *Shape) { s.BlockTime = 0 },
		"--da":         func(s *Shape) { s.DA.Layers = "gamma=celestia" },
		"--base-port":  func(s *Shape) { s.BasePort = 65530 },
	} {
		s := DefaultShape()
		change(&s)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("error is %v, want one that names %s", err, flag)
		}
	}
	if err := DefaultShape().Validate(); err != nil {
		t.Error(err)
	}
}

func TestBusyPortIsNamedWithItsOwner(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	err = plan{Rollups: []rollupPorts{{RPC: port}}}.check()
	want := fmt.Sprintf("port %d, asked for by the RPC of rollup alpha, is in use", port)
	if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error is %v, want one line that begins with %q", err, want)
	}
}

func TestBackoffGrowsAndStartsOver(t *testing.T) {
	t.Parallel()
	b := &backoff{first: time.Second, most: 5 * time.Second, steady: time.Minute}
	for i, c := range []struct{ up, want time.Duration }{
		{0, time.Second}, {time.Second, 2 * time.Second}, {0, 4 * time.Second}, {0, 5 * time.Second}, {0, 5 * time.Second},
		{time.Minute, time.Second}, {0, 2 * time.Second},
	} {
		if got := b.wait(c.up); got != c.want {
			t.Errorf("death %d: wait is %v, want %v", i, got, c.want)
		}
	}
}
