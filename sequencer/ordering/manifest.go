package ordering

import (
	"bytes"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ordo-network/ordo/order"
)

// KindCertificates marks a transaction 1 that carries certificates. It keeps the
// manifest of a first block, which is empty, from being an empty transaction.
const KindCertificates = 0x02

// Bounds of a manifest. A block has lower ones, by the parameters of the chain.
const (
	maxManifestBytes        = 64 << 20
	maxManifestCertificates = 1 << 16
	// MaxExtensionBytes bounds one validator's vote extension: the tips of as many
	// lanes as there may be, and votes about claims.
	MaxExtensionBytes = order.MaxTips*(2+22+11+11) + order.MaxVoteBytes + 2*4
)

// Manifest is what a block carries of lanes, in transaction 1:
//
//	0x02 | { 1: repeated certificate, 2: extended commit }
//
// in the canonical encoding of package order. Certificates stand in canonical order.
type Manifest struct {
	Certificates []*order.Certificate
	// Votes is the commit of the height before, with what each of its validators says
	// that it holds. It is empty where that height had no vote extensions.
	Votes abci.ExtendedCommitInfo
}

// Encode returns transaction 1.
func (m *Manifest) Encode() ([]byte, error) {
	votes, err := m.Votes.Marshal()
	if err != nil {
		return nil, fmt.Errorf("encode extended commit: %w", err)
	}
	size := 1 + 1 + protowire.SizeBytes(len(votes))
	for _, c := range m.Certificates {
		size += CertificateSizeInManifest(c.Size())
	}
	out := append(make([]byte, 0, size), KindCertificates)
	for _, c := range m.Certificates {
		out = protowire.AppendTag(out, 1, protowire.BytesType)
		out = protowire.AppendBytes(out, c.Encode())
	}
	if len(votes) > 0 {
		out = protowire.AppendTag(out, 2, protowire.BytesType)
		out = protowire.AppendBytes(out, votes)
	}
	return out, nil
}

// CertificateSizeInManifest returns the bytes that a certificate of that encoded size
// adds to a manifest.
func CertificateSizeInManifest(size int) int { return 1 + protowire.SizeBytes(size) }

// DecodeManifest decodes transaction 1. It refuses whatever Encode would not write;
// signatures are not checked. Votes may alias raw.
// Errors: ErrLayout, order.ErrEncoding, order.ErrInvalid.
func DecodeManifest(raw []byte) (*Manifest, error) {
	if len(raw) == 0 || raw[0] != KindCertificates {
		return nil, fmt.Errorf("transaction 1 does not start with %#02x: %w", KindCertificates, ErrLayout)
	}
	if len(raw) > maxManifestBytes {
		return nil, fmt.Errorf("transaction 1 has %d bytes, at most %d: %w", len(raw), maxManifestBytes, order.ErrInvalid)
	}
	m := new(Manifest)
	rest := raw[1:]
	for {
		enc, after, ok, err := element(rest, 1)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(m.Certificates), err)
		}
		if !ok {
			break
		}
		if len(m.Certificates) == maxManifestCertificates {
			return nil, fmt.Errorf("more than %d certificates: %w", maxManifestCertificates, order.ErrInvalid)
		}
		c, err := order.DecodeCertificate(enc)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(m.Certificates), err)
		}
		m.Certificates, rest = append(m.Certificates, c), after
	}
	enc, after, ok, err := element(rest, 2)
	if err == nil && ok {
		err = m.decodeVotes(enc)
	}
	if err != nil {
		return nil, fmt.Errorf("extended commit: %w", err)
	}
	if len(after) > 0 {
		return nil, fmt.Errorf("%d bytes after the extended commit: %w", len(after), order.ErrEncoding)
	}
	return m, nil
}

// decodeVotes decodes CometBFT's own encoding, of which it takes one form: what the
// decoder skips over would be room for bytes that nobody answers for.
func (m *Manifest) decodeVotes(enc []byte) error {
	if err := m.Votes.Unmarshal(enc); err != nil {
		return fmt.Errorf("%w: %w", err, order.ErrEncoding)
	}
	again, err := m.Votes.Marshal()
	if err != nil {
		return fmt.Errorf("%w: %w", err, order.ErrEncoding)
	}
	if len(enc) == 0 || !bytes.Equal(enc, again) {
		return order.ErrEncoding
	}
	return nil
}

// element takes an element of field num off raw, if one comes next.
func element(raw []byte, num protowire.Number) (enc, after []byte, ok bool, err error) {
	tag := byte(protowire.EncodeTag(num, protowire.BytesType)) // of one byte, as num is below 16
	if len(raw) == 0 || raw[0] != tag {
		return nil, raw, false, nil
	}
	size, n := protowire.ConsumeVarint(raw[1:])
	if n < 0 || n != protowire.SizeVarint(size) {
		return nil, nil, false, fmt.Errorf("malformed length: %w", order.ErrEncoding)
	}
	raw = raw[1+n:]
	if size > uint64(len(raw)) {
		return nil, nil, false, fmt.Errorf("runs past the end: %w", order.ErrEncoding)
	}
	return raw[:size:size], raw[size:], true, nil
}
