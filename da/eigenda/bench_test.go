package eigenda

import (
	"crypto/rand"
	"errors"
	"fmt"
	"testing"

	"github.com/ordo-network/ordo/da"
	proxy "github.com/ordo-network/ordo/devnet/eigenda"
)

// BenchmarkRealProxy measures blobs on their way through the real proxy, four at once: its
// work is the commitment of each blob, which it computes when it stores and, but for the
// in-memory backend, when it reads.
func BenchmarkRealProxy(b *testing.B) {
	binary, err := proxy.Binary(b.Context())
	if errors.Is(err, proxy.ErrNotBuilt) {
		b.Skip(err)
	}
	p, err := proxy.Start(b.Context(), proxy.Options{Binary: binary, Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = p.Stop() }) // nothing of it is needed any more
	for _, size := range []int{64 << 10, 1 << 20, maxDataBytes(4 << 20)} {
		c, err := New(p.Endpoint(), Options{Index: newChain()})
		if err != nil {
			b.Fatal(err)
		}
		blobs := make([]da.Blob, 8)
		for i := range blobs {
			blobs[i].Data = make([]byte, size)
			rand.Read(blobs[i].Data)
		}
		var refs []da.Ref
		b.Run(fmt.Sprintf("submit/%dKiB", size>>10), func(b *testing.B) {
			b.SetBytes(int64(size * len(blobs)))
			for b.Loop() {
				if refs, err = c.Submit(b.Context(), blobs); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("read/%dKiB", size>>10), func(b *testing.B) {
			b.SetBytes(int64(size * len(blobs)))
			for b.Loop() {
				c.cache = newCache() // of what was read before
				if got, err := c.Blobs(b.Context(), refs[0].Height, da.Namespace{}); err != nil || len(got) != len(blobs) {
					b.Fatalf("%d blobs, %v", len(got), err)
				}
			}
		})
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
