package follower

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	orderv1 "github.com/ordo-network/ordo/order/v1"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
)

func field(num protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), content)
}

// TestMessagesAreBoundedAsAWhole: what a message says in many parts, or again and again, is
// counted together, before anything is made of it.
func TestMessagesAreBoundedAsAWhole(t *testing.T) {
	t.Parallel()
	some := func(n int, one []byte) []byte { return bytes.Repeat(one, n) }
	transactions := field(fieldPartLegs, some(10_000, field(fieldLegTransactions, []byte{1})))
	holders := some(3, field(fieldPartVoidBatches, some(100, field(fieldVoidBatchHolders, nil))))
	for name, part := range map[string][]byte{
		"legs":         some(4000, field(fieldPartLegs, nil)),
		"transactions": transactions,
		"hashes":       some(10, field(fieldPartNamespaceProof, some(20, field(fieldNamespaceProofNodes, nil)))),
		"void batches": some(40, field(fieldPartVoidBatches, nil)),
		"holders":      holders,
	} {
		one := field(fieldBlocksParts, part)
		if err := (blockCodec{}).Unmarshal(one, new(sequencerv1.SubscribeBlocksResponse)); err != nil {
			t.Errorf("one part of %s: %v", name, err)
		}
		if err := (blockCodec{}).Unmarshal(some(1000, one), new(sequencerv1.SubscribeBlocksResponse)); !errors.Is(err, ErrMalformed) {
			t.Errorf("a thousand parts of %s: %v", name, err)
		}
	}
	// A sibling of a few bytes would take far more in memory, and a document may stand there twice.
	sibling := field(fieldDocLegs, make([]byte, minSiblingBytes))
	for name, tc := range map[string]struct {
		leg []byte
		ok  bool
	}{
		"all that a bundle may have": {field(fieldLegBundle, some(64, sibling)), true},
		"one more":                   {field(fieldLegBundle, some(65, sibling)), false},
		"more in two pieces":         {some(2, field(fieldLegBundle, some(33, sibling))), false},
		"a small one":                {field(fieldLegBundle, field(fieldDocLegs, make([]byte, minSiblingBytes-1))), false},
	} {
		if err := boundBlock(field(fieldBlockLegs, tc.leg)); (err == nil) != tc.ok || !tc.ok && !errors.Is(err, ErrMalformed) {
			t.Errorf("siblings, %s: %v", name, err)
		}
	}
	// A field that holds one message may stand there twice: then its lists are joined.
	block := field(1, some(4000, field(fieldBlockLegs, nil)))
	for name, m := range map[string]proto.Message{
		"SubscribeRollup": new(sequencerv1.SubscribeRollupResponse), "GetRollupBlock": new(sequencerv1.GetRollupBlockResponse),
		"SubscribeBlocks": new(sequencerv1.SubscribeBlocksResponse),
	} {
		if err := (blockCodec{}).Unmarshal(some(1000, block), m); !errors.Is(err, ErrMalformed) {
			t.Errorf("a block in a thousand pieces, %s: %v", name, err)
		}
	}
	if _, err := DecodeBlock(some(100, field(fieldBlockLegs, some(10_000, field(fieldLegTransactions, []byte{1}))))); err != nil {
		t.Errorf("a million transactions: %v", err)
	}
}

// TestGroupMessagesHaveRoom: every rollup of a group may have a proof as long as one alone may.
func TestGroupMessagesHaveRoom(t *testing.T) {
	t.Parallel()
	msg := new(sequencerv1.SubscribeBlocksResponse)
	for i := range MaxGroup {
		msg.Parts = append(msg.Parts, &sequencerv1.RollupPart{Index: uint32(i), NamespaceProof: &orderv1.NamespaceProof{
			Nodes: make([][]byte, 30), LeafHash: binary.BigEndian.AppendUint64(nil, uint64(i)),
		}})
	}
	raw, err := proto.Marshal(msg)
	if err != nil {
		t.Fatal(err)
	}
	if err := (blockCodec{}).Unmarshal(raw, new(sequencerv1.SubscribeBlocksResponse)); err != nil {
		t.Error(err)
	}
}
