package ordering

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ordo-network/ordo/bench/peers"
)

// TestMain lets the test binary be what the benchmark starts: `ordo bench peer`.
func TestMain(m *testing.M) {
	if len(os.Args) == 5 && os.Args[1] == "bench" && os.Args[2] == "peer" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		err := peers.Run(ctx, os.Args[4], os.Stderr)
		stop()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func smokeOptions(t *testing.T) Options {
	t.Helper()
	o := DefaultOptions()
	o.Systems, o.Parts = []string{SystemComet}, []string{PartThroughput, PartHalf}
	o.Size, o.Duration, o.RateMBps = 16<<10, time.Second, 0.2
	o.Binary, o.Dir = os.Args[0], t.TempDir()
	o.Progress = func(line string) { t.Log(line) }
	return o
}

func TestAReportOfRealValidators(t *testing.T) {
	o := smokeOptions(t)
	o.ProfileDir = t.TempDir()
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Highest) != 1 || len(r.Half) != 1 {
		t.Fatalf("%+v", r)
	}
	h := r.Highest[0]
	if h.Ordered+h.Missing+h.Refused != h.Sent || h.Ordered < h.Sent/2 || h.Duplicates > 0 || h.Blocks == 0 {
		t.Errorf("%+v", h)
	}
	// Each validator receives what the three others took in, once at least.
	if median, _ := h.receivedShare(); median < 0.7 || median > 8 {
		t.Errorf("a validator received %.2f of what was ordered", median)
	}
	if len(h.Processes) != 5 || h.peakMB() < 10 {
		t.Errorf("processes: %+v", h.Processes)
	}
	var table bytes.Buffer
	if err := r.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(table.String(), "CometBFT  4 ") {
		t.Errorf("the table reads\n%s", table.String())
	}
	profiles, err := filepath.Glob(filepath.Join(o.ProfileDir, "cometbft-throughput", "*.pprof"))
	if err != nil || len(profiles) != 5 {
		t.Errorf("profiles: %v, %v", profiles, err)
	}
	if left, err := os.ReadDir(o.Dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestAValidatorThatDiesEndsTheRun(t *testing.T) {
	o := smokeOptions(t)
	s, err := startComet(t.Context(), o, 2)
	if err != nil {
		t.Fatal(err)
	}
	st, err := newStage(t.Context(), o, s)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := st.close(); err != nil {
			t.Error(err)
		}
	}()
	if err := syscall.Kill(s.All[0].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-s.All[0].Done()
	if _, err := st.trial(t.Context(), load{size: 1000, rate: 10_000, duration: 5 * time.Second}); err == nil {
		t.Error("the trial went on without a validator")
	}
	if err := st.failed(); err == nil || !strings.Contains(err.Error(), "peer-0 has ended") {
		t.Errorf("the stage says %v", err)
	}
}

func TestAProgramThatCannotRunIsExplained(t *testing.T) {
	o := smokeOptions(t)
	o.Binary = "/bin/false"
	// All validators end at once: whichever was seen first is named.
	if _, err := Run(t.Context(), o); err == nil || !regexp.MustCompile(`peer-[0-3] has ended \(exit status 1\)`).MatchString(err.Error()) {
		t.Errorf("CometBFT by /bin/false: %v", err)
	}
	o.Systems = []string{SystemOrdo}
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "sequencer init-network") {
		t.Errorf("Ordo by /bin/false: %v", err)
	}
	o.Binary = filepath.Join(t.TempDir(), "missing")
	if _, err := Run(t.Context(), o); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing program: %v", err)
	}
}
