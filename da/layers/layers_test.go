package layers

import (
	"encoding/base64"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ordo-network/ordo/config"
	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/eigenda"
)

// valid returns settings that the layer takes.
func valid(name string) Config {
	c := Config{Endpoint: endpoints[name]}
	if name == "avail" {
		c.AppID = 1
	}
	return c
}

// noIndex is an index that is never asked.
type noIndex struct{ eigenda.Index }

func TestEveryLayerOpens(t *testing.T) {
	t.Parallel()
	for _, name := range Names {
		layer, err := Open(name, valid(name), Options{Index: noIndex{}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if layer.Name() != name {
			t.Errorf("%s calls itself %s", name, layer.Name())
		}
		if err := layer.Close(); err != nil {
			t.Errorf("close %s: %v", name, err)
		}
	}
}

func TestSettingsAreExplained(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		layer  string
		change func(*Config)
		want   string
	}{
		{"ethereum", func(*Config) {}, `da: unknown DA layer "ethereum", want one of local, celestia, eigenda, avail`},
		{"local", func(c *Config) { c.Endpoint = "" }, `da.endpoint is empty, and layer local needs one, such as "http`},
		{"celestia", func(c *Config) { c.Endpoint = "127.0.0.1:26658" }, "da.endpoint"},
		{"celestia", func(c *Config) { c.Endpoint = "ws://127.0.0.1:26658" }, "da.endpoint"},
		{"celestia", func(c *Config) { c.Token = "abc\n" }, "da.token"},
		{"celestia", func(c *Config) { c.GasPrice = -1 }, "da.gas_price is -1"},
		{"celestia", func(c *Config) { c.GasPrice = math.NaN() }, "da.gas_price"},
		{"celestia", func(c *Config) { c.Namespace = "0102" }, "da.namespace"},
		{"celestia", func(c *Config) { c.Namespace = "not hex" }, "da.namespace"},
		{"celestia", func(c *Config) { c.Namespace = "000000000000000000ff" }, "reserved"},
		{"eigenda", func(c *Config) { c.MaxBlobBytes = 1 }, "da.max_blob_bytes"},
		{"eigenda", func(c *Config) { c.MaxBlobBytes = 1 << 30 }, "da.max_blob_bytes"},
		{"eigenda", func(c *Config) { c.PricePerMB = math.Inf(1) }, "da.price_per_mb"},
		{"avail", func(c *Config) { c.AppID = 0 }, "da.app_id"},
	} {
		c := valid(tt.layer)
		tt.change(&c)
		err := c.Validate(tt.layer, "da")
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s with %+v: %v, want %q", tt.layer, c, err, tt.want)
		}
		if _, opened := Open(tt.layer, c, Options{Index: noIndex{}}); opened == nil || opened.Error() != err.Error() {
			t.Errorf("Open says %v, Validate %v", opened, err)
		}
	}
	if err := valid("local").Validate("nothing", "layers.nothing"); !errors.Is(err, ErrUnknown) {
		t.Errorf("%v, want ErrUnknown", err)
	}
	if _, err := Open("eigenda", valid("eigenda"), Options{}); err == nil {
		t.Error("EigenDA opened without an index")
	}
}

func TestANamespaceOfOnesOwn(t *testing.T) {
	t.Parallel()
	ns, err := ParseNamespace("6f72646f2d7465737431")
	if err != nil || string(ns[19:]) != "ordo-test1" || ns[0] != 0 {
		t.Errorf("%x, %v", ns, err)
	}
}

// Settings reach the layer: a rollup's own namespace counts more than the table's.
func TestNamespacesReachCelestia(t *testing.T) {
	t.Parallel()
	table, err := ParseNamespace("6f72646f2d7465737431")
	if err != nil {
		t.Fatal(err)
	}
	own := table
	own[28]++
	first, second := da.Namespace{1}, da.Namespace{2}
	asked := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // a torn one is not what is looked for
		if strings.Contains(string(body), "blob.Submit") {
			asked <- string(body)
		}
		http.Error(w, "no", http.StatusServiceUnavailable)
	}))
	defer server.Close()
	c := valid("celestia")
	c.Endpoint, c.Namespace = server.URL, "6f72646f2d7465737431"
	layer, err := Open("celestia", c, Options{Namespaces: map[da.Namespace][29]byte{second: own}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = layer.Close() }() // idle connections alone
	for ns, want := range map[da.Namespace][29]byte{first: table, second: own} {
		if _, err := layer.Submit(t.Context(), []da.Blob{{Namespace: ns, Data: []byte{1}}}); err == nil {
			t.Error("a submission that failed gave no error")
		}
		if text := base64.StdEncoding.EncodeToString(want[:]); !strings.Contains(<-asked, text) {
			t.Errorf("namespace %x was not used", want)
		}
	}
}

// The table is written with its comments and read back as it was.
func TestSettingsSurviveTheirFile(t *testing.T) {
	t.Parallel()
	type file struct {
		DA Config `toml:"da"`
	}
	want := file{Config{
		Endpoint: "http://x:1", Token: "t", GasPrice: 0.004, ChainID: "mocha-4", Namespace: "6f72646f2d7465737431", AppID: 7,
		MaxBlobBytes: 1 << 20, PricePerMB: 0.1,
	}}
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := config.Write(path, want); err != nil {
		t.Fatal(err)
	}
	var got file
	if err := config.Load(path, &got); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}
