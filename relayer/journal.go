package relayer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/internal/pebblelog"
	"github.com/ordo-network/ordo/order"
	chainclaims "github.com/ordo-network/ordo/sequencer/claims"
)

// What is on disk, all integers big endian:
//
//	'f'                            format version, 1 byte
//	'k' height(8)                  follower.Checkpoint of the block at the height
//	'n' rollup(32)                 next height to read (8); its checkpoint is 'k' of the height below
//	'b' rollup(32) from(8)         a blob that is not known to be on DA: to (8), time of block to in
//	                               ms (8), and for each piece its size (4) and ID (32)
//	'd' rollup(32) from(8) part(2) a piece of it
//	'r' rollup(32) from(8)         where its first pieces stand: layer, references
//	's' rollup(32)                 submitted, outcome unknown: the layer's head before (8), how many
//	                               pieces from the first that is not on DA (4), layer
//	'e' rollup(32)                 its blobs go to the fallback up to a height (8), for one that this
//	                               layer refuses
//	'p' rollup(32)                 posted: last height (8), its time in ms (8), DA height (8), layer
//	'c' rollup(32) from(8) to(8)   a claim that is not known to be on chain, or confirmed there:
//	                               ordo.sequencer.v1.Claim
const (
	keyFormat     byte = 'f'
	keyCheckpoint byte = 'k'
	keyNext       byte = 'n'
	keyBlob       byte = 'b'
	keyPiece      byte = 'd'
	keyRefs       byte = 'r'
	keySent       byte = 's'
	keyElsewhere  byte = 'e'
	keyPosted     byte = 'p'
	keyClaim      byte = 'c'
)

const (
	journalVersion = 2
	pieceMetaBytes = 4 + 32
)

// journal remembers each step of each blob. Each step of the relayer is one write:
//
//	cut      blobs, and from where to read on. Synced: the blocks are read no more.
//	sent     what is about to be submitted, often with the blobs that were cut for it.
//	         Synced before the submission: a crash after it looks for it on the layer.
//	posted   where pieces stand, in exchange for the blob, and the claim of it. Not synced: a
//	         crash that loses it is a crash before it, and they are found on the layer.
//	moved    a rollup goes to its fallback with a blob, or comes back. Not synced: a crash that
//	         loses it finds out again, and what is submitted there comes with it.
//	unsent   nothing was stored. Not synced: they are looked for in vain.
//	claimed  a claim is on chain, or confirmed there. Not synced: it is claimed again, which
//	         changes nothing.
//
// A write is on disk no later than the next one that is synced.
type journal struct {
	db    *pebble.DB
	wrote func() // where set, told after each write
}

func openJournal(dir string, fs vfs.FS) (*journal, error) {
	db, err := pebble.Open(dir, &pebble.Options{
		FS: fs, CacheSize: 4 << 20, MemTableSize: 4 << 20, MaxOpenFiles: 128, Logger: pebblelog.Quiet("relayer's journal"),
	})
	if err != nil {
		return nil, fmt.Errorf("open journal %s: %w", dir, err)
	}
	j := &journal{db: db}
	if err := j.checkFormat(); err != nil {
		return nil, errors.Join(fmt.Errorf("open journal %s: %w", dir, err), db.Close())
	}
	return j, nil
}

func (j *journal) checkFormat() error {
	raw, err := j.get([]byte{keyFormat})
	switch {
	case err != nil:
		return err
	case raw == nil:
		return j.db.Set([]byte{keyFormat}, []byte{journalVersion}, pebble.Sync)
	case !bytes.Equal(raw, []byte{journalVersion}):
		return fmt.Errorf("it has format %x, and this version of ordo reads format %x alone: let the version that wrote it post what is pending, "+
			"then remove the folder and set start_heights to the height after ordo_relayer_confirmed_height of each rollup", raw, journalVersion)
	}
	return nil
}

func (j *journal) close() error { return j.db.Close() }

// saved is what the journal knows of a rollup.
type saved struct {
	next   uint64 // height to read on from; 0 where nothing was read
	blobs  []*blob
	sent   *sentMark
	moved  *movedMark
	posted posted
	claims []kept
}

// sentMark says what was submitted.
type sentMark struct {
	layer  string
	noted  uint64
	pieces int
}

// movedMark says that blobs go to the fallback up to a height, for one that a layer refuses.
type movedMark struct {
	to    uint64
	layer string
}

// posted is the last block of a rollup that is on DA; zero where there is none.
type posted struct {
	height   uint64
	time     time.Time // of the block
	daHeight uint64
	layer    string
}

// rollup reads what is known of a rollup.
func (j *journal) rollup(id order.RollupID) (s saved, err error) {
	read := func(kind byte, least int, use func(raw []byte) error) {
		raw, getErr := j.get(rollupKey(kind, id))
		switch {
		case err != nil || getErr != nil:
			err = errors.Join(err, getErr)
		case raw != nil && len(raw) < least:
			err = fmt.Errorf("journal: record %q of rollup %s has %d bytes", kind, id, len(raw))
		case raw != nil:
			err = use(raw)
		}
	}
	read(keyNext, 8, func(raw []byte) error {
		s.next = binary.BigEndian.Uint64(raw)
		return nil
	})
	read(keySent, 12, func(raw []byte) error {
		s.sent = &sentMark{noted: binary.BigEndian.Uint64(raw), pieces: int(binary.BigEndian.Uint32(raw[8:])), layer: string(raw[12:])}
		return nil
	})
	read(keyElsewhere, 8, func(raw []byte) error {
		s.moved = &movedMark{to: binary.BigEndian.Uint64(raw), layer: string(raw[8:])}
		return nil
	})
	read(keyPosted, 24, func(raw []byte) error {
		s.posted = posted{
			height: binary.BigEndian.Uint64(raw), time: time.UnixMilli(int64(binary.BigEndian.Uint64(raw[8:]))),
			daHeight: binary.BigEndian.Uint64(raw[16:]), layer: string(raw[24:]),
		}
		return nil
	})
	if err != nil {
		return s, err
	}
	if s.claims, err = j.claims(id); err != nil {
		return s, err
	}
	err = j.each(blobKey(keyBlob, id, 0), blobKey(keyBlob, id, ^uint64(0)), func(key, raw []byte) error {
		b, err := decodeBlob(binary.BigEndian.Uint64(key[len(key)-8:]), raw)
		if err != nil {
			return err
		}
		refs, err := j.get(blobKey(keyRefs, id, b.from))
		if err != nil || refs == nil {
			s.blobs = append(s.blobs, b)
			return err
		}
		b.layer, b.refs, err = decodeRefs(refs)
		s.blobs = append(s.blobs, b)
		return err
	})
	return s, err
}

func decodeBlob(from uint64, raw []byte) (*blob, error) {
	if len(raw) < 16+pieceMetaBytes || (len(raw)-16)%pieceMetaBytes != 0 {
		return nil, fmt.Errorf("journal: blob record has %d bytes", len(raw))
	}
	b := &blob{from: from, to: binary.BigEndian.Uint64(raw), ends: time.UnixMilli(int64(binary.BigEndian.Uint64(raw[8:])))}
	for p := raw[16:]; len(p) > 0; p = p[pieceMetaBytes:] {
		b.pieces = append(b.pieces, piece{size: int(binary.BigEndian.Uint32(p)), id: da.BlobID(p[4:pieceMetaBytes])})
	}
	return b, nil
}

func encodeRefs(layer string, refs []da.Ref) []byte {
	out := append([]byte{byte(len(layer))}, layer...)
	for _, r := range refs {
		out = binary.BigEndian.AppendUint64(out, r.Height)
		out = binary.BigEndian.AppendUint16(out, uint16(len(r.Commitment)))
		out = append(out, r.Commitment...)
	}
	return out
}

func decodeRefs(raw []byte) (layer string, refs []da.Ref, err error) {
	damaged := errors.New("journal: references are damaged")
	if len(raw) == 0 || len(raw) < 1+int(raw[0]) {
		return "", nil, damaged
	}
	layer, raw = string(raw[1:1+raw[0]]), raw[1+raw[0]:]
	for len(raw) > 0 {
		if len(raw) < 10 || len(raw) < 10+int(binary.BigEndian.Uint16(raw[8:])) {
			return "", nil, damaged
		}
		n := 10 + int(binary.BigEndian.Uint16(raw[8:]))
		refs = append(refs, da.Ref{Height: binary.BigEndian.Uint64(raw), Commitment: append([]byte(nil), raw[10:n]...)})
		raw = raw[n:]
	}
	return layer, refs, nil
}

// checkpoint reads the checkpoint of a height, nil where there is none.
func (j *journal) checkpoint(height uint64) ([]byte, error) {
	return j.get(numberKey(keyCheckpoint, height))
}

// piece reads a piece of a blob.
func (j *journal) piece(rollup order.RollupID, from uint64, part int) ([]byte, error) {
	raw, err := j.get(pieceKey(rollup, from, part))
	if err == nil && raw == nil {
		err = fmt.Errorf("journal: part %d of the blob from height %d of rollup %s is gone", part, from, rollup)
	}
	return raw, err
}

// claims returns which claims about a rollup there are.
func (j *journal) claims(id order.RollupID) (out []kept, err error) {
	err = j.each(claimKey(id, 0, 0), claimKey(id, ^uint64(0), ^uint64(0)), func(key, _ []byte) error {
		at := key[len(key)-16:]
		out = append(out, kept{from: binary.BigEndian.Uint64(at), to: binary.BigEndian.Uint64(at[8:])})
		return nil
	})
	return out, err
}

// claim reads a claim.
func (j *journal) claim(id order.RollupID, from, to uint64) (da.Claim, error) {
	raw, err := j.get(claimKey(id, from, to))
	if err != nil {
		return da.Claim{}, err
	}
	c, err := chainclaims.Decode(raw)
	if err != nil {
		return c, fmt.Errorf("journal: claim about blocks %d to %d of rollup %s: %w", from, to, id, err)
	}
	return c, nil
}

// each calls fn for the records from lower to below upper, whose bytes it must not keep.
func (j *journal) each(lower, upper []byte, fn func(key, value []byte) error) error {
	it, err := j.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	defer func() { _ = it.Close() }() // it only read
	for it.First(); it.Valid(); it.Next() {
		raw, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("read journal: %w", err)
		}
		if err := fn(it.Key(), raw); err != nil {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	return nil
}

// get returns a copy of a value, nil where there is none.
func (j *journal) get(key []byte) ([]byte, error) {
	raw, closer, err := j.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	defer closer.Close()
	return append([]byte{}, raw...), nil
}
