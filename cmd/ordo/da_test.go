package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ordo-network/ordo/relayer"
)

func TestDAStatus(t *testing.T) {
	t.Parallel()
	status := relayer.Status{
		SequencerHeight: 120,
		Layers: []relayer.LayerStatus{
			{Name: "celestia", Answers: true, HeadHeight: 900, PostedHeight: 899, LagBlocks: 7, LagSeconds: 0.71, PendingBytes: 12_345, PricePerMB: 0.0332, PriceUnit: "TIA", Rollups: 1},
			{Name: "avail", Fallback: "celestia", FallbackActive: true, Rollups: 1},
		},
		Rollups: []relayer.RollupStatus{
			{Name: "alpha", RollupID: "ab", Layer: "celestia", ReadHeight: 120, PostedHeight: 113, LagBlocks: 7, LagSeconds: 0.71},
			{Name: "beta", RollupID: "cd", Layer: "avail", FallbackActive: true},
		},
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/status" {
			http.NotFound(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(status) // the test sees what is missing
	}))
	t.Cleanup(s.Close)
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		cmd := newRootCmd()
		cmd.SetOut(&out)
		cmd.SetArgs(append([]string{"da", "status"}, args...))
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	out, err := run("--relayer", s.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"celestia   ok ", "899 ", "7 blocks, 0.7 s", "12.3 kB", "0.0332 TIA", "confirms nothing, celestia takes over", "avail (fallback)", "none"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	out, err = run("--relayer", s.URL+"/", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var report daReport
	if err := json.Unmarshal([]byte(out), &report); err != nil || report.Relayer.Layers[0].PostedHeight != 899 {
		t.Errorf("%v:\n%s", err, out)
	}
	if _, err := run("--relayer", s.URL+"/elsewhere"); err == nil || !strings.Contains(err.Error(), "metrics.listen") {
		t.Errorf("the error is %v", err)
	}
}
