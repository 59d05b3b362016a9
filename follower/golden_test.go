package follower

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	orderv1 "github.com/ordo-network/ordo/order/v1"
)

var update = flag.Bool("update", false, "write the golden files")

// golden returns what the file holds, in hex; with -update it first writes raw there.
func golden(t *testing.T, name string, raw []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", name+".hex")
	if *update && raw != nil {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(hex.EncodeToString(raw)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestGolden holds the stored formats: what an earlier version wrote is read.
func TestGolden(t *testing.T) {
	blocks := []*orderv1.RollupBlock{rawBlock(t, 9, "a"), rawBlock(t, 10, "a"), rawBlock(t, 11, "b")}
	raw, err := EncodeBlob(blocks)
	if err != nil {
		t.Fatal(err)
	}
	// Another version of zstd may pack otherwise, so the blob is compared unpacked.
	stored := golden(t, "blob", raw)
	if !bytes.Equal(stored[:blobHeaderSize], raw[:blobHeaderSize]) {
		t.Errorf("blob header %x, want %x", raw[:blobHeaderSize], stored[:blobHeaderSize])
	}
	out, err := DecodeBlob(stored, DefaultBlobLimits)
	if err != nil || len(out) != 3 {
		t.Fatalf("%d blocks: %v", len(out), err)
	}
	blocks[1] = withoutValidators(blocks[1])
	for i := range blocks {
		if !proto.Equal(out[i], blocks[i]) {
			t.Errorf("block %d: %v, want %v", i, out[i], blocks[i])
		}
	}

	trust := newTestChain(testValidators(0, 4)).trust(t)
	header := *trust.known.header
	header.Height, header.Version.Block, header.ProposerAddress = 7, 11, make([]byte, 20)
	cp := Checkpoint{header: &header, validators: trust.known.validators}
	for name, raw := range map[string][]byte{
		"checkpoint": cp.Encode(),
		"cursor":     Cursor{DAHeight: 300, Checkpoint: cp, awaited: []awaited{{first: 9, from: 250, to: 260}}}.Encode(),
	} {
		stored := golden(t, name, raw)
		if !bytes.Equal(stored, raw) {
			t.Errorf("%s: %x, want %x", name, raw, stored)
		}
	}
	if c, err := DecodeCursor(golden(t, "cursor", nil)); err != nil || c.DAHeight != 300 || c.Checkpoint.Height() != 7 || len(c.awaited) != 1 {
		t.Errorf("cursor %+v: %v", c, err)
	}
}
