package rollup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/evm"
)

// A node whose machine loses power again and again, wherever it stands, and so loses more
// or less of what it noted, ends with the same chain as one that was never killed, knows the
// same of each block from then on, and makes nothing of it up.
func TestPowerLostAgainAndAgain(t *testing.T) {
	t.Parallel()
	blocks := skippingOrder(t)
	pace := execution.Pace{BlockTime: time.Second}
	whole, err := reopenWith(t, t.TempDir(), pace)
	if err != nil {
		t.Fatal(err)
	}
	defer whole.close(t)
	for _, b := range blocks {
		if err := whole.onSoft(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	soft, _, _ := whole.state()
	want := madeUpTo(t, whole.store, soft.Number)
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 1))
			client, err := evm.New(evm.Config{DataDir: t.TempDir(), Genesis: evm.DevGenesis(31337, nil), Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			fs := vfs.NewCrashableMem()
			var d *driver
			seen := make(map[uint64]execution.Result) // what observe was told, by the last height
			for lives := 0; ; lives++ {
				st, err := openStoreOn(fs, "store")
				if err != nil {
					t.Fatal(err)
				}
				d = &driver{
					client: client, executor: alone{client, pace}, store: st, first: 1, metrics: newMetrics(prometheus.NewRegistry()), now: time.Now,
					observe: func(_ context.Context, o outcome) error {
						if at := o.Blocks[len(o.Blocks)-1].Height; o.Executed && !o.Forgotten {
							if before, ok := seen[at]; ok && (before.Head != o.Result.Head || len(before.Skipped) != len(o.Result.Skipped)) {
								t.Errorf("height %d: told %+v, and before %+v", at, o.Result, before)
							}
							seen[at] = o.Result
						}
						return nil
					},
				}
				if err := d.open(t.Context()); err != nil {
					t.Fatalf("life %d: %v", lives, err)
				}
				if rng.IntN(2) == 0 {
					d.executor = &unnoted{d.executor, 1 + rng.IntN(3)}
				}
				_, height, _ := d.state()
				end := min(len(blocks), int(height)+rng.IntN(14))
				if lives > 60 {
					end, d.executor = len(blocks), alone{client, pace}
				}
				for _, b := range blocks[height:end] {
					if err = d.onSoft(t.Context(), b); err != nil {
						break
					}
					if firm := d.at.firm + 1; rng.IntN(3) == 0 && firm <= d.at.height {
						if err = d.onFirm(t.Context(), blocks[firm-1], []byte{byte(firm)}); err != nil {
							break
						}
					}
				}
				if err != nil && !errors.Is(err, errKilled) {
					t.Fatalf("life %d: %v", lives, err)
				}
				if _, height, _ := d.state(); height == uint64(len(blocks)) && err == nil {
					break
				}
				old := fs
				fs = old.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
				if err := d.store.close(); err != nil {
					t.Fatal(err)
				}
			}
			if now, _, _ := d.state(); now != soft {
				t.Fatalf("ends with %+v, want %+v", now, soft)
			}
			known := 0
			for n := uint64(1); n <= soft.Number; n++ {
				m, ok, err := d.store.made(n)
				if err != nil {
					t.Fatal(err)
				}
				if ok {
					known++
					sameMade(t, fmt.Sprintf("block %d", n), []made{m}, want[n-1:n])
				}
			}
			if known < int(soft.Number) {
				t.Errorf("%d of %d blocks are known", known, soft.Number)
			}
			if err := errors.Join(d.store.close(), client.Close()); err != nil {
				t.Fatal(err)
			}
		})
	}
}
