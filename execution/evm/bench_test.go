package evm_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/ordo-network/ordo/execution"
)

// BenchmarkExecute executes plain transfers to ever new accounts in blocks of
// several sizes. Beside the rate it reports the processor time of the whole
// process per block, which counts what geth does in the background.
func BenchmarkExecute(b *testing.B) {
	for _, n := range []int{0, 1, 15, 150} {
		b.Run(fmt.Sprintf("txs=%d", n), func(b *testing.B) { benchmarkExecute(b, n) })
	}
}

func benchmarkExecute(b *testing.B, n int) {
	c := open(b, b.TempDir())
	soft := session(b, c).Soft.Hash
	var sent, height uint64
	var nonces [10]uint64
	next := func() execution.Block {
		txs := make([][]byte, n)
		for i := range txs {
			from := sent % uint64(len(nonces))
			var to common.Address
			binary.BigEndian.PutUint64(to[:], (sent+1)*0x9E3779B97F4A7C15) // spread over the trie
			txs[i] = transfer(b, int(from), nonces[from], to)
			nonces[from]++
			sent++
		}
		height++
		return block(height, txs...)
	}
	const ahead = 64 // blocks signed at once, outside of the measurement
	var blocks []execution.Block
	var cpu time.Duration
	started := processorTime(b)
	for b.Loop() {
		if len(blocks) == 0 {
			b.StopTimer()
			cpu += processorTime(b) - started
			for range ahead {
				blocks = append(blocks, next())
			}
			started = processorTime(b)
			b.StartTimer()
		}
		res, err := c.Execute(context.Background(), soft, blocks[0])
		if err != nil || len(res.Skipped) != 0 {
			b.Fatal(err, res.Skipped)
		}
		soft, blocks = res.Head.Hash, blocks[1:]
	}
	cpu += processorTime(b) - started
	b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "tx/s")
	b.ReportMetric(float64(cpu.Microseconds())/float64(b.N), "cpu-µs/op")
}

// BenchmarkSpeculate tries the same transfers out again and again, as when the head
// moves, and the ten last ones behind the others, as when they become certified.
func BenchmarkSpeculate(b *testing.B) {
	for _, n := range []int{0, 15, 150, 1000} {
		c := open(b, b.TempDir())
		var txs [][]byte
		for i := range n {
			var to common.Address
			binary.BigEndian.PutUint64(to[:], uint64(i+1)*0x9E3779B97F4A7C15)
			txs = append(txs, transfer(b, i%10, uint64(i/10), to))
		}
		parent := session(b, c).Soft.Hash
		speculate := func(txs [][]byte) {
			if _, err := c.Speculate(context.Background(), parent, block(1, txs...)); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(fmt.Sprintf("txs=%d", n), func(b *testing.B) {
			for b.Loop() {
				speculate(txs)
			}
		})
		if n < 10 {
			continue
		}
		b.Run(fmt.Sprintf("txs=%d/extend", n), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				speculate(txs[:n-10])
				b.StartTimer()
				if _, err := c.Extend(context.Background(), parent, txs[n-10:]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
