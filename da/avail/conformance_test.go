package avail

import (
	"net/http"
	"testing"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/avail/availtest"
	"github.com/ordo-network/ordo/da/datest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	s := lightClient(t, availtest.Options{})
	datest.Run(t, datest.Harness{
		Remote: true,
		Stores: func(r *http.Request) bool { return r.Method == http.MethodPost },
		Open: func(t *testing.T, transport http.RoundTripper) da.Layer {
			return newClient(t, s.URL, Options{Transport: transport})
		},
	})
}
