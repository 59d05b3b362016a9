package node

import (
	"bytes"
	"crypto/ed25519"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/keys"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/app"
	orderingv1 "github.com/ordo-network/ordo/sequencer/ordering/v1"
)

var self = order.Owner{7}

func epochView(t *testing.T, epoch uint64, owner order.Owner, key [32]byte) *lane.View {
	t.Helper()
	c, err := order.NewCommittee(epoch, []order.Member{{Owner: owner, Key: key, Stake: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return &lane.View{Epoch: epoch, Committees: [2]*order.Committee{c}}
}

// A validator that cannot attest takes no bundles, and says once what is to be done.
func TestValidatorWithoutKeySaysSoOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "attestation_keys.json")
	first, err := keys.Attestation(nil).Add()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Save(file); err != nil {
		t.Fatal(err)
	}
	both, err := first.Add()
	if err != nil {
		t.Fatal(err)
	}
	public := func(i int) [32]byte { return [32]byte(both[i].Public().(ed25519.PublicKey)) }
	ring, err := keys.OpenRing(file)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	w := &watch{log: slog.New(slog.NewTextHandler(&log, nil)), self: self, ring: ring, file: file}
	for _, c := range []struct {
		view *lane.View
		ok   bool
		says string
	}{
		{epochView(t, 0, self, [32]byte{}), false, "run `ordo sequencer attester set`"},
		{epochView(t, 1, self, [32]byte{}), false, ""}, // told before
		{epochView(t, 2, self, public(0)), true, ""},
		{epochView(t, 3, self, public(1)), false, "is not in " + file},
		{epochView(t, 4, order.Owner{8}, public(1)), false, "not bonded in this epoch"},
	} {
		log.Reset()
		w.Committed(c.view)
		if w.attests() != c.ok {
			t.Errorf("epoch %d: it attests: %v", c.view.Epoch, w.attests())
		}
		if said := log.String(); !strings.Contains(said, c.says) || c.says == "" && said != "" {
			t.Errorf("epoch %d: it says %q, want %q", c.view.Epoch, said, c.says)
		}
	}
	// The key is put into the home while the node runs.
	if err := both.Save(file); err != nil {
		t.Fatal(err)
	}
	if w.Committed(epochView(t, 5, self, public(1))); !w.attests() {
		t.Error("a key that was added is not found")
	}
}

func TestEvidenceIsWrittenForTheCommand(t *testing.T) {
	enc, err := app.NewEncoding()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "evidence")
	e := newEvidence(dir, enc.Codec, slog.New(slog.DiscardHandler))
	found := lane.Equivocation{
		Offender: self,
		First:    lane.Signed{Core: order.BatchCore{ChainID: "c", Position: order.Position{Owner: order.Owner{9}, Mark: order.Mark{Session: 1, Sequence: 2}}}, Attester: &self, Clock: 5},
		Second:   lane.Signed{Attester: &self, Clock: 6},
	}
	write := func(epoch, sequence uint64) {
		other := found
		other.First.Core.Epoch, other.First.Core.Sequence = epoch, sequence
		if err := e.write(&other); err != nil {
			t.Fatal(err)
		}
	}
	write(0, 1)
	found.First.Core.Epoch = 7
	for range 2 { // the second time to no effect
		if err := e.write(&found); err != nil {
			t.Fatal(err)
		}
	}
	for sequence := range uint64(5) { // as much as the validator likes
		write(7, 100+sequence)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the evidence is in %v: %v", files, err)
	}
	raw, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var msg orderingv1.MsgSubmitEquivocation
	if err := enc.Codec.UnmarshalJSON(raw, &msg); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(msg.First.Core, found.First.Core.Encode()) || !bytes.Equal(msg.Second.Attested.Member, self[:]) || msg.Second.Attested.Clock != 6 {
		t.Errorf("the command reads %+v", &msg)
	}
	// Nobody can make a node hold more than a little of it.
	for range maxEvidence + 1 {
		e.take(found)
	}
}
