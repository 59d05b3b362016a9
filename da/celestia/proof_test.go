package celestia

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"testing"

	"github.com/celestiaorg/go-square/v3/share"
	"github.com/celestiaorg/nmt"
	nmtid "github.com/celestiaorg/nmt/namespace"
	"pgregory.net/rapid"
)

// What a real network computed for a blob. Others are in the recorded block.
func TestShareCommitments(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		ns      namespace
		data    []byte
		version uint8
		signer  []byte
		want    string
	}{
		"100 bytes": {userNamespace("more"), bytes.Repeat([]byte("x"), 100), 0, nil, "4fd420fae242fc739a18ddf23dcaa618f353679f8ae8c6ef37c1f8d4c6c7b5ac"},
	} {
		got, err := commit(tt.ns, tt.data, tt.version, tt.signer)
		if err != nil || hex.EncodeToString(got[:]) != tt.want {
			t.Errorf("%s: %x, %v; want %s", name, got, err, tt.want)
		}
	}
	if _, err := commit(userNamespace("more"), nil, 0, nil); err == nil {
		t.Error("an empty blob has a commitment")
	}
}

func TestReferences(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ns := userNamespace(string(rapid.SliceOfN(rapid.ByteRange(1, 255), 10, 10).Draw(t, "namespace")))
		c := commitment(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "commitment"))
		gotNS, gotC, err := parseReference(reference(ns, c))
		if err != nil || gotNS != ns || gotC != c {
			t.Fatalf("%x %x, %v", gotNS, gotC, err)
		}
	})
}

// split lays blobs out as Celestia does, with padding between them.
func split(t *rapid.T, ns namespace, blobs []found, padding []int) [][]byte {
	parsed, err := share.NewNamespaceFromBytes(ns[:])
	if err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	for i, b := range blobs {
		pad, err := share.NamespacePaddingShares(parsed, share.ShareVersionZero, padding[i])
		if err != nil {
			t.Fatal(err)
		}
		blob, err := share.NewBlob(parsed, b.data, b.version, b.signer)
		if err != nil {
			t.Fatal(err)
		}
		shares, err := blob.ToShares()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, share.ToBytes(append(pad, shares...))...)
	}
	return out
}

func drawBlobs(t *rapid.T) ([]found, []int) {
	blobs := make([]found, rapid.IntRange(0, 5).Draw(t, "blobs"))
	padding := make([]int, len(blobs))
	for i := range blobs {
		size := rapid.OneOf(rapid.IntRange(1, 3), rapid.IntRange(455, 485), rapid.IntRange(938, 965), rapid.IntRange(1, 5000)).Draw(t, "size")
		blobs[i].data = bytes.Repeat([]byte{byte(i), rapid.Byte().Draw(t, "byte"), 1}, size)[:size]
		if rapid.Bool().Draw(t, "signed") {
			blobs[i].version, blobs[i].signer = 1, bytes.Repeat([]byte{7}, share.SignerSize)
		}
		padding[i] = rapid.IntRange(0, 3).Draw(t, "padding")
	}
	return blobs, padding
}

func TestSharesAreParsed(t *testing.T) {
	t.Parallel()
	ns := userNamespace("cccc")
	rapid.Check(t, func(t *rapid.T) {
		blobs, padding := drawBlobs(t)
		got := parseShares(split(t, ns, blobs, padding))
		if len(got) != len(blobs) {
			t.Fatalf("%d blobs, want %d", len(got), len(blobs))
		}
		for i, b := range blobs {
			if !bytes.Equal(got[i].data, b.data) || got[i].version != b.version || !bytes.Equal(got[i].signer, b.signer) {
				t.Fatalf("blob %d differs", i)
			}
		}
	})
}

// Shares that are broken, or of a version to come, hide no blob after them.
func TestBrokenSharesAreLeftOut(t *testing.T) {
	t.Parallel()
	ns := userNamespace("cccc")
	rapid.Check(t, func(t *rapid.T) {
		broken := split(t, ns, []found{{data: bytes.Repeat([]byte{3}, 2000)}}, []int{0})
		switch rapid.IntRange(0, 3).Draw(t, "how") {
		case 0: // a share is missing at the end
			broken = broken[:len(broken)-1]
		case 1: // the beginning is missing
			broken = broken[1:]
		case 2: // its length takes in what comes after
			copy(broken[0][lengthAt:], []byte{255, 255, 255, 255})
		case 3: // a version to come
			for _, s := range broken {
				s[infoAt] |= 9 << 1
			}
		}
		whole := []found{{data: []byte("whole")}, {data: bytes.Repeat([]byte{4}, 700)}}
		got := parseShares(append(broken, split(t, ns, whole, []int{0, 1})...))
		if len(got) != 2 || !bytes.Equal(got[0].data, whole[0].data) || !bytes.Equal(got[1].data, whole[1].data) {
			t.Fatalf("%d blobs", len(got))
		}
	})
}

// prove builds a row as Celestia does, with shares of three namespaces of which the
// middle one is asked for, and returns what a node answers.
func prove(t *rapid.T, ns namespace, width, before, in int) (root []byte, r row) {
	tree := nmt.New(sha256.New(), nmt.NamespaceIDSize(len(ns)), nmt.IgnoreMaxNamespace(true))
	low, high, parity := ns, ns, namespace(bytes.Repeat([]byte{255}, len(ns)))
	low[len(low)-1]--
	high[len(high)-1]++
	for i := range 2 * width {
		of, s := high, make([]byte, share.ShareSize)
		switch {
		case i >= width:
			of = parity
		case i < before:
			of = low
		case i < before+in:
			of = ns
		}
		copy(s, of[:])
		s[100] = byte(i)
		if of == ns {
			r.Shares = append(r.Shares, s)
		}
		if err := tree.Push(append(bytes.Clone(of[:]), s...)); err != nil {
			t.Fatal(err)
		}
	}
	root, err := tree.Root()
	if err != nil {
		t.Fatal(err)
	}
	proof, err := tree.ProveNamespace(nmtid.ID(ns[:]))
	if err != nil {
		t.Fatal(err)
	}
	r.Proof.Start, r.Proof.End, r.Proof.Nodes, r.Proof.LeafHash = proof.Start(), proof.End(), proof.Nodes(), proof.LeafHash()
	return root, r
}

// In rows of any shape, the whole truth is taken and any part of it is not.
func TestRowsProveTheWholeNamespace(t *testing.T) {
	t.Parallel()
	ns := userNamespace("cccc")
	rapid.Check(t, func(t *rapid.T) {
		width := 1 << rapid.IntRange(1, 5).Draw(t, "width")
		before := rapid.IntRange(1, width-1).Draw(t, "before")
		in := rapid.IntRange(0, width-before).Draw(t, "in")
		root, r := prove(t, ns, width, before, in)
		if err := r.verify(root, ns, width); err != nil {
			t.Fatalf("%d shares after %d in a row of %d: %v", in, before, width, err)
		}
		if in == 0 {
			return
		}
		less := r
		if rapid.Bool().Draw(t, "at the end") {
			less.Shares, less.Proof.End = r.Shares[:in-1], r.Proof.End-1
		} else {
			less.Shares, less.Proof.Start = r.Shares[1:], r.Proof.Start+1
		}
		if err := less.verify(root, ns, width); err == nil {
			t.Fatal("a share is missing")
		}
		_, absent := prove(t, ns, width, before, 0)
		if err := absent.verify(root, ns, width); err == nil {
			t.Fatal("the absence from another row was taken")
		}
	})
}

func FuzzRows(f *testing.F) {
	r := record(f)
	h := result[header](f, r, "header")
	sq, err := h.square()
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range []string{"rows", "rows_first", "rows_absent", "rows_above"} {
		f.Add(answered(f, r, name))
	}
	f.Add([]byte(`[{"shares":null,"proof":{"start":-1,"end":0}}]`))
	spaces := []namespace{userNamespace("aaaa"), userNamespace("bbbb"), userNamespace("cccc"), userNamespace("zzzz")}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var rows []row
		if json.Unmarshal(raw, &rows) != nil {
			return
		}
		for i, ns := range spaces {
			shares, err := verifyRows(rows, sq.rowsOf(ns), ns, len(sq.rows))
			if err != nil {
				continue
			}
			// Whatever passes is what stands there.
			if want := []int{3, 0, 100, 0}[i]; len(shares) != want {
				t.Errorf("namespace %d has %d shares, want %d", i, len(shares), want)
			}
		}
	})
}

func FuzzHeader(f *testing.F) {
	r := record(f)
	f.Add(answered(f, r, "header"))
	f.Add(answered(f, r, "header_empty"))
	f.Add([]byte(`{"header":{"height":"18446744073709551615"},"dah":{"row_roots":[null,null],"column_roots":["",""]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var h header
		if json.Unmarshal(raw, &h) != nil {
			return
		}
		sq, err := h.square()
		if err != nil {
			return
		}
		for _, root := range sq.rowsOf(userNamespace("cccc")) {
			if len(root) != rootSize {
				t.Errorf("a root has %d bytes", len(root))
			}
		}
	})
}

func FuzzShares(f *testing.F) {
	r := record(f)
	for _, row := range result[[]row](f, r, "rows") {
		f.Add(bytes.Join(row.Shares, nil))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var shares [][]byte
		for len(raw) >= share.ShareSize {
			shares = append(shares, raw[:share.ShareSize])
			raw = raw[share.ShareSize:]
		}
		total := 0
		for _, b := range parseShares(shares) {
			if len(b.data) == 0 {
				t.Error("an empty blob")
			}
			if total += len(b.data); total > len(shares)*share.ShareSize {
				t.Fatal("more data than shares")
			}
			if _, err := commit(userNamespace("cccc"), b.data, b.version, b.signer); err != nil {
				t.Errorf("share commitment: %v", err)
			}
		}
	})
}

func FuzzBlobs(f *testing.F) {
	r := record(f)
	f.Add(answered(f, r, "all"))
	f.Fuzz(func(_ *testing.T, raw []byte) {
		var blobs []rpcBlob
		if json.Unmarshal(raw, &blobs) != nil {
			return
		}
		for i := range blobs {
			_, _ = blobs[i].verify(userNamespace("cccc"))
		}
	})
}

// answered returns a recorded result as it came.
func answered(t testing.TB, r *recording, name string) []byte {
	t.Helper()
	return result[json.RawMessage](t, r, name)
}
