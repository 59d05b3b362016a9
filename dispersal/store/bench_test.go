package store

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// BenchmarkPut is the rate at which records of 64 KiB reach the disk.
func BenchmarkPut(b *testing.B) {
	for _, writers := range []int{1, 16, 128} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s, err := Open(b.TempDir(), Options{})
			if err != nil {
				b.Fatal(err)
			}
			body := make([]byte, 64<<10)
			var sequence atomic.Int64
			b.SetBytes(int64(len(body)))
			var wg sync.WaitGroup
			for range writers {
				wg.Go(func() {
					for n := int(sequence.Add(1)); n <= b.N; n = int(sequence.Add(1)) {
						if err := s.Put(context.Background(), key("a", n), 0, body); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
