package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/internal/pebblelog"
)

// onDisk opens a journal that keeps that many blocks below the firm one.
func onDisk(t *testing.T, fs *vfs.MemFS, keep uint64) *journal {
	t.Helper()
	db, err := pebble.Open("journal", &pebble.Options{FS: fs, Logger: pebblelog.To(slog.New(slog.DiscardHandler), "journal")})
	if err != nil {
		t.Fatal(err)
	}
	return &journal{db, keep}
}

// powerless is what is on disk where all that was not synced is lost.
func powerless(fs *vfs.MemFS) *vfs.MemFS {
	return fs.CrashClone(vfs.CrashCloneCfg{RNG: rand.New(rand.NewPCG(1, 2))})
}

func numbered(number uint64) execution.Hash {
	return execution.Hash(append(make([]byte, 24), blockKey(number)[1:]...))
}

// What the journal was told of a block is on disk with it, until the next block is.
func TestJournalTellsAgain(t *testing.T) {
	t.Parallel()
	fs := vfs.NewCrashableMem()
	j := onDisk(t, fs, 10)
	for n := uint64(1); n <= 3; n++ {
		skipped := []execution.Skipped{{Index: int(n), Reason: "nonce too high", Retry: true}}
		if err := j.add(n, &record{Hash: numbered(n), Height: 5 * n}, 4, skipped); err != nil {
			t.Fatal(err)
		}
		after := onDisk(t, powerless(fs), 10)
		tip, err := after.tip()
		if err != nil || tip != n {
			t.Fatalf("tip %d, %v, want %d", tip, err, n)
		}
		if got, err := after.told(); err != nil || !reflect.DeepEqual(got, told{n, 4, skipped}) {
			t.Fatalf("told %+v, %v", got, err)
		}
		if err := after.close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
}

// The journal keeps what is above the firm block, and so many below it; what it says of
// the rest is that it is gone. A crash at any point leaves a chain without a gap.
func TestJournalIsBounded(t *testing.T) {
	t.Parallel()
	const keep, last = 300, 3 * pruneMost
	fs := vfs.NewCrashableMem()
	j := onDisk(t, fs, keep)
	filled := j.db.NewBatch()
	for n := uint64(1); n <= last; n++ { // add, all at once
		r := fmt.Appendf(nil, `{"hash":"0x%x"}`, numbered(n))
		key := blockKey(n)
		if err := errors.Join(filled.Set(key, r, nil), filled.Set(hashKey(numbered(n)), key[1:], nil)); err != nil {
			t.Fatal(err)
		}
	}
	if err := filled.Commit(pebble.Sync); err != nil {
		t.Fatal(err)
	}
	kept := func(j *journal, firm uint64) (oldest uint64) {
		t.Helper()
		oldest, err := j.oldest()
		if err != nil || oldest > max(firm, keep)-keep+1 {
			t.Fatalf("firm %d: the oldest block is %d, %v", firm, oldest, err)
		}
		for n := range uint64(last + 1) {
			_, missing := j.block(n)
			number, known, err := j.number(numbered(n))
			switch want := n >= oldest; {
			case want != (missing == nil), !want && !errors.Is(missing, ErrPruned), err != nil, known != want, want && number != n:
				t.Fatalf("firm %d, oldest %d, block %d: %v; by hash %d, %v, %v", firm, oldest, n, missing, number, known, err)
			}
		}
		if got, err := j.firm(); err != nil || got != firm {
			t.Fatalf("firm is %d, %v, want %d", got, err, firm)
		}
		return oldest
	}
	for _, firm := range []uint64{1, keep, keep + pruneEvery - 1, keep + pruneEvery + 1, last - 1000, last - 999, last - 500, last} {
		if err := j.setFirm(firm); err != nil {
			t.Fatal(err)
		}
		after := onDisk(t, powerless(fs), keep)
		kept(after, firm)
		if err := after.close(); err != nil {
			t.Fatal(err)
		}
	}
	if oldest := kept(j, last); oldest < last-keep-pruneEvery {
		t.Errorf("%d blocks are kept below the firm one, want %d", last-oldest, keep)
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
}
