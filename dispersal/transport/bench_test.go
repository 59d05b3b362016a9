package transport

import (
	"errors"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/ordo-network/ordo/test/await"
)

// BenchmarkDisperse sends shares of 96 KiB, those of 512 KiB batches among 16
// validators, over one connection.
func BenchmarkDisperse(b *testing.B) {
	limits := quick
	limits.BytesPerSecond = 1 << 40
	limits.MessagesPerSecond = 1e9
	from, to := start(b, 1, limits), start(b, 2, limits)
	var got atomic.Int64
	to.setHandle(func(_ *Peer, f *Frame) { got.Add(1); f.Release() })
	join(b, from, to)
	body := make([]byte, 96<<10)
	head := make([]byte, 2<<10)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		for {
			err := from.Send(to.owner, Outgoing{Type: TypeDisperse, Head: head, Body: body})
			if err == nil {
				break
			}
			if !errors.Is(err, ErrFull) {
				b.Fatal(err)
			}
			runtime.Gosched()
		}
	}
	await.Until(b, "everything arrived", func() bool { return got.Load() >= int64(b.N) })
}

// BenchmarkRequest is one small request at a time.
func BenchmarkRequest(b *testing.B) {
	from, to := start(b, 1, quick), start(b, 2, quick)
	to.setHandle(func(p *Peer, f *Frame) {
		request, _, err := DecodeGetShare(f.Body)
		f.Release()
		if err == nil {
			err = p.Send(NotFoundOutgoing(request))
		}
		if err != nil {
			b.Error(err)
		}
	})
	join(b, from, to)
	for b.Loop() {
		f, err := from.Request(b.Context(), to.owner, (&GetShare{}).Outgoing())
		if err != nil {
			b.Fatal(err)
		}
		f.Release()
	}
}
