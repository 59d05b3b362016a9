package follower

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	cmttypes "github.com/cometbft/cometbft/types"
	"google.golang.org/protobuf/proto"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// ownChain is what a validator knows: a testChain up to a height.
type ownChain struct {
	*testChain
	id     string
	first  uint64
	height uint64
}

func (c ownChain) ChainID() string { return c.id }

func (c ownChain) Hash(height uint64) ([32]byte, bool) {
	if height < c.first || height > c.height {
		return [32]byte{}, false
	}
	b, _ := c.at(int(height))
	return [32]byte(b.header.Hash()), true
}

func own(c *testChain) ownChain { return ownChain{c, testChainID, 1, uint64(c.height())} }

func TestCheckBlob(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(5)
	c.append(nil, testValidators(2, 4)...)
	c.append([]*order.Bundle{bundle(7, [][]byte{randomBytes(1, 900_000), randomBytes(2, 700_000)}, alpha)})
	c.grow(5)
	whole := c.blob(t, 2, 11)
	parts, err := SplitBlob(whole, 400_000)
	if err != nil || len(parts) < 4 {
		t.Fatalf("%d parts: %v", len(parts), err)
	}
	shuffled := slices.Clone(parts)
	slices.Reverse(shuffled)
	for name, p := range map[string][][]byte{"whole": {whole}, "parts": parts, "any order": shuffled} {
		if err := CheckBlob(p, alpha, 2, 11, own(c)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	fork := newTestChain(testValidators(0, 4))
	fork.append(nil)
	fork.grow(12)
	bare := func() []byte { // its first run lacks the set
		var run []*signedBlock
		for _, rb := range c.rollupBlocks(alpha, 2, 5) {
			s, err := openSigned(rb)
			if err != nil {
				t.Fatal(err)
			}
			run = append(run, s)
		}
		body, err := appendRun(bytes.Clone(alpha[:]), run, run[0].header.ValidatorsHash)
		if err != nil {
			t.Fatal(err)
		}
		return blobOf(t, 2, 4, body)
	}()
	altered := func(at int, alter func(h *cmttypes.Header, b *signedBlock)) []byte {
		return c.altered(t, 2, 5, func(height int, h *cmttypes.Header, b *signedBlock) {
			if height == at {
				alter(h, b)
			}
		})
	}
	other, err := SplitBlob(c.blob(t, 1, 11), 400_000)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		parts    [][]byte
		rollup   order.RollupID
		from, to uint64
		chain    Chain
		want     error
	}{
		"garbage":            {[][]byte{noise(1000)}, alpha, 2, 5, own(c), ErrFalseClaim},
		"nothing":            {nil, alpha, 2, 5, own(c), ErrFalseClaim},
		"longer claim":       {[][]byte{whole}, alpha, 2, 12, own(c), ErrFalseClaim},
		"shorter claim":      {[][]byte{whole}, alpha, 2, 10, own(c), ErrFalseClaim},
		"later claim":        {[][]byte{whole}, alpha, 3, 11, own(c), ErrFalseClaim},
		"another rollup's":   {[][]byte{whole}, gamma, 2, 11, own(c), ErrFalseClaim},
		"a part is missing":  {parts[1:], alpha, 2, 11, own(c), ErrFalseClaim},
		"a part twice":       {append(slices.Clone(parts[1:]), parts[1]), alpha, 2, 11, own(c), ErrFalseClaim},
		"another set's part": {append(slices.Clone(parts[1:]), other[0]), alpha, 2, 11, own(c), ErrFalseClaim},
		"a part and a blob":  {[][]byte{whole, parts[0]}, alpha, 2, 11, own(c), ErrFalseClaim},
		"another chain's":    {[][]byte{fork.blob(t, 2, 11)}, alpha, 2, 11, own(c), ErrFalseClaim},
		"no set":             {[][]byte{bare}, alpha, 2, 5, own(c), ErrFalseClaim},
		"altered header":     {[][]byte{altered(3, func(h *cmttypes.Header, _ *signedBlock) { h.AppHash = hash32("evil") })}, alpha, 2, 5, own(c), ErrFalseClaim},
		"altered leg":        {[][]byte{altered(5, func(_ *cmttypes.Header, b *signedBlock) { b.Legs[0].Transactions[0][0] ^= 1 })}, alpha, 2, 5, own(c), ErrFalseClaim},
		"hidden legs":        {[][]byte{altered(4, func(_ *cmttypes.Header, b *signedBlock) { b.Legs, b.NamespaceProof = nil, nil })}, alpha, 2, 5, own(c), ErrFalseClaim},
		"no signatures": {[][]byte{altered(5, func(h *cmttypes.Header, b *signedBlock) {
			b.commit = signCommit(h, validatorSet(testValidators(0, 4)), nil).ToProto()
		})}, alpha, 2, 5, own(c), ErrFalseClaim},
		"forged signatures": {[][]byte{altered(5, func(_ *cmttypes.Header, b *signedBlock) {
			for i := range b.commit.Signatures {
				b.commit.Signatures[i].Signature[5] ^= 1
			}
		})}, alpha, 2, 5, own(c), ErrFalseClaim},
		"not there yet":  {[][]byte{whole}, alpha, 2, 11, ownChain{c, testChainID, 1, 10}, ErrUnknownBlock},
		"pruned already": {[][]byte{whole}, alpha, 2, 11, ownChain{c, testChainID, 3, 12}, ErrUnknownBlock},
	} {
		err := CheckBlob(tc.parts, tc.rollup, tc.from, tc.to, tc.chain)
		if !errors.Is(err, tc.want) || errors.Is(err, ErrFalseClaim) != errors.Is(tc.want, ErrFalseClaim) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

// TestCheckBlobTakesVoidsByProof: a claim holds where legs are void, with the proof.
func TestCheckBlobTakesVoidsByProof(t *testing.T) {
	t.Parallel()
	c, b := voidChain()
	first, _ := c.at(1)
	good, err := EncodeBlob([]*orderv1.RollupBlock{first.rollupBlock(alpha), b.honest(alpha)})
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckBlob([][]byte{good}, alpha, 1, 2, own(c)); err != nil {
		t.Error(err)
	}
	hidden := proto.CloneOf(b.honest(alpha))
	hidden.VoidBatches = nil
	bad, err := EncodeBlob([]*orderv1.RollupBlock{first.rollupBlock(alpha), hidden})
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckBlob([][]byte{bad}, alpha, 1, 2, own(c)); !errors.Is(err, ErrFalseClaim) || !errors.Is(err, ErrVoid) {
		t.Error(err)
	}
}

// TestCommitsAreCheckedOnce: a thousand rollups' blobs of the same blocks cost one check of
// signatures. It must not run beside others: they share the memory of commits.
func TestCommitsAreCheckedOnce(t *testing.T) {
	c := newTestChain(testValidators(50, 4))
	c.append(nil)
	before := commits.checks // other in each run of the test, and so is the block
	c.append([]*order.Bundle{bundle(2, txs(before, 1), alpha)})
	for i := range 1000 {
		id := order.NewRollupID(fmt.Sprint("rollup ", i))
		raw, err := EncodeBlob(c.rollupBlocks(id, 1, 2))
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckBlob([][]byte{raw}, id, 1, 2, own(c)); err != nil {
			t.Fatal(err)
		}
	}
	if n := commits.checks - before; n != 1 {
		t.Errorf("%d commits were checked, want 1", n)
	}
}
