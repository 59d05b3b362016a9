package follower

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// randomBytes returns bytes that no other seed gives.
func randomBytes(seed byte, n int) []byte {
	out := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(out)
	return out
}

// anyBlob has the header of a blob, and n bytes.
func anyBlob(seed byte, first uint64, n int) []byte {
	raw := append([]byte(blobMagic), blobVersion)
	raw = binary.BigEndian.AppendUint64(raw, first)
	raw = append(binary.BigEndian.AppendUint32(raw, 3), blobStored)
	return append(raw, randomBytes(seed, n-blobHeaderSize)...)
}

func TestSplitAndJoin(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.OneOf(rapid.IntRange(100, 10_000), rapid.IntRange(60_000, 3_000_000)).Draw(rt, "size")
		limit := rapid.IntRange(1000, 4_000_000).Draw(rt, "limit")
		blob := anyBlob(byte(size), 7, size)
		parts, err := SplitBlob(blob, limit)
		if err != nil {
			if limit >= MinBlobLimit || !errors.Is(err, ErrBlobTooLarge) {
				rt.Fatalf("%d bytes at most %d: %v", size, limit, err)
			}
			return
		}
		for i, p := range parts {
			if len(p) > limit {
				rt.Fatalf("part of %d bytes, at most %d", len(p), limit)
			}
			r, err := BlobRange(p)
			if err != nil || r.From != 7 || r.To != 9 || r.Part != i || r.Parts != len(parts) || (r.Set == [32]byte{}) != (len(parts) == 1) {
				rt.Fatalf("range %+v: %v", r, err)
			}
			if len(parts) > 1 && len(p) < minPartBytes {
				rt.Fatalf("part of %d bytes", len(p))
			}
		}
		again, err := SplitBlob(blob, limit)
		if err != nil || !slices.EqualFunc(again, parts, bytes.Equal) {
			rt.Fatal("another split")
		}
		joined, err := JoinBlob(rapid.Permutation(parts).Draw(rt, "order"))
		if err != nil || !bytes.Equal(joined, blob) {
			rt.Fatalf("joined: %v", err)
		}
		if len(parts) > 1 {
			if _, err := JoinBlob(parts[1:]); !errors.Is(err, ErrParts) {
				rt.Fatalf("one is missing: %v", err)
			}
		}
	})
}

// TestMinBlobLimit: the limit that always does, does for the largest blob; just below what fits, none do.
func TestMinBlobLimit(t *testing.T) {
	t.Parallel()
	largest := anyBlob(1, 1, DefaultBlobLimits.MaxBytes)
	parts, err := SplitBlob(largest, MinBlobLimit)
	if err != nil || len(parts) > MaxParts {
		t.Fatalf("%d parts: %v", len(parts), err)
	}
	if joined, err := JoinBlob(parts); err != nil || !bytes.Equal(joined, largest) {
		t.Fatal(err)
	}
	for n := minPartBytes; n < 6*minPartBytes; n += 1000 { // however little a blob is over a limit
		for _, limit := range []int{MinBlobLimit, MinBlobLimit + 1} {
			if _, err := SplitBlob(anyBlob(1, 1, limit+n), limit); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestPartsCannotBePoisoned: no byte of a part can be altered and the part stay in its set.
func TestPartsCannotBePoisoned(t *testing.T) {
	t.Parallel()
	parts, err := SplitBlob(anyBlob(3, 40, 500_000), 150_000)
	if err != nil || len(parts) != 4 {
		t.Fatalf("%d parts: %v", len(parts), err)
	}
	want, err := parsePartHeader(parts[1], DefaultBlobLimits)
	if err != nil {
		t.Fatal(err)
	}
	at := []int{0, 3, 4, 5, 12, 13, 16, 17, 20, 21, 22, 23, 24, 25, 40, 56, 57, 60, 88, 89, 120, 121, 122, 5000, len(parts[1]) - 1}
	for _, i := range at {
		for _, bit := range []byte{1, 0x80} {
			raw := bytes.Clone(parts[1])
			raw[i] ^= bit
			if p, _, err := openPart(raw, DefaultBlobLimits); err == nil && p.set() == want.set() {
				t.Errorf("byte %d altered, and the part still belongs to its set", i)
			}
		}
	}
	for name, raw := range map[string][]byte{
		"shorter": parts[1][:len(parts[1])-1], "longer": append(bytes.Clone(parts[1]), 0), "by a hash": append(bytes.Clone(parts[1]), make([]byte, 32)...),
		"header alone": parts[1][:partHeaderSize], "nothing": nil, "magic": []byte(partMagic),
	} {
		if _, _, err := openPart(raw, DefaultBlobLimits); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	// A set of one's own over the same range is another set.
	evil, err := SplitBlob(append(anyBlob(3, 40, 499_999), 'x'), 150_000)
	if err != nil {
		t.Fatal(err)
	}
	mixed := slices.Clone(parts)
	mixed[2] = evil[2]
	if _, err := JoinBlob(mixed); !errors.Is(err, ErrParts) {
		t.Errorf("two sets joined: %v", err)
	}
	// Parts whose blob says another range than they do.
	blob := anyBlob(3, 40, 500_000)
	forged := forgeParts(t, blob, 41, 2, 4)
	if _, err := JoinBlob(forged); !errors.Is(err, ErrParts) {
		t.Errorf("a range of their own: %v", err)
	}
}

// forgeParts splits bytes under a header of one's own.
func forgeParts(t testing.TB, data []byte, first uint64, count uint32, n int) [][]byte {
	t.Helper()
	limit := (len(data)+n-1)/n + partHeaderSize + maxPartPath*32
	parts, err := splitAs(blobHeader{first: first, count: count}, data, limit)
	if err != nil {
		t.Fatal(err)
	}
	return parts
}

func TestPartsAreBounded(t *testing.T) {
	t.Parallel()
	good := partHeader{first: 5, count: 2, length: 1 << 20, parts: 3, index: 1}
	for name, alter := range map[string]func(*partHeader){
		"height 0": func(p *partHeader) { p.first = 0 }, "no blocks": func(p *partHeader) { p.count = 0 }, "too many blocks": func(p *partHeader) { p.count = 5000 },
		"too long": func(p *partHeader) { p.length = 1 << 30 }, "one part": func(p *partHeader) { p.parts, p.index = 1, 0 },
		"too many parts": func(p *partHeader) { p.parts, p.length = 257, 60<<20 }, "index": func(p *partHeader) { p.index = 3 },
		"small parts": func(p *partHeader) { p.parts = 17 },
	} {
		p := good
		alter(&p)
		if _, err := parsePartHeader(p.append(nil), DefaultBlobLimits); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := parsePartHeader(good.append(nil), DefaultBlobLimits); err != nil {
		t.Error(err)
	}
}

func FuzzParts(f *testing.F) {
	parts, err := SplitBlob(anyBlob(1, 9, 200_000), 110_000)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(parts[0][:2000])
	f.Add(parts[1])
	f.Add(anyBlob(1, 9, 100))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if r, err := BlobRange(raw); err == nil && (r.From == 0 || r.To < r.From || r.Part >= r.Parts || r.Parts > MaxParts) {
			t.Fatalf("range %+v", r)
		}
		_, _ = JoinBlob([][]byte{raw})
		_, _ = JoinBlob([][]byte{raw, parts[1]})
	})
}
