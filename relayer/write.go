package relayer

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/order"
	chainclaims "github.com/ordo-network/ordo/sequencer/claims"
)

// write collects what one step writes into the journal, of any number of rollups. It
// is all on disk or nothing of it.
type write struct {
	journal *journal
	batch   *pebble.Batch
	err     error // the first: commit returns it and writes nothing
	sync    bool  // what comes after it depends on it
}

func (j *journal) begin() *write { return &write{journal: j, batch: j.db.NewBatch()} }

// commit writes. Where something is to be synced it has reached the disk afterwards.
func (w *write) commit() error {
	defer func() { _ = w.batch.Close() }() // committed, or given up
	if w.err != nil {
		return w.err
	}
	if w.batch.Empty() {
		return nil
	}
	mode := pebble.NoSync
	if w.sync {
		mode = pebble.Sync
	}
	if err := w.batch.Commit(mode); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	if w.journal.wrote != nil {
		w.journal.wrote()
	}
	return nil
}

// fail keeps what is noted from being written.
func (w *write) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

func (w *write) set(key, value []byte) { w.fail(w.batch.Set(key, value, nil)) }

func (w *write) delete(key []byte) { w.fail(w.batch.Delete(key, nil)) }

// cut notes a blob, made of the pieces.
func (w *write) cut(id order.RollupID, b *blob, pieces [][]byte) {
	record := binary.BigEndian.AppendUint64(nil, b.to)
	record = binary.BigEndian.AppendUint64(record, uint64(b.ends.UnixMilli()))
	for i, p := range b.pieces {
		record = binary.BigEndian.AppendUint32(record, uint32(p.size))
		record = append(record, p.id[:]...)
		w.set(pieceKey(id, b.from, i), pieces[i])
	}
	w.set(blobKey(keyBlob, id, b.from), record)
	w.sync = true
}

// next notes from where to read on.
func (w *write) next(id order.RollupID, height uint64) {
	w.set(rollupKey(keyNext, id), binary.BigEndian.AppendUint64(nil, height))
}

func (w *write) checkpoint(height uint64, raw []byte) { w.set(numberKey(keyCheckpoint, height), raw) }

func (w *write) dropCheckpoint(height uint64) { w.delete(numberKey(keyCheckpoint, height)) }

// recut replaces the pieces of a blob, none of which is on DA.
func (w *write) recut(id order.RollupID, b *blob, old int, pieces [][]byte) {
	w.drop(id, b, old)
	w.cut(id, b, pieces)
}

func (w *write) drop(id order.RollupID, b *blob, pieces int) {
	for i := range pieces {
		w.delete(pieceKey(id, b.from, i))
	}
	w.delete(blobKey(keyRefs, id, b.from))
	w.delete(blobKey(keyBlob, id, b.from))
}

// sent notes what is about to be submitted.
func (w *write) sent(id order.RollupID, m sentMark) {
	record := binary.BigEndian.AppendUint64(nil, m.noted)
	record = binary.BigEndian.AppendUint32(record, uint32(m.pieces))
	w.set(rollupKey(keySent, id), append(record, m.layer...))
	w.sync = true
}

// unsent notes that nothing of it is to be looked for any more.
func (w *write) unsent(id order.RollupID) { w.delete(rollupKey(keySent, id)) }

// moved notes that the rollup goes to its fallback with a blob.
func (w *write) moved(id order.RollupID, m movedMark) {
	w.set(rollupKey(keyElsewhere, id), append(binary.BigEndian.AppendUint64(nil, m.to), m.layer...))
}

// back notes that the rollup goes to its own layer.
func (w *write) back(id order.RollupID) { w.delete(rollupKey(keyElsewhere, id)) }

// refs notes where the first pieces of a blob stand.
func (w *write) refs(id order.RollupID, b *blob) {
	w.set(blobKey(keyRefs, id, b.from), encodeRefs(b.layer, b.refs))
}

// posted notes that the rollup is on DA up to p, which ends with the blob.
func (w *write) posted(id order.RollupID, b *blob, p posted) {
	w.drop(id, b, len(b.pieces))
	record := binary.BigEndian.AppendUint64(nil, p.height)
	record = binary.BigEndian.AppendUint64(record, uint64(p.time.UnixMilli()))
	record = binary.BigEndian.AppendUint64(record, p.daHeight)
	w.set(rollupKey(keyPosted, id), append(record, p.layer...))
}

func (w *write) claim(id order.RollupID, c da.Claim) {
	raw, err := proto.Marshal(chainclaims.ToProto(c))
	w.fail(err)
	w.set(claimKey(id, c.From, c.To), raw)
}

// claimed notes that nothing is to be done about a claim any more.
func (w *write) claimed(id order.RollupID, from, to uint64) { w.delete(claimKey(id, from, to)) }

func rollupKey(kind byte, id order.RollupID) []byte { return append([]byte{kind}, id[:]...) }

func blobKey(kind byte, id order.RollupID, from uint64) []byte {
	return binary.BigEndian.AppendUint64(rollupKey(kind, id), from)
}

func pieceKey(id order.RollupID, from uint64, part int) []byte {
	return binary.BigEndian.AppendUint16(blobKey(keyPiece, id, from), uint16(part))
}

func claimKey(id order.RollupID, from, to uint64) []byte {
	return binary.BigEndian.AppendUint64(blobKey(keyClaim, id, from), to)
}

func numberKey(kind byte, n uint64) []byte { return binary.BigEndian.AppendUint64([]byte{kind}, n) }
