package gateway

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ordo-network/ordo/order"
)

// Keys of the journal; numbers are big endian:
//
//	mi          -> identity: whose journal it is
//	mh          -> last sequencer height observed
//	t seq       -> a transaction that has not ended, or whose bundle is live
//	b seq       -> a live bundle, which names its transactions by seq
//	e seq       -> how a transaction was dropped; seq was the transaction's
//
// Writes go to the log in the order of the core's changes, each step of the core in
// one batch. What a crash cuts off is a tail of steps. Steps that somebody was told of are synced
// before: an accepted transaction, a bundle about to be sent. Losing others makes
// the gateway believe that a bundle is still live: it is sent again, which the
// chain drops, and when it expires here its transactions turn out to be executed.
var (
	metaIdentity = []byte("mi")
	metaHeight   = []byte("mh")
)

func key(prefix byte, seq uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefix}, seq)
}

func txKey(seq uint64) []byte     { return key('t', seq) }
func bundleKey(seq uint64) []byte { return key('b', seq) }
func endedKey(seq uint64) []byte  { return key('e', seq) }

// change is one write; a nil value deletes.
type change struct{ key, value []byte }

// loaded is what the journal holds when it is opened.
type loaded struct {
	observed           uint64
	nextTx, nextBundle uint64
	txs                []*entry
	bundles            []bundleRecord
	ended              []*ended
}

type journal struct{ db *pebble.DB }

// openJournal opens or creates the journal; fs is nil outside tests.
func openJournal(dir string, fs vfs.FS, rollup order.RollupID, chainID string, log *slog.Logger) (*journal, *loaded, error) {
	db, err := pebble.Open(dir, &pebble.Options{
		FS:           fs,
		Logger:       pebbleLogger{log},
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

func (j *journal) load(identity []byte) (*loaded, error) {
	l := new(loaded)
	iter, err := j.db.NewIter(nil)
	if err != nil {
		return nil, err
	}
	defer iter.Close()
	known := false
	for iter.First(); iter.Valid(); iter.Next() {
		k := iter.Key()
		v, err := iter.ValueAndErr()
		if err != nil {
			return nil, err
		}
		switch {
		case slices.Equal(k, metaIdentity):
			known = true
			if !slices.Equal(v, identity) {
				return nil, fmt.Errorf("it belongs to another rollup or sequencer chain: %q, want %q", v, identity)
			}
		case slices.Equal(k, metaHeight):
			l.observed, err = decodeHeight(v)
		case len(k) == 9:
			err = l.record(k[0], binary.BigEndian.Uint64(k[1:]), v)
		default:
			err = errRecord
		}
		if err != nil {
			return nil, fmt.Errorf("key %x: %w", k, err)
		}
	}
	if err := iter.Error(); err != nil {
		return nil, err
	}
	if !known {
		return l, j.db.Set(metaIdentity, identity, pebble.Sync)
	}
	return l, nil
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
		return errRecord
	}
	return nil
}

// commit writes the changes as one batch.
func (j *journal) commit(changes []change, sync bool) error {
	batch := j.db.NewBatch()
	defer batch.Close()
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

// errRecord is returned for bytes that this code did not write.
var errRecord = errors.New("malformed record")

// bundleRecord is a live bundle on disk. Its bytes are rebuilt from those of its
// transactions, so that nothing is written twice.
type bundleRecord struct {
	seq       uint64
	id        order.BundleID
	payer     order.Payer
	signature [64]byte
	expiry    uint64
	feeLimit  uint64
	txs       []uint64
}

func encodeTx(e *entry) []byte {
	b := make([]byte, 0, 32+8+8+2+len(e.Sender)+len(e.Raw))
	b = append(b, e.Hash[:]...)
	b = binary.BigEndian.AppendUint64(b, millis(e.received))
	b = binary.BigEndian.AppendUint64(b, e.Nonce)
	b = appendString(b, e.Sender)
	return append(b, e.Raw...)
}

func decodeTx(v []byte) (*entry, error) {
	r := reader{buf: v}
	e := new(entry)
	copy(e.Hash[:], r.take(32))
	e.received = r.time()
	e.Nonce = r.uint()
	e.Sender = r.string()
	e.Raw = slices.Clone(r.buf)
	if r.bad || len(e.Raw) == 0 {
		return nil, errRecord
	}
	return e, nil
}

func encodeBundle(x *bundle) []byte {
	b := make([]byte, 0, 32+32+64+8+8+8*len(x.txs))
	b = append(b, x.id[:]...)
	b = append(b, x.payer[:]...)
	b = append(b, x.signature[:]...)
	b = binary.BigEndian.AppendUint64(b, x.expiry)
	b = binary.BigEndian.AppendUint64(b, x.feeLimit)
	for _, e := range x.txs {
		b = binary.BigEndian.AppendUint64(b, e.seq)
	}
	return b
}

func decodeBundle(v []byte) (bundleRecord, error) {
	r := reader{buf: v}
	var b bundleRecord
	copy(b.id[:], r.take(32))
	copy(b.payer[:], r.take(32))
	copy(b.signature[:], r.take(64))
	b.expiry = r.uint()
	b.feeLimit = r.uint()
	for len(r.buf) > 0 && !r.bad {
		b.txs = append(b.txs, r.uint())
	}
	if r.bad {
		return b, errRecord
	}
	return b, nil
}

func encodeEnded(x *ended) []byte {
	b := make([]byte, 0, 32+1+32+8+8+8+2+len(x.Reason))
	b = append(b, x.hash[:]...)
	b = append(b, byte(x.Phase))
	b = append(b, x.Bundle[:]...)
	b = binary.BigEndian.AppendUint64(b, x.Height)
	b = binary.BigEndian.AppendUint64(b, millis(x.Received))
	b = binary.BigEndian.AppendUint64(b, millis(x.Ended))
	return appendString(b, x.Reason)
}

func decodeEnded(v []byte) (*ended, error) {
	r := reader{buf: v}
	x := new(ended)
	copy(x.hash[:], r.take(32))
	if p := r.take(1); !r.bad {
		x.Phase = Phase(p[0])
	}
	copy(x.Bundle[:], r.take(32))
	x.Height = r.uint()
	x.Received = r.time()
	x.Ended = r.time()
	x.Reason = r.string()
	if r.bad || len(r.buf) > 0 || x.Phase != PhaseDropped {
		return nil, errRecord
	}
	return x, nil
}

func encodeHeight(h uint64) []byte { return binary.BigEndian.AppendUint64(nil, h) }

func decodeHeight(v []byte) (uint64, error) {
	if len(v) != 8 {
		return 0, errRecord
	}
	return binary.BigEndian.Uint64(v), nil
}

func millis(t time.Time) uint64 { return uint64(max(t.UnixMilli(), 0)) }

// appendString writes at most 65,535 bytes of the string, its length first.
func appendString(b []byte, s string) []byte {
	s = s[:min(len(s), math.MaxUint16)]
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// reader reads fixed-size fields; after a short read it only returns zeros.
type reader struct {
	buf []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if r.bad || len(r.buf) < n {
		r.bad = true
		return nil
	}
	b := r.buf[:n]
	r.buf = r.buf[n:]
	return b
}

func (r *reader) uint() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *reader) time() time.Time {
	ms := r.uint()
	if ms > math.MaxInt64 {
		r.bad = true
		return time.Time{}
	}
	return time.UnixMilli(int64(ms))
}

func (r *reader) string() string {
	n := r.take(2)
	if n == nil {
		return ""
	}
	return string(r.take(int(binary.BigEndian.Uint16(n))))
}

// pebbleLogger keeps the store's own messages at debug level.
type pebbleLogger struct{ log *slog.Logger }

func (l pebbleLogger) Infof(format string, args ...any) {
	l.log.Debug("journal", "message", fmt.Sprintf(format, args...))
}

func (l pebbleLogger) Errorf(format string, args ...any) {
	l.log.Error("journal", "message", fmt.Sprintf(format, args...))
}

// Fatalf must not return: the store calls it where going on would lose data.
func (l pebbleLogger) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf("journal: "+format, args...))
}
