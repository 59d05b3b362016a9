package follower

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	cmttypes "github.com/cometbft/cometbft/types"
	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/proto"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// rollupBlocks are the chain's blocks for a rollup, as nodes serve them.
func (c *testChain) rollupBlocks(id order.RollupID, from, to int) (out []*orderv1.RollupBlock) {
	for h := from; h <= to; h++ {
		b, _ := c.at(h)
		out = append(out, b.rollupBlock(id))
	}
	return out
}

// blob packs the chain's blocks for alpha.
func (c *testChain) blob(t testing.TB, from, to int) []byte {
	t.Helper()
	raw, err := EncodeBlob(c.rollupBlocks(alpha, from, to))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// unpacked is what a decoder makes of a blob.
type unpacked struct {
	rollup order.RollupID
	runs   []*packedRun
	blocks [][]byte
}

func unpack(raw []byte, limits BlobLimits) (unpacked, error) {
	var out unpacked
	h, err := parseBlobHeader(raw, limits)
	if err != nil {
		return out, err
	}
	d, err := newBlobDecoder(limits)
	if err != nil {
		return out, err
	}
	defer d.close()
	if err := d.open(raw, h); err != nil {
		return out, err
	}
	out.rollup = d.rollup
	for {
		p, err := d.run()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out.runs = append(out.runs, p)
		for range p.headers {
			height, b, err := d.block(p)
			if err != nil {
				return out, err
			}
			if height != h.first+uint64(len(out.blocks)) {
				return out, fmt.Errorf("block %d came as %d", len(out.blocks), height)
			}
			out.blocks = append(out.blocks, b)
		}
	}
}

// sameBlock reports whether a blob gave what the stream of a node gives, but for the commit.
func sameBlock(fromBlob, fromNode *Block) bool {
	want := proto.CloneOf(fromNode.Proto)
	want.SignedHeader, want.Validators = nil, nil
	return fromBlob.Height == fromNode.Height && fromBlob.Hash == fromNode.Hash && fromBlob.Time.Equal(fromNode.Time) &&
		fmt.Sprint(fromBlob.Legs) == fmt.Sprint(fromNode.Legs) && fmt.Sprint(fromBlob.Void) == fmt.Sprint(fromNode.Void) &&
		proto.Equal(fromBlob.Proto, want) && bytes.Equal(fromBlob.Checkpoint().Encode(), fromNode.Checkpoint().Encode())
}

// TestBlobRoundTrip: what a blob gives is what its blocks gave one by one, from any height on.
func TestBlobRoundTrip(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(4)
	c.append(nil, testValidators(2, 4)...) // other validators from 6 on
	c.grow(5)
	const height = 10
	raw := c.blob(t, 1, height)
	if again := c.blob(t, 1, height); !bytes.Equal(raw, again) {
		t.Fatal("a second encoding differs")
	}
	u, err := unpack(raw, DefaultBlobLimits)
	if err != nil || u.rollup != alpha || len(u.runs) != 2 || u.runs[1].first != 6 || len(u.blocks) != height {
		t.Fatalf("%d runs, %d blocks of %s: %v", len(u.runs), len(u.blocks), u.rollup, err)
	}
	one := NewVerifier(alpha, c.trust(t), Options{})
	var want []*Block
	for _, rb := range c.rollupBlocks(alpha, 1, height) {
		b, err := one.Next(rb, c.now())
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, b)
	}
	for from := 1; from <= height; from++ {
		v := NewVerifier(alpha, c.trust(t), Options{})
		if from > 1 {
			v = NewVerifier(alpha, trustCheckpoint(want[from-2].Checkpoint()), Options{})
		}
		got, err := v.NextBlob(raw, c.now())
		if err != nil || len(got) != height-from+1 || v.Height() != height+1 {
			t.Fatalf("from %d: %d blocks: %v", from, len(got), err)
		}
		for i, b := range got {
			if !sameBlock(b, want[from-1+i]) {
				t.Errorf("from %d: block %d differs", from, b.Height)
			}
		}
	}
	// Trusting a hash, and skipping as light clients do.
	for _, from := range []uint64{1, 3, 5, 6, 9} {
		b, _ := c.at(int(from))
		trust, err := TrustHeader(testChainID, from, [32]byte(b.header.Hash()))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := NewVerifier(alpha, trust, Options{}).NextBlob(raw, c.now()); err != nil || got[0].Height != from {
			t.Errorf("by the hash of %d: %v", from, err)
		}
		v := NewVerifier(alpha, c.trust(t), Options{})
		if err := v.StartAt(from); err != nil {
			t.Fatal(err)
		}
		if got, err := v.NextBlob(raw, c.now()); err != nil || got[0].Height != from {
			t.Errorf("skipping to %d: %v", from, err)
		}
	}
}

// TestBlobRuns: long blobs have a commit every 256 blocks, and the set once.
func TestBlobRuns(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	for range 2*maxRun + 3 {
		c.append(nil)
	}
	u, err := unpack(c.blob(t, 1, 2*maxRun+3), DefaultBlobLimits)
	if err != nil || len(u.runs) != 3 || len(u.runs[2].headers) != 3 {
		t.Fatalf("%d runs: %v", len(u.runs), err)
	}
	if &u.runs[0].validators[0] != &u.runs[2].validators[0] {
		t.Error("the validator set stands there twice")
	}
	v := NewVerifier(alpha, c.trust(t), Options{})
	if got, err := v.NextBlob(c.blob(t, 1, 2*maxRun+3), c.now()); err != nil || len(got) != 2*maxRun+3 {
		t.Fatalf("%d blocks: %v", len(got), err)
	}
}

func TestEncodeBlobRefuses(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(3)
	other := newTestChain(testValidators(0, 4))
	other.append(nil)
	other.grow(2)
	b := c.rollupBlocks(alpha, 1, 3)
	bare := proto.CloneOf(b[1])
	bare.Validators = nil
	for name, blocks := range map[string][]*orderv1.RollupBlock{
		"no blocks":              nil,
		"without set":            {b[0], bare},
		"without header":         {new(orderv1.RollupBlock)},
		"gap":                    {b[0], b[2]},
		"repeat":                 {b[0], b[0]},
		"another rollup's block": {b[0], c.rollupBlocks(gamma, 2, 2)[0]},
		"another chain's block":  {b[0], other.rollupBlocks(alpha, 2, 2)[0]},
	} {
		if raw, err := EncodeBlob(blocks); err == nil {
			t.Errorf("%s: encoded to %d bytes", name, len(raw))
		}
	}
	large := proto.CloneOf(b[0])
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

// TestBlobOfOneByteRepeated: what compresses too well is filled up, for a reader could not
// tell it from a bomb.
func TestBlobOfOneByteRepeated(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 1))
	var zeros []*order.Bundle
	for i := range 8 {
		zeros = append(zeros, bundle(i, [][]byte{make([]byte, 7<<17)}, alpha))
	}
	c.append(zeros)
	raw := c.blob(t, 1, 1)
	if len(raw) < 7<<20/blobMaxRatio || len(raw) > 7<<20/blobMaxRatio+1000 {
		t.Fatalf("%d bytes", len(raw))
	}
	got, err := NewVerifier(alpha, c.trust(t), Options{}).NextBlob(raw, c.now())
	if err != nil || len(got) != 1 || len(got[0].Legs) != 8 {
		t.Fatalf("%d blocks: %v", len(got), err)
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

// runOf is a body with one run, of any items.
func runOf(n uint64, items ...[]byte) []byte {
	body := binary.AppendUvarint(slices.Clone(alpha[:]), n)
	for _, item := range items {
		body = appendItem(body, item)
	}
	return body
}

// altered packs blocks, as they are or altered, with no look at whether they are a chain.
func (c *testChain) altered(t testing.TB, from, to int, alter func(height int, h *cmttypes.Header, b *signedBlock)) []byte {
	t.Helper()
	body := bytes.Clone(alpha[:])
	var run []*signedBlock
	for i, rb := range c.rollupBlocks(alpha, from, to) {
		s, err := openSigned(proto.CloneOf(rb))
		if err != nil {
			t.Fatal(err)
		}
		alter(from+i, s.header, s)
		run = append(run, s)
	}
	body, err := appendRun(body, run, nil)
	if err != nil {
		t.Fatal(err)
	}
	return blobOf(t, uint64(from), uint32(to-from+1), body)
}

func TestDecoderRefuses(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(6)
	good := c.blob(t, 5, 6)
	patched := func(at int, v byte) []byte {
		raw := bytes.Clone(good)
		raw[at] = v
		return raw
	}
	u, err := unpack(good, DefaultBlobLimits)
	if err != nil {
		t.Fatal(err)
	}
	header, commit, set, block := u.runs[0].headers[0], u.runs[0].commit, u.runs[0].validators, u.blocks[0]
	long := func(n uint64) []byte { return binary.AppendUvarint(nil, n) }
	one := runOf(1, header, commit, set, block)
	for name, tc := range map[string]struct {
		raw  []byte
		want error
	}{
		"nothing":                {nil, ErrBlob},
		"another magic":          {patched(0, 'x'), ErrBlob},
		"version 1":              {patched(4, 1), ErrBlob},
		"height zero":            {patched(12, 0), ErrBlob},
		"height too large":       {patched(5, 0xff), ErrBlob},
		"count zero":             {patched(16, 0), ErrBlob},
		"count too small":        {patched(16, 1), ErrBlob},
		"count too large":        {patched(16, 3), ErrBlob},
		"count over limit":       {patched(13, 1), ErrBlobTooLarge},
		"another form":           {patched(17, 2), ErrBlob},
		"truncated":              {good[:len(good)-5], ErrBlob},
		"garbage inside":         {append(bytes.Clone(good[:blobHeaderSize]), "garbage"...), ErrBlob},
		"no rollup":              {blobOf(t, 5, 1, alpha[:31]), ErrBlob},
		"no run":                 {blobOf(t, 5, 1, alpha[:]), ErrBlob},
		"an empty run":           {blobOf(t, 5, 1, runOf(0, header, commit, set, block)), ErrBlob},
		"a run beyond the count": {blobOf(t, 5, 1, runOf(2, header, header, commit, set, block, block)), ErrBlob},
		"a run too long":         {blobOf(t, 5, 1000, runOf(257)), ErrBlob},
		"no set":                 {blobOf(t, 5, 1, runOf(1, header, commit, nil, block)), ErrBlob},
		"bytes left over":        {blobOf(t, 5, 1, append(bytes.Clone(one), 0)), ErrBlob},
		"no block":               {blobOf(t, 5, 1, runOf(1, header, commit, set)), ErrBlob},
		"length of a lie":        {blobOf(t, 5, 1, append(runOf(1, header, commit, set), append(long(10_000), noise(600)...)...)), ErrBlob},
		"length over":            {blobOf(t, 5, 1, append(runOf(1, header, commit, set), long(MaxBlockBytes+1)...)), ErrBlobTooLarge},
		"header over":            {blobOf(t, 5, 1, append(runOf(1), long(maxHeaderBytes+1)...)), ErrBlobTooLarge},
		"commit over":            {blobOf(t, 5, 1, append(runOf(1, header), long(maxSignedHeaderBytes+1)...)), ErrBlobTooLarge},
		"set over":               {blobOf(t, 5, 1, append(runOf(1, header, commit), long(maxValidatorsBytes+1)...)), ErrBlobTooLarge},
		"a bomb":                 {blobOf(t, 5, 1, append(runOf(1, header, commit, set), append(long(MaxBlockBytes), make([]byte, MaxBlockBytes)...)...)), ErrBlobTooLarge},
	} {
		if u, err := unpack(tc.raw, DefaultBlobLimits); !errors.Is(err, tc.want) {
			t.Errorf("%s: %d blocks, error %v, want %v", name, len(u.blocks), err, tc.want)
		}
	}
	if _, err := unpack(good, BlobLimits{MaxBytes: len(one) / 2, MaxBlocks: 2}); !errors.Is(err, ErrBlobTooLarge) {
		t.Errorf("blob over the caller's limit: %v", err)
	}
}

// TestRunRefuses: whatever is altered in a run, no block of it is believed.
func TestRunRefuses(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(5)
	c.append(nil, testValidators(30, 4)...)
	c.grow(4)
	evil := testValidators(9, 4)
	resign := func(signers []validator, set *cmttypes.ValidatorSet, h *cmttypes.Header) func(*signedBlock) {
		return func(b *signedBlock) { b.commit = signCommit(h, set, signers).ToProto() }
	}
	at := func(want int, fn func(h *cmttypes.Header, b *signedBlock)) func(int, *cmttypes.Header, *signedBlock) {
		return func(height int, h *cmttypes.Header, b *signedBlock) {
			if height == want {
				fn(h, b)
			}
		}
	}
	for name, tc := range map[string]struct {
		from, to int
		alter    func(height int, h *cmttypes.Header, b *signedBlock)
		want     error
	}{
		"header in the middle":    {1, 5, at(3, func(h *cmttypes.Header, _ *signedBlock) { h.AppHash = hash32("evil") }), ErrCommit},
		"last header":             {1, 5, at(5, func(h *cmttypes.Header, _ *signedBlock) { h.AppHash = hash32("evil") }), ErrCommit},
		"first header's link":     {2, 5, at(2, func(h *cmttypes.Header, _ *signedBlock) { h.LastBlockID.Hash = hash32("evil") }), ErrCommit},
		"parts of the one before": {1, 5, at(4, func(h *cmttypes.Header, _ *signedBlock) { h.LastBlockID.PartSetHeader.Hash = hash32("evil") }), ErrCommit},
		"chain ID":                {1, 5, at(4, func(h *cmttypes.Header, _ *signedBlock) { h.ChainID = "evil" }), ErrChainID},
		"height":                  {1, 5, at(4, func(h *cmttypes.Header, _ *signedBlock) { h.Height = 9 }), ErrHeight},
		"time":                    {1, 5, at(4, func(h *cmttypes.Header, _ *signedBlock) { h.Time = c.genesis.GenesisTime }), ErrHeader},
		"commit of another":       {1, 4, at(4, func(_ *cmttypes.Header, b *signedBlock) { x, _ := c.at(5); b.commit = x.commit.ToProto() }), ErrCommit},
		"signatures swapped": {1, 5, at(5, func(_ *cmttypes.Header, b *signedBlock) {
			s := b.commit.Signatures
			s[0].Signature, s[1].Signature = s[1].Signature, s[0].Signature
		}), ErrCommit},
		"half of the signatures": {1, 5, at(5, func(h *cmttypes.Header, b *signedBlock) {
			resign(testValidators(0, 2), validatorSet(testValidators(0, 4)), h)(b)
		}), ErrCommit},
		"a set of one's own": {1, 5, func(height int, h *cmttypes.Header, b *signedBlock) {
			set := validatorSet(evil)
			h.ValidatorsHash, h.NextValidatorsHash = set.Hash(), set.Hash()
			b.Validators = encodeSet(set)
			if height == 5 {
				b.commit = signCommit(h, set, evil).ToProto()
			}
		}, ErrValidators},
		"a set of one's own in the middle": {1, 5, func(height int, h *cmttypes.Header, _ *signedBlock) {
			set := validatorSet(evil)
			if height >= 3 {
				h.NextValidatorsHash = set.Hash()
			}
			if height >= 4 {
				h.ValidatorsHash = set.Hash()
			}
		}, ErrValidators},
		"a change inside the run": {5, 8, func(int, *cmttypes.Header, *signedBlock) {}, ErrValidators},
	} {
		raw := c.altered(t, tc.from, tc.to, tc.alter)
		v := verifierAt(t, c, alpha, tc.from)
		if got, err := v.NextBlob(raw, c.now()); !errors.Is(err, tc.want) || len(got) > 0 || v.Height() != uint64(tc.from) {
			t.Errorf("%s: %d blocks, error %v, want %v", name, len(got), err, tc.want)
		}
	}
	// A run that says the hash of the block before, where it should be computed.
	u, err := unpack(c.blob(t, 1, 3), DefaultBlobLimits)
	if err != nil {
		t.Fatal(err)
	}
	x, _ := c.at(2)
	full, err := x.header.ToProto().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	r := u.runs[0]
	raw := blobOf(t, 1, 3, runOf(3, r.headers[0], full, r.headers[2], r.commit, r.validators, u.blocks[0], u.blocks[1], u.blocks[2]))
	if _, err := verifierAt(t, c, alpha, 1).NextBlob(raw, c.now()); !errors.Is(err, ErrMalformed) {
		t.Errorf("a hash that is said: %v", err)
	}
	// A new set, signed by itself: what it follows does not name it.
	takeover := c.altered(t, 1, 5, func(_ int, h *cmttypes.Header, b *signedBlock) {
		set := validatorSet(evil)
		h.ValidatorsHash, h.NextValidatorsHash, b.Validators = set.Hash(), set.Hash(), encodeSet(set)
	})
	if got, err := verifierAt(t, c, alpha, 1).NextBlob(takeover, c.now()); !errors.Is(err, ErrValidators) || len(got) > 0 {
		t.Errorf("a takeover: %v", err)
	}
	// What is altered in a block stops there, and what was before it has been verified.
	content := c.altered(t, 1, 5, at(3, func(_ *cmttypes.Header, b *signedBlock) { b.Legs[0].Transactions[0][0] ^= 1 }))
	if got, err := verifierAt(t, c, alpha, 1).NextBlob(content, c.now()); !errors.Is(err, ErrAlteredLeg) || len(got) != 2 {
		t.Errorf("altered content: %d blocks, %v", len(got), err)
	}
	// And once more, from the memory of commits: the good one that it ends with lends nothing.
	if got, err := verifierAt(t, c, alpha, 1).NextBlob(c.altered(t, 1, 5, at(3, func(h *cmttypes.Header, _ *signedBlock) { h.AppHash = hash32("evil") })), c.now()); !errors.Is(err, ErrCommit) || len(got) > 0 {
		t.Errorf("a commit that was seen before: %d blocks, %v", len(got), err)
	}
}

func FuzzBlob(f *testing.F) {
	c := newTestChain(testValidators(0, 2))
	c.grow(2)
	good := c.blob(f, 1, 2)
	u, err := unpack(good, DefaultBlobLimits)
	if err != nil {
		f.Fatal(err)
	}
	stored := append(bytes.Clone(good[:blobHeaderSize-1]), blobStored)
	body := runOf(2, u.runs[0].headers[0], u.runs[0].headers[1], u.runs[0].commit, u.runs[0].validators, u.blocks[0], u.blocks[1])
	f.Add(append(stored, body...)) // what is not compressed can be altered field by field
	f.Add(good)
	f.Add(good[:blobHeaderSize])
	f.Add(blobOf(f, 5, 1, []byte("garbage")))
	trust := c.trust(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if u, err := unpack(raw, BlobLimits{MaxBytes: 1 << 20, MaxBlocks: 16}); err == nil && (len(u.blocks) == 0 || len(u.blocks) > 16) {
			t.Fatalf("%d blocks and no error", len(u.blocks))
		}
		got, _ := NewVerifier(alpha, trust, Options{}).NextBlob(raw, c.now())
		for i, b := range got {
			if want, _ := c.at(i + 1); !bytes.Equal(b.Hash[:], want.header.Hash()) || len(b.Legs) != 3 {
				t.Fatalf("block %d is another", b.Height)
			}
		}
	})
}
