package store

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

const testMark = 0x0123456789abcdef

func someHeader(n uint64) header {
	return header{
		key: Key{Owner: []byte("owner"), Session: 7, Sequence: n}, tag: 9, synced: 0,
		length: 100, head: 100 - uint32(n%2), digest: digestOf([]byte{byte(n)}, nil),
	}
}

func TestHeaderBelongsToItsPlace(t *testing.T) {
	h := someHeader(1)
	raw := h.append(nil, testMark, 4096)
	require.Len(t, raw, headerBytes)
	got, err := decodeHeader(raw, testMark, 4096)
	require.NoError(t, err)
	require.Equal(t, h, got)
	_, err = decodeHeader(raw, testMark, 4097)
	require.ErrorIs(t, err, errHeader, "another offset")
	_, err = decodeHeader(raw, testMark+1, 4096)
	require.ErrorIs(t, err, errHeader, "another segment")
	for bit := range headerBytes * 8 {
		raw[bit/8] ^= 1 << (bit % 8)
		_, err = decodeHeader(raw, testMark, 4096)
		require.ErrorIs(t, err, errHeader, "bit %d", bit)
		raw[bit/8] ^= 1 << (bit % 8)
	}
}

// A body that looks like a record, but for the mark, is not found as one when the
// header before it is damaged; the record behind it is.
func TestScanIsNotLedToForgedRecords(t *testing.T) {
	forged := someHeader(66)
	h := someHeader(1)
	body := forged.append(nil, testMark+2, headerBytes)
	h.length, h.head, h.digest = uint32(len(body)), uint32(len(body)), digestOf(body, nil)
	raw := append(h.append(nil, testMark, 0), body...)
	second := someHeader(2)
	second.length, second.head, second.digest, second.synced = 3, 1, digestOf([]byte("a"), []byte("bc")), uint32(len(raw))
	raw = append(second.append(raw, testMark, uint32(len(raw))), "abc"...)

	found := scan(bytes.NewReader(raw), int64(len(raw)), testMark)
	require.Len(t, found.records, 2)
	raw[20] ^= 1
	found = scan(bytes.NewReader(raw), int64(len(raw)), testMark)
	require.Len(t, found.records, 1)
	require.EqualValues(t, 2, found.records[0].header.key.Sequence)
	require.EqualValues(t, headerBytes+len(body), found.lost)
	require.Zero(t, found.torn)
}

func FuzzHeader(f *testing.F) {
	h := someHeader(1)
	f.Add(h.append(nil, testMark, 0))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) >= headerBytes { // past the checksum, which a fuzzer does not guess
			binary.BigEndian.PutUint64(raw, testMark)
			binary.BigEndian.PutUint32(raw[headerBytes-4:], headerSum(raw, 5))
		}
		h, err := decodeHeader(raw, testMark, 5)
		if err == nil {
			require.Equal(t, raw[:headerBytes], h.append(nil, testMark, 5))
			require.NoError(t, h.key.check())
		}
	})
}

func FuzzIndex(f *testing.F) {
	x := newSegmentIndex(testMark)
	f.Add(x.sealed())
	for n := range uint64(3) {
		x.add(&indexed{offset: uint32(n * 500), damaged: n == 1, header: someHeader(n)}, testMark)
	}
	f.Add(x.sealed())
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, sealed := range [][]byte{raw, (&segmentIndex{bytes.Clone(raw)}).sealed()} {
			records, err := decodeIndex(sealed, testMark)
			if err != nil {
				continue
			}
			x := newSegmentIndex(testMark)
			for i := range records {
				x.add(&records[i], testMark)
			}
			require.Equal(t, sealed, x.sealed())
		}
	})
}

func FuzzScan(f *testing.F) {
	h := someHeader(1)
	h.length, h.head = 0, 0
	f.Add(h.append([]byte("damage"), testMark, 6))
	f.Fuzz(func(t *testing.T, raw []byte) {
		found := scan(bytes.NewReader(raw), int64(len(raw)), testMark)
		at := int64(0)
		for _, r := range found.records {
			require.GreaterOrEqual(t, int64(r.offset), at)
			at = int64(r.offset) + headerBytes + int64(r.header.length)
		}
		require.LessOrEqual(t, found.lost+found.torn, int64(len(raw)))
	})
}
