package follower

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
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
	c := newTestChain(testValidators(0, 4))
	c.grow(2)
	c.append(nil, testValidators(1, 4)...)
	c.grow(1)
	raw := c.blob(t, 1, 4)
	// Another version of zstd may pack otherwise, so the blob is compared unpacked.
	stored := golden(t, "blob", raw)
	if !bytes.Equal(stored[:blobHeaderSize], raw[:blobHeaderSize]) {
		t.Errorf("blob header %x, want %x", raw[:blobHeaderSize], stored[:blobHeaderSize])
	}
	got, err := unpack(stored, DefaultBlobLimits)
	if err != nil || len(got.blocks) != 4 {
		t.Fatalf("%d blocks: %v", len(got.blocks), err)
	}
	want, err := unpack(raw, DefaultBlobLimits)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("the stored blob holds something else: %v", err)
	}
	if blocks, err := NewVerifier(alpha, c.trust(t), Options{}).NextBlob(stored, c.now()); err != nil || len(blocks) != 4 {
		t.Errorf("%d blocks verify: %v", len(blocks), err)
	}

	trust := newTestChain(testValidators(0, 4)).trust(t)
	header := *trust.known.header
	header.Height, header.Version.Block, header.ProposerAddress = 7, 11, make([]byte, 20)
	cp := Checkpoint{header: &header, validators: trust.known.validators}
	for name, raw := range map[string][]byte{
		"checkpoint": cp.Encode(),
		"cursor":     testCursor(cp).Encode(),
	} {
		stored := golden(t, name, raw)
		if !bytes.Equal(stored, raw) {
			t.Errorf("%s: %x, want %x", name, raw, stored)
		}
	}
	if c, err := DecodeCursor(golden(t, "cursor", nil)); err != nil || !reflect.DeepEqual(c.places, testCursor(cp).places) || c.Checkpoint.Height() != 7 {
		t.Errorf("cursor %+v: %v", c, err)
	}
	for name, part := range testParts(t) {
		if stored := golden(t, name, part[:partHeaderSize+sha256.Size]); !bytes.Equal(stored, part[:partHeaderSize+sha256.Size]) {
			t.Errorf("%s begins with %x, want %x", name, part[:partHeaderSize+sha256.Size], stored)
		}
	}
}

// testCursor has one of everything.
func testCursor(c Checkpoint) Cursor {
	set := partSet{partHeader{first: 8, count: 3, length: 200_000, parts: 3, index: 1, root: [32]byte{1, 2}}, []partAt{{1, 299}, {0, 300}}}
	return Cursor{Checkpoint: c, places: []place{
		{layer: "celestia", read: 300, awaited: []awaited{{first: 9, from: 250, to: 260}}, sets: []partSet{set}}, {layer: "local", read: 7},
	}}
}

// testParts are the parts of a blob that never changes.
func testParts(t *testing.T) map[string][]byte {
	t.Helper()
	raw := append(append([]byte(blobMagic), blobVersion), 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 2, blobStored)
	parts, err := SplitBlob(append(raw, noise(150_000)...), 100_000)
	if err != nil || len(parts) != 2 {
		t.Fatalf("%d parts: %v", len(parts), err)
	}
	return map[string][]byte{"part-0": parts[0], "part-1": parts[1]}
}
