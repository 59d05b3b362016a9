package ordering

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"sync"
	"time"
)

// startProfiles collects a CPU profile of each process, and of this one, for most
// of the time that a load lasts; finish waits for them. Who has no pprof endpoint is
// left out with a word.
func startProfiles(ctx context.Context, o Options, st *stage, part string, lasts time.Duration) (finish func()) {
	if o.ProfileDir == "" {
		return func() {}
	}
	dir := filepath.Join(o.ProfileDir, strings.ToLower(st.name())+"-"+part)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		o.say("no profiles: %v", err)
		return func() {}
	}
	var running sync.WaitGroup
	length := lasts * 3 / 4
	ctx, cancel := context.WithTimeout(ctx, length+30*time.Second)
	for _, p := range st.processes() {
		running.Go(func() {
			file := filepath.Join(dir, p.Label+".pprof")
			if err := fetchProfile(ctx, p.Profile, length, file); err != nil {
				o.say("no profile of %s: %v", p.Label, err)
			}
		})
	}
	own := func() {}
	if f, err := os.Create(filepath.Join(dir, driver+".pprof")); err != nil {
		o.say("no profile of the %s: %v", driver, err)
	} else if err := pprof.StartCPUProfile(f); err != nil {
		_ = f.Close() // it is empty
		o.say("no profile of the %s: %v", driver, err)
	} else {
		own = func() {
			pprof.StopCPUProfile()
			if err := f.Close(); err != nil {
				o.say("profile of the %s: %v", driver, err)
			}
		}
	}
	return func() {
		own()
		running.Wait()
		cancel()
	}
}

func fetchProfile(ctx context.Context, url string, length time.Duration, file string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", url, int(length.Seconds())), nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP status %s", resp.Status)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return err
	}
	return os.WriteFile(file, raw, 0o644)
}
