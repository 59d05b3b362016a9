package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The test binary stands in for ordo in the transcripts of testdata.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ordo": main})
}

func TestTranscripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: "testdata", RequireExplicitExec: true})
}
