package astria

import (
	"crypto/sha256"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/ordo-network/ordo/execution"
	executionv2 "github.com/ordo-network/ordo/execution/astria/proto/astria/execution/v2"
	primitivev1 "github.com/ordo-network/ordo/execution/astria/proto/astria/primitive/v1"
	executionv1 "github.com/ordo-network/ordo/execution/astria/proto/ordo/execution/v1"
	"github.com/ordo-network/ordo/execution/terms"
)

// legs is a block of three legs: a plain one, one with terms, and one that hangs on
// another rollup's.
func legs() execution.Block {
	bytes := func(s ...string) (out [][]byte) {
		for _, x := range s {
			out = append(out, []byte(x))
		}
		return out
	}
	b := execution.Block{Time: time.Unix(1000, 5), Hash: sha256.Sum256([]byte("block"))}
	b.Transactions = slices.Concat(bytes("a", "b"),
		[][]byte{terms.Terms{MaxBlock: 5}.Encode()}, bytes("c"),
		[][]byte{terms.Terms{AllOrNothing: true}.Encode()}, bytes("d"), bytes("e"))
	one, two := sha256.Sum256([]byte("one")), sha256.Sum256([]byte("two"))
	b.Legs = []execution.Leg{
		{Bundle: one, Position: 3, Rollups: []execution.Hash{one}, Transactions: 2},
		{Bundle: two, Height: 9, Position: 4, Rollups: []execution.Hash{one}, Transactions: 2},
		{Bundle: one, Position: 5, Index: 1, Rollups: []execution.Hash{two, one}, Transactions: 2},
		{Bundle: two, Position: 6, Rollups: []execution.Hash{one}, Transactions: 1},
	}
	return b
}

func TestLegsThatAreKept(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		keepsTerms bool
		sent, kept []int
	}{
		{false, []int{0, 1, 6}, []int{2, 3, 4, 5}},
		{true, []int{0, 1, 2, 3, 6}, []int{4, 5}},
	} {
		b := legs()
		p, err := pack(b, test.keepsTerms)
		if err != nil {
			t.Fatal(err)
		}
		var kept []int
		for _, x := range p.kept {
			kept = append(kept, x.Index)
		}
		if !slices.Equal(p.index, test.sent) || !slices.Equal(kept, test.kept) {
			t.Errorf("keeps terms %v: sent %v, kept %v, want %v and %v", test.keepsTerms, p.index, kept, test.sent, test.kept)
		}
		got, err := decodeRequest(p.request)
		if err != nil {
			t.Fatal(err)
		}
		for i, at := range test.sent {
			if string(got.Transactions[i]) != string(b.Transactions[at]) {
				t.Errorf("transaction %d came as %q", at, got.Transactions[i])
			}
		}
		// What the service skips is told in the block's own order.
		skipped, err := p.skipped([]*executionv1.Skipped{{Index: 0, Reason: "bad"}, {Index: uint32(len(test.sent) - 1)}})
		if err != nil {
			t.Fatal(err)
		}
		want := slices.Concat([]int{0}, test.kept, []int{6})
		for i, x := range skipped {
			if x.Index != want[i] || x.Reason == "" {
				t.Errorf("skipped %+v, want %v with reasons", skipped, want)
				break
			}
		}
	}
}

func TestRequestsKeepBlocks(t *testing.T) {
	t.Parallel()
	b := legs()
	b.Transactions, b.Legs = b.Transactions[:4], b.Legs[:2]
	for _, want := range []execution.Block{b, {Time: b.Time, Hash: b.Hash, Transactions: b.Transactions}, {Time: b.Time, Hash: b.Hash}} {
		p, err := pack(want, true)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeRequest(p.request)
		if err != nil {
			t.Fatal(err)
		}
		if want.Time = want.Time.UTC(); !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	together := b
	together.Legs = slices.Clone(b.Legs)
	together.Legs[1].Verdict, together.Legs[1].Reason = execution.Refuse, "the other leg reverts"
	if p, err := pack(together, true); err != nil || len(p.kept) != 2 || p.kept[0].Reason != "leg not applied: the other leg reverts" {
		t.Errorf("a leg that is refused: kept %+v, %v", p.kept, err)
	}
	together.Legs[1].Verdict = execution.Apply
	if _, err := pack(together, true); err == nil {
		t.Error("a leg that is to be applied with others: want an error")
	}
	for _, n := range []int{1, 3, -1} {
		wrong := b
		wrong.Legs = []execution.Leg{b.Legs[0], {Transactions: n}}
		if _, err := pack(wrong, true); err == nil {
			t.Errorf("legs of 2 and %d transactions for a block of 4: want an error", n)
		}
	}
}

func TestHashOf(t *testing.T) {
	t.Parallel()
	const name = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"
	want := execution.Hash{0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}
	copy(want[16:], want[:16])
	for _, s := range []string{name, "0x" + name} {
		if got := hashOf(s); got != want {
			t.Errorf("%s is %x", s, got)
		}
	}
	if hashOf("0x12") == hashOf("12") || hashOf("a") == hashOf("b") {
		t.Error("two names have one hash")
	}
}

// FuzzSession: whatever a service says of a session is taken whole or refused.
func FuzzSession(f *testing.F) {
	meta := &executionv2.ExecutedBlockMetadata{Number: 3, Hash: "0x12", ParentHash: "0x13", Timestamp: timestamppb.New(time.Unix(5, 0))}
	good, err := proto.Marshal(&executionv2.ExecutionSession{
		SessionId: "1", ExecutionSessionParameters: &executionv2.ExecutionSessionParameters{
			RollupId: &primitivev1.RollupId{Inner: make([]byte, 32)}, RollupStartBlockNumber: 1, SequencerStartBlockHeight: 7, RollupEndBlockNumber: 9,
		},
		CommitmentState: &executionv2.CommitmentState{SoftExecutedBlockMetadata: meta, FirmExecutedBlockMetadata: meta},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-3])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := new(executionv2.ExecutionSession)
		if proto.Unmarshal(raw, m) != nil {
			return
		}
		c := &Client{cfg: Config{RollupID: execution.Hash(make([]byte, 32)), ChainID: m.GetExecutionSessionParameters().GetSequencerChainId()}}
		s, err := c.decodeSession(m)
		if err != nil {
			return
		}
		if s.firm.head.Number > s.soft.head.Number || s.soft.head.Number+1 < s.parameters.StartNumber {
			t.Errorf("took soft %+v and firm %+v of %+v", s.soft.head, s.firm.head, s.parameters)
		}
		if next := s.parameters.Height(s.soft.head.Number + 1); next != s.soft.head.Height+1 {
			t.Errorf("soft is of height %d, the next block of %d", s.soft.head.Height, next)
		}
	})
}

// FuzzRequest: what a server takes, a node may have sent.
func FuzzRequest(f *testing.F) {
	for _, keeps := range []bool{true, false} {
		p, err := pack(legs(), keeps)
		if err != nil {
			f.Fatal(err)
		}
		raw, err := proto.Marshal(p.request)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
		f.Add(raw[:len(raw)/2])
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := new(executionv2.ExecuteBlockRequest)
		if proto.Unmarshal(raw, m) != nil {
			return
		}
		b, err := decodeRequest(m)
		if err != nil {
			return
		}
		p, err := pack(b, true)
		if err != nil {
			t.Fatalf("pack what was decoded: %v", err)
		}
		if len(p.index)+len(p.kept) != len(b.Transactions) {
			t.Errorf("%d transactions sent and %d kept of %d", len(p.index), len(p.kept), len(b.Transactions))
		}
		if _, err := decodeRequest(p.request); err != nil {
			t.Errorf("decode what was packed: %v", err)
		}
	})
}

// Anybody can have more ordered for a rollup than its service reads.
func TestRequestsFit(t *testing.T) {
	t.Parallel()
	const most = 4 << 20 // of a gRPC server by default
	id := sha256.Sum256([]byte("id"))
	far := execution.Leg{Bundle: id, Index: 63, Position: math.MaxInt32, Height: math.MaxInt64, Rollups: slices.Repeat([]execution.Hash{id}, 64), Transactions: 1}
	large, small := make([]byte, 1<<20), make([]byte, 10)
	blocks := map[string]execution.Block{"large": {}, "small": {}, "no legs": {}}
	for name, x := range map[string]struct {
		tx []byte
		n  int
	}{"large": {large, 5}, "small": {small, 5000}, "no legs": {small, 200_000}} {
		b := execution.Block{Time: time.Unix(math.MaxInt32, 999_999_999), Hash: id, Transactions: slices.Repeat([][]byte{x.tx}, x.n)}
		if name != "no legs" {
			b.Legs = slices.Repeat([]execution.Leg{far}, x.n)
			b.Transactions, b.Legs = append(b.Transactions, []byte("last")), append(b.Legs, execution.Leg{Bundle: id, Transactions: 1})
		}
		blocks[name] = b
	}
	for name, b := range blocks {
		p, err := pack(b, true)
		if err != nil {
			t.Fatal(err)
		}
		p.request.SessionId, p.request.ParentHash = strings.Repeat("s", maxNameBytes), strings.Repeat("p", maxNameBytes)
		if n := proto.Size(p.request); n > most {
			t.Errorf("%s: the request has %d bytes, the service reads %d", name, n, most)
		}
		if len(p.kept) == 0 || len(p.kept)+len(p.index) != len(b.Transactions) {
			t.Errorf("%s: %d transactions are sent and %d are not, of %d", name, len(p.index), len(p.kept), len(b.Transactions))
		}
		for _, x := range p.kept {
			if x.Reason != noRoom || !x.Retry {
				t.Fatalf("%s: %+v was skipped, want %q, and that it may be sent again", name, x, noRoom)
			}
		}
		// What is too large leaves the room to those behind it.
		if name == "large" && !slices.Equal(p.index, []int{0, 1, 2, 5}) {
			t.Errorf("sent %v, want the first three and the small one behind", p.index)
		}
	}
}

// What takes part in a block is the same on all nodes, of all versions: with another bound
// they would make other blocks.
func TestRoomIsARule(t *testing.T) {
	t.Parallel()
	const room = 4<<20 - 4<<10 // docs/spec/execution.md, section 5
	rollups := make([]execution.Hash, 2)
	for size, sent := range map[int]bool{room - 16 - 80 - 2*40: true, room - 16 - 80 - 2*40 + 1: false} {
		p, err := pack(execution.Block{Transactions: [][]byte{make([]byte, size)}, Legs: []execution.Leg{{Rollups: rollups, Transactions: 1}}}, true)
		if err != nil || (len(p.index) == 1) != sent {
			t.Errorf("a leg of %d bytes: %d transactions are sent, %v", size, len(p.index), err)
		}
	}
}
