package devnet

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestLayersAsTyped(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		da       DA
		of       string // the layers of alpha and beta
		used     string
		started  string
		embedded bool
	}{
		{DA{Layers: "local"}, "local local", "local", "", true},
		{DA{Layers: "celestia"}, "celestia celestia", "celestia", "celestia", false},
		{DA{Layers: "celestia,beta=local"}, "celestia local", "celestia local", "celestia", true},
		{DA{Layers: "alpha=celestia"}, "celestia local", "celestia local", "celestia", true},
		{DA{Layers: "alpha=eigenda,beta=celestia"}, "eigenda celestia", "eigenda celestia", "eigenda celestia", false},
		{DA{Layers: "celestia,alpha=local"}, "local celestia", "local celestia", "celestia", true},
		{DA{Layers: "celestia", Fallback: "local"}, "celestia celestia", "celestia local", "celestia", true},
		{DA{Layers: "celestia", Endpoints: "http://h:1/?a=b"}, "celestia celestia", "celestia", "", false},
		{DA{Layers: "celestia", Endpoints: "http://h:1", Tokens: "secret"}, "celestia celestia", "celestia", "", false},
		{DA{Layers: "alpha=celestia", Endpoints: "http://h:1"}, "celestia local", "celestia local", "", true},
		{DA{Layers: "alpha=celestia,beta=eigenda", Endpoints: "eigenda=http://h:1"}, "celestia eigenda", "celestia eigenda", "celestia", false},
		{DA{Layers: "avail", Endpoints: "http://h:1", AppID: 42}, "avail avail", "avail", "", false},
		{DA{Layers: "local", Endpoints: "http://h:1"}, "local local", "local", "", false},
	} {
		l, err := tt.da.layout(2)
		if err != nil {
			t.Errorf("%+v: %v", tt.da, err)
			continue
		}
		if got := l.of("alpha") + " " + l.of("beta"); got != tt.of {
			t.Errorf("%+v: the rollups are on %s, want %s", tt.da, got, tt.of)
		}
		if got := strings.Join(l.used, " "); got != tt.used {
			t.Errorf("%+v: the layers are %s, want %s", tt.da, got, tt.used)
		}
		if got := strings.Join(l.started(), " "); got != tt.started || l.embedded() != tt.embedded {
			t.Errorf("%+v: %q are started and embedded is %v, want %q and %v", tt.da, got, l.embedded(), tt.started, tt.embedded)
		}
	}
}

func TestLayersThatAreMistyped(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		da   DA
		want string
	}{
		{DA{Layers: "ethereum"}, `--da: there is no DA layer "ethereum": use one of local`},
		{DA{Layers: ""}, "--da: there is no DA layer"},
		{DA{Layers: "gamma=celestia"}, `there is no rollup "gamma" among alpha, beta`},
		{DA{Layers: "celestia,local"}, "names two layers for the same"},
		{DA{Layers: "alpha=local,alpha=celestia"}, "names two layers for the same"},
		{DA{Layers: "local", Fallback: "local"}, "which is the layer itself"},
		{DA{Layers: "local", Fallback: "x"}, `--da-fallback: there is no DA layer "x"`},
		{DA{Layers: "avail"}, "--da-endpoint avail="},
		{DA{Layers: "avail", Endpoints: "http://h:1"}, "app_id is 0"},
		{DA{Layers: "celestia", Endpoints: "h:1"}, "not an http or https URL"},
		{DA{Layers: "celestia", Endpoints: "avail=http://h:1"}, "for avail, which no rollup uses"},
		{DA{Layers: "celestia", Endpoints: "http://h:1,http://h:2"}, "give celestia one value"},
		{DA{Layers: "alpha=celestia,beta=eigenda", Endpoints: "http://h:1"}, "does not say which of celestia, eigenda"},
		{DA{Layers: "celestia", Tokens: "secret"}, "name it with --da-endpoint celestia=URL"},
	} {
		if _, err := tt.da.layout(2); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: error is %v, want one with %q", tt.da, err, tt.want)
		}
	}
}

// What the processes are told of DA layers is what was typed.
func TestEveryProcessIsToldItsLayers(t *testing.T) {
	t.Parallel()
	home, shape := t.TempDir(), DefaultShape()
	shape.Validators, shape.BasePort = 1, 30000
	shape.DA = DA{Layers: "alpha=celestia", Fallback: "avail", Endpoints: "avail=http://far:7007", Tokens: "avail=secret", AppID: 42}
	if err := build(home, shape); err != nil {
		t.Fatal(err)
	}
	e := newPlan(shape).endpoints(home)
	r := loadRelayer(t, home)
	if r.Layer != "local" || !maps.Equal(r.RollupLayers, map[string]string{"alpha": "celestia"}) || r.Fallback != "avail" {
		t.Errorf("the relayer is told %+v", r)
	}
	if c := r.Layers["avail"]; len(r.Layers) != 3 || c.Endpoint != "http://far:7007" || c.Token != "secret" || c.AppID != 42 {
		t.Errorf("the relayer is told of %+v", r.Layers)
	}
	if r.Layers["celestia"].Endpoint != e.DAURL("celestia") || "http://"+r.Layers["local"].Listen != e.DAURL("local") {
		t.Errorf("the relayer is told of %+v, the endpoints are %+v", r.Layers, e.DA)
	}
	for i, want := range []string{"celestia", "local"} {
		c := loadRollup(t, home, i)
		if c.DA.Layer != want || c.DA.Endpoint != e.DAURL(want) || c.Fallback.Layer != "avail" || c.Fallback.Token != "secret" || c.Fallback.AppID != 42 {
			t.Errorf("%s is told %+v and %+v", c.Name, c.DA, c.Fallback)
		}
		if got := e.Rollups[i]; got.DA != want || got.DAFallback != "avail" {
			t.Errorf("users are told %+v", got)
		}
	}
	v := loadValidator(t, home, 0)
	if got := slices.Sorted(maps.Keys(v.DA.Layers)); !slices.Equal(got, []string{"avail", "celestia", "local"}) || v.DA.Layers["avail"].Token != "secret" {
		t.Errorf("the validator is told of %+v", v.DA.Layers)
	}
}
