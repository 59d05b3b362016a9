package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	ics23 "github.com/cosmos/ics23/go"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/executiontest"
)

var _ execution.Recaller = (*kv)(nil)

func set(key string, version uint64, value string) []byte {
	return fmt.Appendf(nil, `{"key":%q,"version":%d,"value":%q}`, key, version, value)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	executiontest.Run(t, executiontest.Harness{
		Open: func(t *testing.T, dir string) execution.Client {
			s, err := open(dir)
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		Transaction: func(_ *testing.T, n uint64) []byte { return set("count", n+1, "up") },
		Invalid:     [][]byte{set("other", 0, ""), set("other", 2, ""), []byte(`{"key":1}`), []byte(`null`)},
	})
}

// Whoever knows a block's hash need not believe the store.
func TestProof(t *testing.T) {
	t.Parallel()
	s, err := open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.Execute(t.Context(), execution.Hash{}, executiontest.Harness{}.Block(1, set("a", 1, "x"), set("b", 1, "y")))
	if err != nil {
		t.Fatal(err)
	}
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/a", nil))
	var got struct {
		Write json.RawMessage
		Proof []byte
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, answer.Body)
	}
	var proof ics23.CommitmentProof
	if err := proof.Unmarshal(got.Proof); err != nil {
		t.Fatal(err)
	}
	root := res.Head.Hash[:]
	if !ics23.VerifyMembership(ics23.IavlSpec, root, &proof, []byte("key/a"), got.Write) {
		t.Errorf("the proof of %s does not hold", got.Write)
	}
	if ics23.VerifyMembership(ics23.IavlSpec, root, &proof, []byte("key/a"), set("a", 1, "y")) {
		t.Error("the proof holds for another value")
	}
	answer = httptest.NewRecorder()
	s.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/c", nil))
	if answer.Code != 404 {
		t.Errorf("a key that is not there: got %d", answer.Code)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
