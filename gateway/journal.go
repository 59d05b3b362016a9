package gateway

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ordo-network/ordo/internal/pebblelog"
	"github.com/ordo-network/ordo/order"
)

// Keys of the journal; numbers are big endian:
//
//	mi          -> identity: whose journal it is
//	mh          -> last sequencer height observed
//	t seq       -> a transaction that has not ended, or whose bundle is live
//	b seq       -> a live bundle, which names its transactions by seq
//	e seq       -> how a transaction was dropped; seq was the transaction's
//	mb          -> the rollup's head when that height was observed
//	u seq       -> a user's bundle that has not ended
//	v seq       -> a live bundle of one of those, which it names by seq; numbered with the b
//	w seq       -> how a user's bundle ended; seq was its own
//
// Writes go to the log in the order of the core's changes, each step of the core in
// one batch. What a crash cuts off is a tail of steps. Steps that somebody was told of are synced
// before: an accepted transaction, a bundle about to be sent. Losing others makes
// the gateway believe that a bundle is still live: it is sent again, which the
// chain drops, and when it expires here its transactions turn out to be executed. The heights
// that the same steps observed are lost with them: a user's bundle is sent under a new ID
// only where each height that could order the old one was observed.
var (
	metaIdentity = []byte("mi")
	metaHeight   = []byte("mh")
	metaBlock    = []byte("mb")
)

func key(prefix byte, seq uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefix}, seq)
}

func txKey(seq uint64) []byte     { return key('t', seq) }
func bundleKey(seq uint64) []byte { return key('b', seq) }
func endedKey(seq uint64) []byte  { return key('e', seq) }

func parcelKey(seq uint64) []byte       { return key('u', seq) }
func parcelBundleKey(seq uint64) []byte { return key('v', seq) }
func outcomeKey(seq uint64) []byte      { return key('w', seq) }

// change is one write; a nil value deletes.
type change struct{ key, value []byte }

// loaded is what the journal holds when it is opened.
type loaded struct {
	identity           []byte
	observed           uint64
	nextTx, nextBundle uint64
	txs                []*entry
	bundles            []bundleRecord
	ended              []*ended

	block         uint64
	blockTime     time.Time
	nextParcel    uint64
	parcels       []*parcel // those that have not ended by seq, those that have by seq
	parcelBundles []parcelBundleRecord
}

type journal struct{ db *pebble.DB }

// openJournal opens or creates the journal; fs is nil outside tests.
func openJournal(dir string, fs vfs.FS, rollup order.RollupID, chainID string, log *slog.Logger) (*journal, *loaded, error) {
	db, err := pebble.Open(dir, &pebble.Options{
		FS:           fs,
		Logger:       pebblelog.To(log, "journal"),
		CacheSize:    1 << 20, // it is read once, at the start
		MemTableSize: 4 << 20,
		MaxOpenFiles: 64,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("open journal %s: %w", dir, err)
	}
	j := &journal{db: db}
	l, err := j.load(append([]byte(chainID+"\x00"), rollup[:]...))
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("read journal %s: %w", dir, err), db.Close())
	}
	return j, l, nil
}

// load reads the journal, and marks a new one as its owner's.
func (j *journal) load(identity []byte) (*loaded, error) {
	l := new(loaded)
	iter, err := j.db.NewIter(nil)
	if err != nil {
		return nil, err
	}
	for iter.First(); iter.Valid() && err == nil; iter.Next() {
		if err = l.take(iter.Key(), iter.Value()); err != nil {
			err = fmt.Errorf("key %x: %w", iter.Key(), err)
		}
	}
	if err := errors.Join(err, iter.Close()); err != nil {
		return nil, err
	}
	switch {
	case l.identity == nil:
		return l, j.db.Set(metaIdentity, identity, pebble.Sync)
	case !slices.Equal(l.identity, identity):
		return nil, fmt.Errorf("it belongs to another rollup or sequencer chain: %q, want %q", l.identity, identity)
	}
	return l, nil
}

func (l *loaded) take(k, v []byte) (err error) {
	switch {
	case slices.Equal(k, metaIdentity):
		l.identity = slices.Clone(v)
	case slices.Equal(k, metaHeight):
		l.observed, err = decodeHeight(v)
	case slices.Equal(k, metaBlock):
		l.block, l.blockTime, err = decodeBlock(v)
	case len(k) == 9:
		err = l.record(k[0], binary.BigEndian.Uint64(k[1:]), v)
	default:
		err = errRecord
	}
	return err
}

func (l *loaded) record(prefix byte, seq uint64, v []byte) error {
	switch prefix {
	case 't':
		e, err := decodeTx(v)
		if err != nil {
			return err
		}
		e.seq = seq
		l.txs = append(l.txs, e)
		l.nextTx = max(l.nextTx, seq+1)
	case 'b':
		b, err := decodeBundle(v)
		if err != nil {
			return err
		}
		b.seq = seq
		l.bundles = append(l.bundles, b)
		l.nextBundle = max(l.nextBundle, seq+1)
	case 'e':
		r, err := decodeEnded(v)
		if err != nil {
			return err
		}
		r.seq = seq
		l.ended = append(l.ended, r)
		l.nextTx = max(l.nextTx, seq+1)
	default:
		return l.parcelRecord(prefix, seq, v)
	}
	return nil
}

// commit writes the changes as one batch.
func (j *journal) commit(changes []change, sync bool) error {
	batch := j.db.NewBatch()
	defer func() { _ = batch.Close() }() // only frees it
	for _, c := range changes {
		var err error
		if c.value == nil {
			err = batch.Delete(c.key, nil)
		} else {
			err = batch.Set(c.key, c.value, nil)
		}
		if err != nil {
			return fmt.Errorf("write journal: %w", err)
		}
	}
	opt := pebble.NoSync
	if sync {
		opt = pebble.Sync
	}
	if err := batch.Commit(opt); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}

func (j *journal) close() error { return j.db.Close() }
