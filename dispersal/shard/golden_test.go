package shard_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/ordo-network/ordo/dispersal/shard"
)

var update = flag.Bool("update", false, "write the test vectors in testdata anew")

// hexBytes is written as lower-case hex; 64-bit numbers are written as decimal
// strings, for not every language reads them from JSON numbers.
type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.AppendDecode(nil, text)
	return err
}

type (
	layoutVector struct {
		Name    string         `json:"name"`
		Holders []holderVector `json:"holders"` // as given, in any order
		N       int            `json:"n"`
		Data    int            `json:"data_shards"`
		Total   int            `json:"total_shards"`
		Digest  hexBytes       `json:"digest"`
	}
	holderVector struct {
		Key   hexBytes `json:"key"`
		Stake int64    `json:"stake,string"`
		First int      `json:"first"`
		Count int      `json:"count"`
	}
	batchVector struct {
		Layout    string     `json:"layout"`
		Seed      string     `json:"seed"` // the batch is SHA-256(seed || 0), SHA-256(seed || 1), ..., cut off
		Bytes     int        `json:"bytes"`
		ShardSize int        `json:"shard_size"`
		Shards    []hexBytes `json:"shards,omitempty"` // where they are small
		TreeRoot  hexBytes   `json:"tree_root"`
		Root      hexBytes   `json:"root"`
		Shares    []hexBytes `json:"shares,omitempty"` // encodings, a sample
	}
	shareVector struct {
		Name   string     `json:"name"`
		Answer string     `json:"answer"` // "encoding" or "share": each share is refused for that; "void": they rebuild to nothing
		Layout string     `json:"layout"`
		Bytes  int        `json:"bytes"`
		Root   hexBytes   `json:"root"`
		Shares []hexBytes `json:"shares"`
	}
)

func goldenLayouts() map[string][]shard.Holder {
	mixed := holders(40, 0, 7, 30, 23)
	mixed[0].Key, mixed[3].Key = []byte{0xff}, bytes.Repeat([]byte{0x01}, shard.MaxKeyBytes)
	return map[string][]shard.Holder{
		"alone": equal(1), "four": equal(4), "seven": equal(7), "mixed": mixed, "hundred": equal(100), "zipf40": zipf(40), "zipf150": zipf(150),
		"largest": holders(math.MaxInt64-2, 1, 1),
	}
}

func layoutVectors(t *testing.T) (out []layoutVector) {
	all := goldenLayouts()
	for _, name := range []string{"alone", "four", "seven", "mixed", "largest", "hundred", "zipf40", "zipf150"} {
		l := layout(t, all[name])
		digest := l.Digest()
		v := layoutVector{Name: name, N: l.N(), Data: l.DataShards(), Total: l.TotalShards(), Digest: digest[:]}
		for _, h := range all[name] {
			run := l.Range(h.Key)
			v.Holders = append(v.Holders, holderVector{h.Key, h.Stake, run.First, run.Count})
		}
		out = append(out, v)
	}
	return out
}

func batchVectors(t *testing.T) (out []batchVector) {
	for _, v := range []struct {
		layout string
		bytes  int
	}{
		{"alone", 5}, {"four", 1}, {"four", 2}, {"four", 33}, {"seven", 100}, {"mixed", 64}, {"largest", 10}, {"hundred", 1000},
		{"zipf40", 1}, {"zipf40", 5000}, {"zipf150", 100000},
	} {
		l := layout(t, goldenLayouts()[v.layout])
		c := encode(t, l, stream(v.layout, v.bytes))
		root, top := c.Root(), c.TreeRoot()
		b := batchVector{Layout: v.layout, Seed: v.layout, Bytes: v.bytes, ShardSize: l.ShardSize(v.bytes), TreeRoot: top[:], Root: root[:]}
		if l.TotalShards()*b.ShardSize < 1000 {
			for i := range l.TotalShards() {
				b.Shards = append(b.Shards, bytes.Clone(c.Shard(i)))
			}
		}
		last := l.TotalShards() - 1
		for _, run := range [][2]int{{0, 1}, {last / 2, min(2, l.N())}, {last, 1}} {
			if run[0]+run[1] <= l.TotalShards() {
				b.Shares = append(b.Shares, share(t, c, run[0], run[1]).Append(nil))
			}
		}
		out = append(out, b)
	}
	return out
}

func shareVectors(t *testing.T) (out []shareVector) {
	l := layout(t, goldenLayouts()["seven"])
	const size = 100
	c := encode(t, l, stream("seven", size))
	add := func(name, answer string, shares ...hexBytes) {
		root := c.Root()
		out = append(out, shareVector{name, answer, "seven", size, root[:], shares})
	}
	other := func(change func(*shard.Share)) hexBytes {
		s := share(t, c, 3, 1)
		s = &shard.Share{First: s.First, Shards: bytes.Clone(s.Shards), Proof: bytes.Clone(s.Proof)}
		change(s)
		return s.Append(nil)
	}
	good := other(func(*shard.Share) {})
	add("empty", "encoding", hexBytes{})
	add("index 0 is not left out", "encoding", append(hexBytes{0x08, 0x00}, good[2:]...))
	add("index with a byte too many", "encoding", append(hexBytes{0x08, 0x83, 0x00}, good[2:]...))
	add("index of 1024", "encoding", append(hexBytes{0x08, 0x80, 0x08}, good[2:]...))
	add("without shards", "encoding", good[:2])
	add("empty proof is not left out", "encoding", hexBytes{0x12, 0x01, 0x00, 0x1a, 0x00})
	add("proof of 33 bytes", "encoding", other(func(s *shard.Share) { s.Proof = append(s.Proof[:32:32], 0) }))
	add("a field more", "encoding", append(bytes.Clone(good), 0x20, 0x01))
	add("a bit of the shard", "share", other(func(s *shard.Share) { s.Shards[0] ^= 1 }))
	add("a bit of the proof", "share", other(func(s *shard.Share) { s.Proof[40] ^= 1 }))
	add("another index", "share", other(func(s *shard.Share) { s.First = 2 }))
	add("index out of bounds", "share", other(func(s *shard.Share) { s.First = 7 }))
	add("a node too few", "share", other(func(s *shard.Share) { s.Proof = s.Proof[:64] }))
	add("a node too many", "share", other(func(s *shard.Share) { s.Proof = append(s.Proof, s.Proof[:32]...) }))
	add("a byte too many", "share", other(func(s *shard.Share) { s.Shards = append(s.Shards, 0) }))

	single := func(indexes ...int) (shares []hexBytes) {
		for _, i := range indexes {
			shares = append(shares, share(t, c, i, 1).Append(nil))
		}
		return shares
	}
	c.Forge(size, func(s [][]byte) { s[6][0] ^= 1 }, func([]shard.Hash) {})
	add("shard 6 is not of the code, and among those at hand", "void", single(0, 4, 6)...)
	add("shard 6 is not of the code, and not at hand", "void", single(0, 1, 2)...)
	c = encode(t, l, stream("seven", size+1))
	c.Forge(size, func([][]byte) {}, func([]shard.Hash) {})
	add("a byte after the end is not zero", "void", single(1, 3, 5)...)
	return out
}

// golden compares made with the file, or writes it.
func golden[T any](t *testing.T, file string, made []T) []T {
	t.Helper()
	path := filepath.Join("testdata", file)
	want, err := json.MarshalIndent(made, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%s differs from what the code makes now. Published vectors change only with the format; if that is meant, run go test ./dispersal/shard -update", path)
	}
	var read []T
	if err := json.Unmarshal(got, &read); err != nil {
		t.Fatal(err)
	}
	return read
}

func TestVectors(t *testing.T) {
	t.Parallel()
	layouts := map[string]*shard.Layout{}
	for _, v := range golden(t, "layouts.json", layoutVectors(t)) {
		var h []shard.Holder
		for _, holder := range v.Holders {
			h = append(h, shard.Holder{Key: holder.Key, Stake: holder.Stake})
		}
		layouts[v.Name] = layout(t, h)
	}
	for _, v := range golden(t, "batches.json", batchVectors(t)) {
		for _, raw := range v.Shares {
			s, err := shard.DecodeShare(raw)
			if err != nil {
				t.Fatal(err)
			}
			if err := layouts[v.Layout].Verify(shard.Root(v.Root), v.Bytes, s); err != nil {
				t.Errorf("%s, %d bytes: %v", v.Layout, v.Bytes, err)
			}
		}
	}
	for _, v := range golden(t, "shares.json", shareVectors(t)) {
		var r shard.Rebuilder
		if err := r.Reset(layouts[v.Layout], shard.Root(v.Root), v.Bytes); err != nil {
			t.Fatal(err)
		}
		for _, raw := range v.Shares {
			s, err := shard.DecodeShare(raw)
			if v.Answer == "encoding" {
				if !errors.Is(err, shard.ErrEncoding) {
					t.Errorf("%s: %v", v.Name, err)
				}
				continue
			}
			if err != nil {
				t.Fatalf("%s: %v", v.Name, err)
			}
			if err := r.Add(s); (v.Answer == "share") != errors.Is(err, shard.ErrShare) {
				t.Errorf("%s: %v", v.Name, err)
			}
		}
		if _, err := r.Batch(); v.Answer == "void" && !errors.Is(err, shard.ErrVoid) {
			t.Errorf("%s: %v", v.Name, err)
		}
	}
}
