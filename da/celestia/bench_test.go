package celestia

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/celestiaorg/go-square/v3/share"
	"github.com/celestiaorg/nmt"
	nmtid "github.com/celestiaorg/nmt/namespace"
	"github.com/cometbft/cometbft/crypto/merkle"

	"github.com/ordo-network/ordo/da"
)

// fill has the node hold a block of which the namespace's shares take whole rows.
func (n *fakeNode) fill(b *testing.B, ns namespace, width int, blobs [][]byte) (height uint64) {
	b.Helper()
	parsed, err := share.NewNamespaceFromBytes(ns[:])
	if err != nil {
		b.Fatal(err)
	}
	var shares [][]byte
	for _, data := range blobs {
		blob, err := share.NewV0Blob(parsed, data)
		if err != nil {
			b.Fatal(err)
		}
		s, err := blob.ToShares()
		if err != nil {
			b.Fatal(err)
		}
		shares = append(shares, share.ToBytes(s)...)
	}
	pad, err := share.NamespacePaddingShares(parsed, share.ShareVersionZero, width-len(shares)%width)
	if err != nil {
		b.Fatal(err)
	}
	shares = append(shares, share.ToBytes(pad)...)
	if len(shares) > width*width {
		b.Fatalf("%d shares in a square of %d", len(shares), width)
	}
	parity := bytes.Repeat([]byte{255}, len(ns))
	outside := bytes.Repeat(append(bytes.Clone(parity), parity...), 2)[:rootSize]
	var h header
	h.Header.ChainID = "test"
	var rows []row
	for i := range width {
		if i*width >= len(shares) {
			h.DAH.Rows = append(h.DAH.Rows, outside)
			continue
		}
		tree := nmt.New(sha256.New(), nmt.NamespaceIDSize(len(ns)), nmt.IgnoreMaxNamespace(true))
		r := row{Shares: shares[i*width : (i+1)*width]}
		for _, s := range r.Shares {
			if err := tree.Push(append(bytes.Clone(ns[:]), s...)); err != nil {
				b.Fatal(err)
			}
		}
		for range width {
			if err := tree.Push(append(bytes.Clone(parity), make([]byte, share.ShareSize)...)); err != nil {
				b.Fatal(err)
			}
		}
		root, err := tree.Root()
		if err != nil {
			b.Fatal(err)
		}
		proof, err := tree.ProveNamespace(nmtid.ID(ns[:]))
		if err != nil {
			b.Fatal(err)
		}
		r.Proof.Start, r.Proof.End, r.Proof.Nodes = proof.Start(), proof.End(), proof.Nodes()
		rows, h.DAH.Rows = append(rows, r), append(h.DAH.Rows, root)
	}
	for range width {
		h.DAH.Rows = append(h.DAH.Rows, outside)
	}
	h.DAH.Columns = h.DAH.Rows
	h.Header.DataHash = hex.EncodeToString(merkle.HashFromByteSlices(slices.Concat(h.DAH.Rows, h.DAH.Columns)))
	const at = 5
	n.on("header.LocalHead", says(b, headerText(h, at)))
	n.on("header.GetByHeight", says(b, headerText(h, at)))
	n.on("share.GetNamespaceData", says(b, rows))
	return at
}

// BenchmarkBlobs reads and verifies what a namespace holds, over HTTP.
func BenchmarkBlobs(b *testing.B) {
	for _, tt := range []struct{ blobs, size, width int }{{1, 8_000_000, 256}, {4, 7_500_000, 256}, {10_000, 400, 128}} {
		b.Run(fmt.Sprintf("%dx%d", tt.blobs, tt.size), func(b *testing.B) {
			blobs := make([][]byte, tt.blobs)
			for i := range blobs {
				blobs[i] = random(tt.size)
			}
			n := newNode(b)
			height := n.fill(b, userNamespace("cccc"), tt.width, blobs)
			c, err := New(n.URL, Options{Namespace: userNamespace("cccc"), Transport: &http.Transport{}})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			b.SetBytes(int64(tt.blobs * tt.size))
			b.ReportAllocs()
			for b.Loop() {
				c.holdings = holdings{} // of what was read before
				got, err := c.Blobs(b.Context(), height, da.Namespace{})
				if err != nil || len(got) != tt.blobs {
					b.Fatalf("%d blobs, %v", len(got), err)
				}
			}
		})
	}
}

func BenchmarkCommit(b *testing.B) {
	for _, size := range []int{400, 8_000_000} {
		data := random(size)
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, err := commit(userNamespace("cccc"), data, 0, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
