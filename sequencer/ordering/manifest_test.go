package ordering_test

import (
	"bytes"
	"slices"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

func manifest(t require.TestingT) *ordering.Manifest {
	g := newGroup(t, 0)
	return &ordering.Manifest{
		Certificates: []*order.Certificate{
			g.certify(0, mark(1, 1), 5, bundle(0, 20, "a"), bundle(1, 20, "b")), g.certify(1, mark(1, 1), 6, bundle(2, 20, "c")),
		},
		Votes: abci.ExtendedCommitInfo{Round: 2, Votes: []abci.ExtendedVoteInfo{
			{
				Validator: abci.Validator{Address: bytes.Repeat([]byte{1}, 20), Power: 10}, BlockIdFlag: cmtproto.BlockIDFlagCommit,
				VoteExtension:      order.EncodeTips([]order.Tip{{Owner: order.Owner{1}, Mark: mark(1, 1)}}),
				ExtensionSignature: bytes.Repeat([]byte{2}, 64),
			},
			{Validator: abci.Validator{Address: bytes.Repeat([]byte{2}, 20), Power: 5}, BlockIdFlag: cmtproto.BlockIDFlagAbsent},
		}},
	}
}

func encode(t require.TestingT, m *ordering.Manifest) []byte {
	raw, err := m.Encode()
	require.NoError(t, err)
	return raw
}

func TestManifest(t *testing.T) {
	m := manifest(t)
	raw := encode(t, m)
	got, err := ordering.DecodeManifest(raw)
	require.NoError(t, err)
	require.Equal(t, m, got)
	size := len(encode(t, &ordering.Manifest{Votes: m.Votes}))
	for _, c := range m.Certificates {
		size += ordering.CertificateSizeInManifest(c.Size())
	}
	require.Equal(t, len(raw), size)

	empty := encode(t, new(ordering.Manifest))
	require.Equal(t, []byte{ordering.KindCertificates}, empty)
	got, err = ordering.DecodeManifest(empty)
	require.NoError(t, err)
	require.Equal(t, new(ordering.Manifest), got)
}

func TestManifestIsCanonical(t *testing.T) {
	m := manifest(t)
	raw := encode(t, m)
	votes, err := m.Votes.Marshal()
	require.NoError(t, err)
	certificates := encode(t, &ordering.Manifest{Certificates: m.Certificates})
	with := func(tail ...byte) []byte { return append(bytes.Clone(certificates), tail...) }
	field := func(num protowire.Number, b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), b)
	}
	for name, tc := range map[string]struct {
		raw []byte
		err error
	}{
		"nothing":              {nil, ordering.ErrLayout},
		"another kind":         {append([]byte{0x01}, raw[1:]...), ordering.ErrLayout},
		"cut off":              {raw[:len(raw)-1], order.ErrEncoding},
		"bytes after":          {append(bytes.Clone(raw), 0), order.ErrEncoding},
		"empty votes":          {with(field(2, nil)...), order.ErrEncoding},
		"votes twice":          {append(bytes.Clone(raw), field(2, votes)...), order.ErrEncoding},
		"votes first":          {append(append([]byte{2}, field(2, votes)...), certificates[1:]...), order.ErrEncoding},
		"unknown field":        {with(field(3, votes)...), order.ErrEncoding},
		"unknown field inside": {with(field(2, append(bytes.Clone(votes), field(9, []byte("x"))...))...), order.ErrEncoding},
		"junk inside":          {with(field(2, []byte("junk"))...), order.ErrEncoding},
		"default inside":       {with(field(2, append(bytes.Clone(votes), 0x08, 0x00))...), order.ErrEncoding},
		"long length":          {slices.Concat([]byte{2, 0x12, byte(len(votes)) | 0x80, byte(len(votes)>>7) | 0x80, 0}, votes), order.ErrEncoding},
		"claims much":          {append([]byte{2, 0x0a}, protowire.AppendVarint(nil, 1<<63)...), order.ErrEncoding},
		"empty certificate":    {append([]byte{2}, field(1, nil)...), order.ErrEncoding},
	} {
		_, err := ordering.DecodeManifest(tc.raw)
		require.ErrorIs(t, err, tc.err, name)
	}
}

// Whatever is done to a manifest, what still decodes is another manifest in its one form.
func TestAlteredManifest(t *testing.T) {
	good := encode(t, manifest(t))
	rapid.Check(t, func(t *rapid.T) {
		raw := bytes.Clone(good)
		for range rapid.IntRange(1, 3).Draw(t, "edits") {
			at := rapid.IntRange(0, len(raw)-1).Draw(t, "at")
			switch rapid.IntRange(0, 2).Draw(t, "edit") {
			case 0:
				raw[at] = rapid.Byte().Draw(t, "byte")
			case 1:
				raw = slices.Delete(raw, at, at+1)
			case 2:
				raw = slices.Insert(raw, at, rapid.SliceOfN(rapid.Byte(), 1, 4).Draw(t, "bytes")...)
			}
		}
		if m, err := ordering.DecodeManifest(raw); err == nil {
			require.Equal(t, raw, encode(t, m))
		}
	})
}

func FuzzDecodeManifest(f *testing.F) {
	m := manifest(f)
	f.Add([]byte{})
	f.Add(encode(f, new(ordering.Manifest)))
	f.Add(encode(f, m))
	f.Add(encode(f, &ordering.Manifest{Certificates: m.Certificates[:1]}))
	f.Add(encode(f, &ordering.Manifest{Votes: m.Votes}))
	f.Add(append([]byte{2}, bytes.Repeat([]byte{0x0a, 0x00}, 100)...))
	f.Add([]byte{2, 0x12, 0x02, 0x08, 0x01})
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := ordering.DecodeManifest(raw)
		if err != nil {
			return
		}
		require.Equal(t, raw, encode(t, m), "one encoding for each manifest")
		// What decodes can be evaluated, whatever it says.
		_, _ = newGroup(t, 0).rules(1).Evaluate(m.Certificates, nil)
	})
}
