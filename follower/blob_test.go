package follower

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/proto"

	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// rawBlock returns a block that has the form of one and verifies nowhere.
func rawBlock(t testing.TB, height int64, validators string) *orderv1.RollupBlock {
	t.Helper()
	signed, err := (&cmtproto.SignedHeader{Header: &cmtproto.Header{Height: height, ValidatorsHash: []byte(validators)}}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return &orderv1.RollupBlock{
		RollupId: bytes.Repeat([]byte{7}, 32), SignedHeader: signed, Validators: []byte(validators), OrderingHeader: []byte("header"),
		Legs: []*orderv1.RollupLeg{{Record: &orderv1.LegRecord{Count: 1}, Transactions: [][]byte{bytes.Repeat([]byte("tx"), 100)}}},
	}
}

func TestBlobRoundTrip(t *testing.T) {
	t.Parallel()
	in := []*orderv1.RollupBlock{rawBlock(t, 9, "a"), rawBlock(t, 10, "a"), rawBlock(t, 11, "b"), rawBlock(t, 12, "b")}
	raw, err := EncodeBlob(in)
	if err != nil {
		t.Fatal(err)
	}
	again, err := EncodeBlob(in)
	if err != nil || !bytes.Equal(raw, again) {
		t.Fatalf("a second encoding differs: %v", err)
	}
	out, err := DecodeBlob(raw, DefaultBlobLimits)
	if err != nil {
		t.Fatal(err)
	}
	in[1], in[3] = withoutValidators(in[1]), withoutValidators(in[3])
	if len(out) != len(in) {
		t.Fatalf("%d blocks, want %d", len(out), len(in))
	}
	for i := range in {
		if !proto.Equal(in[i], out[i]) {
			t.Errorf("block %d: %v, want %v", i, out[i], in[i])
		}
	}
}

func TestEncodeBlobRefuses(t *testing.T) {
	t.Parallel()
	other := rawBlock(t, 2, "a")
	other.RollupId = bytes.Repeat([]byte{8}, 32)
	for name, blocks := range map[string][]*orderv1.RollupBlock{
		"no blocks":              nil,
		"first without set":      {rawBlock(t, 1, "")},
		"gap":                    {rawBlock(t, 1, "a"), rawBlock(t, 3, "a")},
		"repeat":                 {rawBlock(t, 1, "a"), rawBlock(t, 1, "a")},
		"another rollup's block": {rawBlock(t, 1, "a"), other},
	} {
		if raw, err := EncodeBlob(blocks); err == nil {
			t.Errorf("%s: encoded to %d bytes", name, len(raw))
		}
	}
	large := rawBlock(t, 1, "a")
	large.Legs[0].Transactions[0] = make([]byte, MaxBlockBytes)
	if _, err := EncodeBlob([]*orderv1.RollupBlock{large}); !errors.Is(err, ErrBlobTooLarge) {
		t.Errorf("block over the limit: %v", err)
	}
}

// noise returns bytes that do not compress.
func noise(n int) []byte {
	out := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(out)
	return out
}

// TestBlobOfOneByteRepeated: what compresses too well is stored as it is, for a
// reader could not tell it from a bomb.
func TestBlobOfOneByteRepeated(t *testing.T) {
	t.Parallel()
	rb := rawBlock(t, 1, "a")
	rb.Legs[0].Transactions[0] = make([]byte, 12<<20)
	raw, err := EncodeBlob([]*orderv1.RollupBlock{rb})
	if err != nil || len(raw) < 12<<20 {
		t.Fatalf("%d bytes: %v", len(raw), err)
	}
	if out, err := DecodeBlob(raw, DefaultBlobLimits); err != nil || len(out) != 1 || !proto.Equal(out[0], rb) {
		t.Fatalf("%d blocks: %v", len(out), err)
	}
}

// TestBlobPassesOver: blocks below a height are passed over, their validators kept.
func TestBlobPassesOver(t *testing.T) {
	t.Parallel()
	in := []*orderv1.RollupBlock{rawBlock(t, 9, "a"), rawBlock(t, 10, "b"), rawBlock(t, 11, "b"), rawBlock(t, 12, "b")}
	raw, err := EncodeBlob(in)
	if err != nil {
		t.Fatal(err)
	}
	h, err := parseBlobHeader(raw, DefaultBlobLimits)
	if err != nil || h.first != 9 || h.last() != 12 {
		t.Fatalf("blocks %d to %d: %v", h.first, h.last(), err)
	}
	dec, err := newBlobDecoder(DefaultBlobLimits)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.close()
	for range 2 { // a decoder is used again and again
		if err := dec.open(raw, h); err != nil {
			t.Fatal(err)
		}
		for i, want := range []*orderv1.RollupBlock{in[2], withoutValidators(in[3])} {
			if rb, err := dec.next(11); err != nil || !proto.Equal(rb, want) {
				t.Fatalf("block %d: %v, %v", i, rb, err)
			}
		}
		if _, err := dec.next(11); !errors.Is(err, io.EOF) {
			t.Fatalf("after the last: %v", err)
		}
	}
}

// blobOf builds a blob around any body.
func blobOf(t testing.TB, first uint64, count uint32, body []byte) []byte {
	t.Helper()
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(blobWindow))
	if err != nil {
		t.Fatal(err)
	}
	raw := append([]byte(blobMagic), blobVersion)
	raw = binary.BigEndian.AppendUint64(raw, first)
	raw = append(binary.BigEndian.AppendUint32(raw, count), blobZstd)
	return enc.EncodeAll(body, raw)
}

func TestDecodeBlobRefuses(t *testing.T) {
	t.Parallel()
	good, err := EncodeBlob([]*orderv1.RollupBlock{rawBlock(t, 5, "a"), rawBlock(t, 6, "a")})
	if err != nil {
		t.Fatal(err)
	}
	patched := func(at int, v byte) []byte {
		raw := bytes.Clone(good)
		raw[at] = v
		return raw
	}
	one, err := proto.Marshal(rawBlock(t, 5, "a"))
	if err != nil {
		t.Fatal(err)
	}
	one = append(binary.AppendUvarint(nil, uint64(len(one))), one...)
	for name, c := range map[string]struct {
		raw  []byte
		want error
	}{
		"nothing":          {nil, ErrBlob},
		"another magic":    {patched(0, 'x'), ErrBlob},
		"another version":  {patched(4, 2), ErrBlob},
		"height zero":      {patched(12, 0), ErrBlob},
		"height too large": {patched(5, 0xff), ErrBlob},
		"wrong height":     {patched(12, 6), ErrBlob},
		"count zero":       {patched(16, 0), ErrBlob},
		"count too small":  {patched(16, 1), ErrBlob},
		"count too large":  {patched(16, 3), ErrBlob},
		"count over limit": {patched(13, 1), ErrBlobTooLarge},
		"another form":     {patched(17, 2), ErrBlob},
		"truncated":        {good[:len(good)-5], ErrBlob},
		"garbage inside":   {append(bytes.Clone(good[:blobHeaderSize]), "garbage"...), ErrBlob},
		"bytes left over":  {blobOf(t, 5, 1, append(bytes.Clone(one), 0)), ErrBlob},
		"length of a lie":  {blobOf(t, 5, 1, append(binary.AppendUvarint(nil, 1000), noise(100)...)), ErrBlob},
		"length over":      {blobOf(t, 5, 1, binary.AppendUvarint(nil, MaxBlockBytes+1)), ErrBlobTooLarge},
		"a bomb":           {blobOf(t, 5, 4, append(binary.AppendUvarint(nil, MaxBlockBytes), make([]byte, MaxBlockBytes)...)), ErrBlobTooLarge},
		"empty legs":       {blobOf(t, 5, 1, append(append(binary.AppendUvarint(nil, 1<<20+60_000), bytes.Repeat([]byte{0x3a, 0}, 1<<19)...), noise(60_000)...)), ErrMalformed},
	} {
		if blocks, err := DecodeBlob(c.raw, DefaultBlobLimits); !errors.Is(err, c.want) {
			t.Errorf("%s: %d blocks, error %v, want %v", name, len(blocks), err, c.want)
		}
	}
	if _, err := DecodeBlob(blobOf(t, 5, 1, one), BlobLimits{MaxBytes: len(one) / 2, MaxBlocks: 1}); !errors.Is(err, ErrBlobTooLarge) {
		t.Errorf("blob over the caller's limit: %v", err)
	}
}

func FuzzDecodeBlob(f *testing.F) {
	good, err := EncodeBlob([]*orderv1.RollupBlock{rawBlock(f, 5, "a"), rawBlock(f, 6, "b")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:blobHeaderSize])
	f.Add(blobOf(f, 5, 1, []byte("garbage")))
	f.Fuzz(func(t *testing.T, raw []byte) {
		blocks, err := DecodeBlob(raw, BlobLimits{MaxBytes: 1 << 20, MaxBlocks: 16})
		if err == nil && (len(blocks) == 0 || len(blocks) > 16) {
			t.Fatalf("%d blocks and no error", len(blocks))
		}
	})
}
