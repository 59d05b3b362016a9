package follower

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	cmttypes "github.com/cometbft/cometbft/types"
	"google.golang.org/protobuf/proto"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// verifierAt returns a verifier of alpha that has verified the chain below the height.
func verifierAt(t testing.TB, c *testChain, rollup order.RollupID, height int) *Verifier {
	t.Helper()
	v := NewVerifier(rollup, c.trust(t), Options{})
	for h := 1; h < height; h++ {
		b, _ := c.at(h)
		if _, err := v.Next(b.rollupBlock(rollup), c.now()); err != nil {
			t.Fatalf("block %d: %v", h, err)
		}
	}
	return v
}

func TestVerifierFollowsTheChain(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(2)
	c.append(nil, testValidators(2, 4)...) // half of the validators leave
	c.grow(2)
	c.append([]*order.Bundle{bundle(6, txs(60, 1), gamma)}, testValidators(50, 3)...) // all of them leave
	c.grow(3)
	for _, rollup := range []order.RollupID{alpha, beta, gamma, between, order.NewRollupID("omega")} {
		v := NewVerifier(rollup, c.trust(t), Options{})
		for h := 1; h <= c.height(); h++ {
			b, _ := c.at(h)
			rb := b.rollupBlock(rollup)
			if h != 1 && h != 4 && h != 7 {
				rb.Validators = nil // only the first block and those with another set carry it
			}
			got, err := v.Next(rb, c.now())
			if err != nil {
				t.Fatalf("rollup %s, block %d: %v", rollup, h, err)
			}
			var want [][]byte
			for _, leg := range b.rollupBlock(rollup).Legs {
				want = append(want, leg.Transactions...)
			}
			if got.Height != uint64(h) || !bytes.Equal(got.Hash[:], b.header.Hash()) || !got.Time.Equal(b.header.Time) || !equalTxs(got.Transactions(), want) {
				t.Fatalf("rollup %s, block %d: got %+v, want transactions %q", rollup, h, got, want)
			}
			if _, err := verifierFrom(t, got.Checkpoint(), rollup, h).Next(got.Proto, c.now()); !errors.Is(err, ErrHeight) {
				t.Fatalf("a verified block verified again as the next: %v", err)
			}
		}
	}
}

func verifierFrom(t testing.TB, c Checkpoint, rollup order.RollupID, height int) *Verifier {
	t.Helper()
	decoded, err := DecodeCheckpoint(c.Encode())
	if err != nil {
		t.Fatal(err)
	}
	trust, err := TrustCheckpoint(decoded)
	if err != nil {
		t.Fatal(err)
	}
	v := NewVerifier(rollup, trust, Options{})
	if v.Height() != uint64(height)+1 {
		t.Fatalf("resumed at %d, want %d", v.Height(), height+1)
	}
	return v
}

func equalTxs(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// TestVerifierRefuses alters a good block in each way that a lying node could.
func TestVerifierRefuses(t *testing.T) {
	t.Parallel()
	vals := testValidators(0, 4)
	c := newTestChain(vals)
	c.grow(4)
	b, _ := c.at(3)
	resigned := func(change func(*cmttypes.Header), signers []validator) func(*orderv1.RollupBlock) {
		return func(rb *orderv1.RollupBlock) {
			h := *b.header
			change(&h)
			rb.SignedHeader = signedHeader(&h, signCommit(&h, b.set, signers))
		}
	}
	unsigned := func(change func(*cmttypes.Header, *cmttypes.Commit)) func(*orderv1.RollupBlock) {
		return func(rb *orderv1.RollupBlock) {
			h, commit := *b.header, *b.commit
			commit.Signatures = append([]cmttypes.CommitSig(nil), commit.Signatures...)
			change(&h, &commit)
			rb.SignedHeader = signedHeader(&h, &commit)
		}
	}
	strangers := testValidators(100, 4)
	other := newTestChain(strangers)
	other.grow(4)
	for name, tc := range map[string]struct {
		alter func(rb *orderv1.RollupBlock)
		want  error
		text  string // what the error must name
	}{
		"altered leg":             {func(rb *orderv1.RollupBlock) { rb.Legs[1].Transactions[0][0] ^= 1 }, ErrAlteredLeg, "digest"},
		"transaction missing":     {func(rb *orderv1.RollupBlock) { rb.Legs[1].Transactions = rb.Legs[1].Transactions[1:] }, ErrAlteredLeg, "2 transactions, want"},
		"transactions swapped":    {func(rb *orderv1.RollupBlock) { tx := rb.Legs[1].Transactions; tx[0], tx[1] = tx[1], tx[0] }, ErrAlteredLeg, "digest"},
		"altered record":          {func(rb *orderv1.RollupBlock) { rb.Legs[1].Record.BundleId[0] ^= 1 }, ErrProof, "commitment"},
		"record of another batch": {func(rb *orderv1.RollupBlock) { rb.Legs[1].Record.BatchId[0] ^= 1 }, ErrProof, "commitment"},
		"record of another place": {func(rb *orderv1.RollupBlock) { rb.Legs[1].Record.BatchIndex++ }, ErrProof, "commitment"},
		"record without a batch":  {func(rb *orderv1.RollupBlock) { rb.Legs[1].Record.BatchId = nil }, ErrMalformed, "batch ID of 0"},
		"leg without record":      {func(rb *orderv1.RollupBlock) { rb.Legs[1].Record = nil }, ErrMalformed, "bundle ID of 0 bytes"},
		"siblings withheld":       {func(rb *orderv1.RollupBlock) { rb.Legs[1].Bundle = nil }, ErrSiblings, "has 2 legs, and its document is missing"},
		"sibling left out":        {func(rb *orderv1.RollupBlock) { d := rb.Legs[1].Bundle; d.Legs = d.Legs[:1] }, ErrSiblings, "is that of bundle"},
		"sibling added":           {func(rb *orderv1.RollupBlock) { d := rb.Legs[1].Bundle; d.Legs = append(d.Legs, d.Legs[0]) }, ErrSiblings, "is that of bundle"},
		"sibling of another":      {func(rb *orderv1.RollupBlock) { rb.Legs[1].Bundle.Legs[1].RollupId = delta[:] }, ErrSiblings, "is that of bundle"},
		"siblings swapped":        {func(rb *orderv1.RollupBlock) { l := rb.Legs[1].Bundle.Legs; l[0], l[1] = l[1], l[0] }, ErrSiblings, "is that of bundle"},
		"sibling without ID":      {func(rb *orderv1.RollupBlock) { rb.Legs[1].Bundle.Legs[1].RollupId = nil }, ErrSiblings, "a rollup ID of 0 bytes"},
		"no siblings":             {func(rb *orderv1.RollupBlock) { rb.Legs[1].Bundle = &orderv1.BundleDoc{} }, ErrSiblings, "payer of 0 bytes"},
		"bundle of another chain": {func(rb *orderv1.RollupBlock) { rb.Legs[1].Bundle.ChainId = "ordo-evil" }, ErrSiblings, "is that of bundle"},
		"document of one leg":     {func(rb *orderv1.RollupBlock) { rb.Legs[0].Bundle = rb.Legs[1].Bundle }, ErrSiblings, "has one leg"},
		"too many siblings": {func(rb *orderv1.RollupBlock) {
			d := rb.Legs[1].Bundle
			d.Legs = slices.Repeat(d.Legs[:1], order.MaxLegs+1)
		}, ErrSiblings, "65 legs, at most 64"},
		"missing leg":         {func(rb *orderv1.RollupBlock) { rb.Legs = rb.Legs[1:] }, ErrMissingLeg, "2 legs, the proof covers 3"},
		"missing leg, hidden": {func(rb *orderv1.RollupBlock) { rb.Legs = rb.Legs[:2]; rb.NamespaceProof.End-- }, ErrProof, "2 legs"},
		"all legs missing":    {func(rb *orderv1.RollupBlock) { rb.Legs = nil }, ErrMissingLeg, "0 legs, the proof covers 3"},
		"extra leg":           {func(rb *orderv1.RollupBlock) { rb.Legs = append(rb.Legs, rb.Legs[2]) }, ErrExtraLeg, "4 legs, the proof covers 3"},
		"extra leg, hidden": {func(rb *orderv1.RollupBlock) {
			extra := proto.CloneOf(rb.Legs[2])
			extra.Record.BundleIndex++
			rb.Legs = append(rb.Legs, extra)
			rb.NamespaceProof.End++
		}, ErrProof, "4 legs"},
		"more legs than all":     {func(rb *orderv1.RollupBlock) { rb.Legs = append(rb.Legs, append(rb.Legs, rb.Legs...)...) }, ErrExtraLeg, "9 legs, the block has 6"},
		"swapped legs":           {func(rb *orderv1.RollupBlock) { rb.Legs[0], rb.Legs[1] = rb.Legs[1], rb.Legs[0] }, ErrLegOrder, "bundle 0, after one of bundle 2"},
		"forged absence":         {func(rb *orderv1.RollupBlock) { rb.Legs = nil; rb.NamespaceProof = &orderv1.NamespaceProof{} }, ErrAbsence, "absence"},
		"forged absence inside":  {func(rb *orderv1.RollupBlock) { forgeAbsence(t, rb, b) }, ErrAbsence, "absence"},
		"no proof":               {func(rb *orderv1.RollupBlock) { rb.NamespaceProof = nil }, ErrExtraLeg, "3 legs, the proof covers 0"},
		"another rollup's block": {func(rb *orderv1.RollupBlock) { proto.Reset(rb); proto.Merge(rb, b.rollupBlock(gamma)) }, ErrRollup, alpha.String()},
		"another's under our ID": {func(rb *orderv1.RollupBlock) {
			proto.Reset(rb)
			proto.Merge(rb, b.rollupBlock(gamma))
			rb.RollupId = alpha[:]
		}, ErrProof, "2 legs"},

		"header altered":          {unsigned(func(h *cmttypes.Header, _ *cmttypes.Commit) { h.AppHash = hash32("another") }), ErrCommit, "its commit signs"},
		"commit of another block": {unsigned(func(_ *cmttypes.Header, cm *cmttypes.Commit) { o, _ := c.at(2); *cm = *o.commit }), ErrCommit, "commit is for height 2, header has 3"},
		"commit of another round": {unsigned(func(_ *cmttypes.Header, cm *cmttypes.Commit) { cm.Round++ }), ErrCommit, "wrong signature"},
		"commit for another hash": {unsigned(func(_ *cmttypes.Header, cm *cmttypes.Commit) { cm.BlockID.Hash = hash32("x") }), ErrCommit, "its commit signs"},
		"signature altered": {unsigned(func(_ *cmttypes.Header, cm *cmttypes.Commit) {
			s := bytes.Clone(cm.Signatures[1].Signature)
			s[3] ^= 1
			cm.Signatures[1].Signature = s
		}), ErrCommit, "wrong signature (#1)"},
		"signature short": {unsigned(func(_ *cmttypes.Header, cm *cmttypes.Commit) {
			cm.Signatures[1].Signature = cm.Signatures[1].Signature[:63]
		}), ErrCommit, "invalid signature"},
		"signatures swapped":  {unsigned(func(_ *cmttypes.Header, cm *cmttypes.Commit) { s := cm.Signatures; s[0], s[1] = s[1], s[0] }), ErrCommit, "address mismatch"},
		"signature repeated":  {unsigned(func(_ *cmttypes.Header, cm *cmttypes.Commit) { s := cm.Signatures; s[2], s[3] = s[1], s[1] }), ErrCommit, "address mismatch"},
		"a signature too few": {unsigned(func(_ *cmttypes.Header, cm *cmttypes.Commit) { cm.Signatures = cm.Signatures[:3] }), ErrCommit, "3 signatures for 4 validators"},
		"no signatures":       {unsigned(func(_ *cmttypes.Header, cm *cmttypes.Commit) { cm.Signatures = nil }), ErrMalformed, "no signatures"},
		"too little power":    {resigned(func(*cmttypes.Header) {}, vals[:2]), ErrCommit, "insufficient voting power: got 20, needed more than 26"},
		"signed by strangers": {func(rb *orderv1.RollupBlock) {
			o, _ := other.at(3)
			proto.Reset(rb)
			proto.Merge(rb, o.rollupBlock(alpha))
		}, ErrValidators, "the block before"},
		"strangers as the set": {func(rb *orderv1.RollupBlock) {
			set, h := validatorSet(strangers), *b.header
			h.ValidatorsHash = set.Hash()
			rb.Validators, rb.SignedHeader = encodeSet(set), signedHeader(&h, signCommit(&h, set, strangers))
		}, ErrValidators, "the block before"},
		"wrong chain ID":          {resigned(func(h *cmttypes.Header) { h.ChainID = "ordo-evil" }, vals), ErrChainID, `"ordo-evil", want "ordo-test"`},
		"block below":             {func(rb *orderv1.RollupBlock) { o, _ := c.at(2); proto.Reset(rb); proto.Merge(rb, o.rollupBlock(alpha)) }, ErrHeight, "height 2, want 3"},
		"block above":             {func(rb *orderv1.RollupBlock) { o, _ := c.at(4); proto.Reset(rb); proto.Merge(rb, o.rollupBlock(alpha)) }, ErrHeight, "height 4, want 3"},
		"time that does not rise": {resigned(func(h *cmttypes.Header) { o, _ := c.at(2); h.Time = o.header.Time }, vals), ErrHeader, "not after"},
		"time in the future":      {resigned(func(h *cmttypes.Header) { h.Time = c.now().Add(DefaultClockDrift + time.Second) }, vals), ErrFuture, "local clock"},
		"no commit":               {unsigned(func(_ *cmttypes.Header, cm *cmttypes.Commit) { *cm = cmttypes.Commit{} }), ErrCommit, "commit is for height 0"},
		"no header":               {func(rb *orderv1.RollupBlock) { rb.SignedHeader = nil }, ErrMalformed, "lacks"},
		"header too large":        {func(rb *orderv1.RollupBlock) { rb.SignedHeader = make([]byte, maxSignedHeaderBytes+1) }, ErrMalformed, "262145, at most 262144"},

		"altered ordering header":    {func(rb *orderv1.RollupBlock) { rb.OrderingHeader[len(rb.OrderingHeader)-1] ^= 1 }, ErrOrderingHeader, "data hash"},
		"ordering header of another": {func(rb *orderv1.RollupBlock) { o, _ := c.at(2); rb.OrderingHeader = o.txs[0] }, ErrOrderingHeader, "data hash"},
		"ordering header not first":  {func(rb *orderv1.RollupBlock) { rb.OrderingHeaderProof.Index = 1 }, ErrOrderingHeader, "transaction 1 of 3"},
		"transaction 1 as the header": {func(rb *orderv1.RollupBlock) {
			p := b.txs.Proof(1)
			rb.OrderingHeader, rb.OrderingHeaderProof.Aunts = b.txs[1], p.Proof.Aunts
		}, ErrOrderingHeader, "data hash"},
		"no ordering header":          {func(rb *orderv1.RollupBlock) { rb.OrderingHeader = nil }, ErrOrderingHeader, "data hash"},
		"no path":                     {func(rb *orderv1.RollupBlock) { rb.OrderingHeaderProof = nil }, ErrOrderingHeader, "0 of 0"},
		"path too long":               {func(rb *orderv1.RollupBlock) { rb.OrderingHeaderProof.Aunts = make([][]byte, maxProofHashes+1) }, ErrMalformed, "129, at most 128"},
		"path of short hashes":        {func(rb *orderv1.RollupBlock) { rb.OrderingHeaderProof.Aunts[0] = []byte{1} }, ErrOrderingHeader, "1 bytes, want 32"},
		"committed height is another": {func(rb *orderv1.RollupBlock) { forgeOrderingHeight(rb, b, vals) }, ErrOrderingHeader, "for height 99, block has 3"},
		"nothing":                     {func(rb *orderv1.RollupBlock) { proto.Reset(rb) }, ErrRollup, "want " + alpha.String()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := verifierAt(t, c, alpha, 3)
			rb := proto.CloneOf(b.rollupBlock(alpha))
			tc.alter(rb)
			got, err := v.Next(rb, c.now())
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
				t.Fatalf("got %v and error %v; want %v that names %q", got, err, tc.want, tc.text)
			}
			// What was refused leaves no mark: the good block is still the next.
			if _, err := v.Next(b.rollupBlock(alpha), c.now()); err != nil {
				t.Fatalf("the good block afterwards: %v", err)
			}
		})
	}
}

// forgeAbsence presents the real proof of another rollup's absence, whose place is
// right before alpha's: the leaf that it shows is alpha's own.
func forgeAbsence(t *testing.T, rb *orderv1.RollupBlock, b *testBlock) {
	t.Helper()
	records, proof := b.order.Rollup(between)
	if len(records) > 0 || len(proof.GetLeafHash()) == 0 {
		t.Fatalf("%d legs, proof %v", len(records), proof)
	}
	rb.Legs, rb.NamespaceProof = nil, proof
}

// forgeOrderingHeight has the validators sign a block whose ordering header is of another height.
func forgeOrderingHeight(rb *orderv1.RollupBlock, b *testBlock, vals []validator) {
	oh := b.order.Header()
	oh.Height = 99
	data := cmttypes.Txs{oh.Encode(), b.txs[1], b.txs[2]}
	h := *b.header
	h.DataHash = data.Hash()
	rb.SignedHeader = signedHeader(&h, signCommit(&h, b.set, vals))
	rb.OrderingHeader, rb.OrderingHeaderProof.Aunts = data[0], data.Proof(0).Proof.Aunts
}

func TestVerifierNeedsTheValidators(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.append(nil, testValidators(10, 4)...)
	c.grow(1)
	v := verifierAt(t, c, alpha, 2)
	b, _ := c.at(2)
	for name, set := range map[string][]byte{
		"none":        nil,
		"the old":     encodeSet(validatorSet(testValidators(0, 4))),
		"one removed": encodeSet(validatorSet(testValidators(10, 3))),
	} {
		rb := b.rollupBlock(alpha)
		rb.Validators = set
		if _, err := v.Next(rb, c.now()); !errors.Is(err, ErrValidators) {
			t.Errorf("%s: %v", name, err)
		}
	}
	rb := b.rollupBlock(alpha)
	rb.Validators = []byte("garbage")
	if _, err := v.Next(rb, c.now()); !errors.Is(err, ErrMalformed) {
		t.Errorf("garbage: %v", err)
	}
}

func TestVerifierTrustExpires(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(2)
	b, _ := c.at(2)
	off := func(d time.Duration) error {
		_, err := verifierAt(t, c, alpha, 2).Next(b.rollupBlock(alpha), c.now().Add(d))
		return err
	}
	if err := off(24 * time.Hour); err != nil {
		t.Errorf("a day later: %v", err)
	}
	if err := off(DefaultTrustingPeriod); !errors.Is(err, ErrExpired) {
		t.Errorf("a trusting period later: %v", err)
	}
}

func TestTrustGenesisRefuses(t *testing.T) {
	t.Parallel()
	good := newTestChain(testValidators(0, 2)).genesis
	for name, alter := range map[string]func(*cmttypes.GenesisDoc){
		"no validators":     func(d *cmttypes.GenesisDoc) { d.Validators = nil },
		"no chain ID":       func(d *cmttypes.GenesisDoc) { d.ChainID = "" },
		"validator twice":   func(d *cmttypes.GenesisDoc) { d.Validators = append(d.Validators[:1:1], d.Validators[0]) },
		"no key":            func(d *cmttypes.GenesisDoc) { d.Validators = []cmttypes.GenesisValidator{{Power: 1}} },
		"power overflows":   func(d *cmttypes.GenesisDoc) { d.Validators[0].Power, d.Validators[1].Power = 1<<60, 1<<60 },
		"power is negative": func(d *cmttypes.GenesisDoc) { d.Validators[0].Power = -1 },
	} {
		doc := *good
		doc.Validators = append([]cmttypes.GenesisValidator(nil), good.Validators...)
		alter(&doc)
		if _, err := TrustGenesis(&doc); err == nil {
			t.Errorf("%s: trusted", name)
		}
	}
}

// skipChain has a chain whose validators all change, one at a time.
func skipChain() *testChain {
	c := newTestChain(testValidators(0, 4))
	for i := 1; i <= 30; i++ {
		c.append([]*order.Bundle{bundle(i, txs(i, 1), alpha)}, testValidators(i, 4)...)
	}
	c.grow(3)
	return c
}

func (c *testChain) fetch(rollup order.RollupID, calls *int) Fetch {
	return func(_ context.Context, height uint64) (*orderv1.RollupBlock, error) {
		*calls++
		b, _ := c.at(int(height))
		if b == nil {
			return nil, errors.New("no such block")
		}
		return b.rollupBlock(rollup), nil
	}
}

func TestVerifierSkips(t *testing.T) {
	t.Parallel()
	c := skipChain()
	var calls int
	for _, height := range []uint64{0, 1, 2, 7, 29, 32} {
		v := NewVerifier(alpha, c.trust(t), Options{})
		if err := v.Skip(t.Context(), height, c.now, c.fetch(alpha, &calls)); err != nil {
			t.Fatalf("skip to %d: %v", height, err)
		}
		b, _ := c.at(int(height) + 1)
		if got, err := v.Next(b.rollupBlock(alpha), c.now()); err != nil || got.Height != height+1 {
			t.Fatalf("block %d: %v", height+1, err)
		}
	}
	// A quiet chain is skipped in one step.
	quiet := newTestChain(testValidators(0, 4))
	quiet.grow(50)
	calls = 0
	v := NewVerifier(alpha, quiet.trust(t), Options{})
	if err := v.Skip(t.Context(), 49, quiet.now, quiet.fetch(alpha, &calls)); err != nil || calls != 1 {
		t.Fatalf("%d fetches: %v", calls, err)
	}
	if err := v.Skip(t.Context(), 48, quiet.now, quiet.fetch(alpha, &calls)); !errors.Is(err, ErrHeight) {
		t.Fatalf("skip back: %v", err)
	}
	// Strangers are not skipped to, however few validators must have signed.
	evil := newTestChain(testValidators(70, 4))
	evil.grow(50)
	if err := NewVerifier(alpha, quiet.trust(t), Options{}).Skip(t.Context(), 40, quiet.now, evil.fetch(alpha, &calls)); err == nil {
		t.Fatal("skipped to a block that strangers signed")
	}
}

func TestVerifierStartsAt(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(20)
	v := NewVerifier(alpha, c.trust(t), Options{})
	if err := v.StartAt(10); err != nil {
		t.Fatal(err)
	}
	for h := 10; h <= 20; h++ {
		b, _ := c.at(h)
		if _, err := v.Next(b.rollupBlock(alpha), c.now()); err != nil {
			t.Fatalf("block %d: %v", h, err)
		}
	}
	if err := v.StartAt(20); !errors.Is(err, ErrHeight) {
		t.Errorf("start below: %v", err)
	}
}

func TestVerifierFromTrustedHeader(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(9)
	b, _ := c.at(5)
	trust, err := TrustHeader(testChainID, 5, [32]byte(b.header.Hash()))
	if err != nil {
		t.Fatal(err)
	}
	v := NewVerifier(alpha, trust, Options{})
	if v.Height() != 5 {
		t.Fatalf("wants height %d", v.Height())
	}
	if err := v.StartAt(6); !errors.Is(err, ErrHeight) {
		t.Errorf("start above a hash that was never seen: %v", err)
	}
	for h := 5; h <= 9; h++ {
		b, _ := c.at(h)
		if _, err := v.Next(b.rollupBlock(alpha), c.now()); err != nil {
			t.Fatalf("block %d: %v", h, err)
		}
	}
	var calls int
	v = NewVerifier(alpha, trust, Options{})
	if err := v.Skip(t.Context(), 8, c.now, c.fetch(alpha, &calls)); err != nil || v.Height() != 9 || calls != 2 {
		t.Fatalf("skip from a trusted header: at %d, %d fetches, %v", v.Height(), calls, err)
	}
	wrong, err := TrustHeader(testChainID, 5, [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewVerifier(alpha, wrong, Options{}).Next(b.rollupBlock(alpha), c.now()); !errors.Is(err, ErrHeader) {
		t.Errorf("another hash: %v", err)
	}
	for _, bad := range []func() (Trust, error){
		func() (Trust, error) { return TrustHeader("", 5, [32]byte{1}) },
		func() (Trust, error) { return TrustHeader(testChainID, 0, [32]byte{1}) },
		func() (Trust, error) { return TrustHeader(testChainID, 1<<63, [32]byte{1}) },
		func() (Trust, error) { return TrustHeader(testChainID, 5, [32]byte{}) },
		func() (Trust, error) { return TrustCheckpoint(Checkpoint{}) },
	} {
		if trust, err := bad(); err == nil {
			t.Errorf("trusted %+v", trust)
		}
	}
}

func TestCheckpointRefusesDamage(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(2)
	v := verifierAt(t, c, alpha, 3)
	raw := v.Checkpoint().Encode()
	if cp, err := DecodeCheckpoint(raw); err != nil || cp.Height() != 2 || cp.ChainID() != testChainID {
		t.Fatalf("height %d: %v", cp.Height(), err)
	}
	if cp, err := DecodeCheckpoint(nil); err != nil || !cp.IsZero() || cp.Height() != 0 || len(cp.Encode()) != 0 {
		t.Errorf("no checkpoint: %v", err)
	}
	for n := 1; n < len(raw); n++ {
		if _, err := DecodeCheckpoint(raw[:n]); err == nil {
			t.Fatalf("%d of %d bytes decode", n, len(raw))
		}
	}
	raw[0]++
	if _, err := DecodeCheckpoint(raw); err == nil {
		t.Error("another version decodes")
	}
}

// TestLegsKnowTheirSiblings: each leg of a bundle tells of all of them, whether it is void or not,
// and what is handed on tells it again, without anything that was not verified.
func TestLegsKnowTheirSiblings(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	swap := bundle(1, txs(1, 2), gamma, alpha, beta)
	c.append([]*order.Bundle{bundle(1, txs(2, 1), alpha), swap})
	void := bundle(2, txs(3, 1), alpha, gamma)
	garbled := newTestBatch(2, 0, []*order.Bundle{void}).garble()
	garbled.void = true
	c.appendBatches([]*testBatch{garbled})
	for _, tc := range []struct {
		height, leg int
		bundle      *order.Bundle
		void        bool
	}{{1, 0, nil, false}, {1, 1, swap, false}, {2, 0, void, true}} {
		b, _ := c.at(tc.height)
		rb := b.rollupBlock(alpha)
		if doc := rb.Legs[tc.leg].Bundle; doc != nil {
			doc.ProtoReflect().SetUnknown([]byte{0xa0, 6, 1})
			doc.Legs[0].ProtoReflect().SetUnknown([]byte{0xa0, 6, 1})
		}
		got, err := verifierAt(t, c, alpha, tc.height).Next(rb, c.now())
		if err != nil {
			t.Fatal(err)
		}
		leg := got.Legs[tc.leg]
		if tc.bundle == nil {
			if leg.Siblings != nil || got.Proto.Legs[tc.leg].Bundle != nil {
				t.Errorf("a leg that is alone has siblings %v", leg.Siblings)
			}
			continue
		}
		if !slices.Equal(leg.Siblings, tc.bundle.Summaries()) || leg.Siblings[leg.LegIndex].RollupID != alpha || leg.Void != tc.void {
			t.Errorf("leg %+v of %v", leg, tc.bundle.Summaries())
		}
		if want := b.rollupBlock(alpha).Legs[tc.leg]; !proto.Equal(got.Proto.Legs[tc.leg].Bundle, want.Bundle) {
			t.Errorf("handed on is %v, want %v", got.Proto.Legs[tc.leg].Bundle, want.Bundle)
		}
	}
}

func TestBlockFinds(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(1)
	b, _ := c.at(1)
	block, err := NewVerifier(alpha, c.trust(t), Options{}).Next(b.rollupBlock(alpha), c.now())
	if err != nil {
		t.Fatal(err)
	}
	want := txs(12, 3)[1]
	got := block.Find(func(tx []byte) bool { return bytes.Equal(tx, want) })
	if len(got) != 1 || got[0] != (Position{Leg: 1, Index: 1, Offset: 3}) {
		t.Fatalf("found %+v", got)
	}
	if !bytes.Equal(block.Transactions()[got[0].Offset], want) || block.Legs[got[0].Leg].BundleIndex != 2 {
		t.Errorf("the position leads elsewhere")
	}
	if got := block.Find(func([]byte) bool { return false }); len(got) != 0 {
		t.Errorf("found %+v", got)
	}
}
