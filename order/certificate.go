package order

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

const (
	attestationDomain = "ordo/attestation/v1\x00"
	certificateDomain = "ordo/certificate/v1\x00"
)

// AttestationSignBytes returns what a validator signs when its shards of the batch
// are on its disk and its clock shows that many milliseconds since the Unix epoch.
func AttestationSignBytes(chainID string, p Position, id BatchID, clock uint64) []byte {
	return appendAttestationSignBytes(make([]byte, 0, 160), chainID, p, id, clock)
}

func appendAttestationSignBytes(b []byte, chainID string, p Position, id BatchID, clock uint64) []byte {
	b = append(b, attestationDomain...)
	b = appendString(b, 1, chainID)
	b = p.append(b, 2)
	b = appendBytes(b, 5, id[:])
	return appendUint(b, 6, clock)
}

// Attestation is a committee member's word that its shards of a batch are on disk,
// and when.
type Attestation struct {
	Member    uint32 // index in the committee
	Clock     uint64 // in milliseconds since the Unix epoch
	Signature [ed25519.SignatureSize]byte
}

func (a *Attestation) size() int {
	return sizeUint(1, uint64(a.Member)+1) + sizeUint(2, a.Clock) + sizeBytes(3, len(a.Signature))
}

func (a *Attestation) append(b []byte) []byte {
	b = appendUint(b, 1, uint64(a.Member)+1) // no field stands at its default value
	b = appendUint(b, 2, a.Clock)
	return appendBytes(b, 3, a.Signature[:])
}

// Encode returns the canonical encoding.
func (a *Attestation) Encode() []byte { return a.append(make([]byte, 0, a.size())) }

// DecodeAttestation decodes an attestation. Errors: ErrEncoding, ErrInvalid.
func DecodeAttestation(raw []byte) (Attestation, error) {
	f := fields{buf: raw}
	var a Attestation
	member := f.uint(1)
	a.Clock = f.uint(2)
	copy(a.Signature[:], f.bytes(3, len(a.Signature)))
	if err := f.end(); err != nil {
		return a, fmt.Errorf("decode attestation: %w", err)
	}
	if member == 0 || member > MaxMembers {
		return a, fmt.Errorf("attestation of member %d, want 1 to %d: %w", member, MaxMembers, ErrInvalid)
	}
	a.Member = uint32(member - 1)
	return a, nil
}

// Certificate shows that more than two thirds of a committee's stake hold a batch.
// The owner of the lane signs which attestations it is made of, so that nobody
// moves the order time by leaving some out.
type Certificate struct {
	Header       BatchHeader
	Attestations []Attestation // by ascending member
	Signature    [ed25519.SignatureSize]byte
}

// SignBytes returns what the lane's owner signs.
func (c *Certificate) SignBytes(id BatchID) []byte {
	sum := sha256.New()
	var scratch []byte
	for i := range c.Attestations {
		scratch = c.appendAttestation(scratch[:0], i)
		sum.Write(scratch)
	}
	b := append(make([]byte, 0, 96), certificateDomain...)
	b = append(b, id[:]...)
	return sum.Sum(b)
}

// Sign signs the certificate for the chain with the owner's attestation key.
func (c *Certificate) Sign(chainID string, key ed25519.PrivateKey) {
	copy(c.Signature[:], ed25519.Sign(key, c.SignBytes(c.Header.ID(chainID))))
}

// Size returns the length of the canonical encoding, in bytes.
func (c *Certificate) Size() int {
	n := sizeBytes(1, c.Header.Size())
	for i := range c.Attestations {
		n += sizeBytes(2, c.Attestations[i].size())
	}
	return n + sizeBytes(3, len(c.Signature))
}

// Encode returns the canonical encoding.
func (c *Certificate) Encode() []byte {
	b := protowire.AppendTag(make([]byte, 0, c.Size()), 1, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(c.Header.Size()))
	b = c.Header.append(b)
	for i := range c.Attestations {
		b = c.appendAttestation(b, i)
	}
	return appendBytes(b, 3, c.Signature[:])
}

func (c *Certificate) appendAttestation(b []byte, i int) []byte {
	a := &c.Attestations[i]
	b = protowire.AppendTag(b, 2, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(a.size()))
	return a.append(b)
}

// Hash returns the SHA-256 of the canonical encoding.
func (c *Certificate) Hash() Digest { return sha256.Sum256(c.Encode()) }

// DecodeCertificate decodes and validates a certificate; signatures and stake are
// for Committee.Verify. It keeps nothing of raw. Errors: ErrEncoding, ErrInvalid.
func DecodeCertificate(raw []byte) (*Certificate, error) {
	if len(raw) > MaxCertificateBytes {
		return nil, fmt.Errorf("certificate of %d bytes, at most %d: %w", len(raw), MaxCertificateBytes, ErrInvalid)
	}
	f := fields{buf: raw}
	c := new(Certificate)
	enc, _ := f.element(1)
	n := f.count(2, MaxMembers)
	if n > MaxMembers {
		return nil, fmt.Errorf("more than %d attestations: %w", MaxMembers, ErrInvalid)
	}
	c.Attestations = make([]Attestation, n)
	for i := range c.Attestations {
		raw, _ := f.element(2)
		a, err := DecodeAttestation(raw)
		if err != nil {
			return nil, err
		}
		if i > 0 && a.Member <= c.Attestations[i-1].Member {
			return nil, fmt.Errorf("attestation of member %d after that of member %d: %w", a.Member, c.Attestations[i-1].Member, ErrInvalid)
		}
		c.Attestations[i] = a
	}
	copy(c.Signature[:], f.bytes(3, len(c.Signature)))
	if err := f.end(); err != nil {
		return nil, fmt.Errorf("decode certificate: %w", err)
	}
	h, err := DecodeBatchHeader(enc)
	if err != nil {
		return nil, err
	}
	c.Header = *h
	return c, nil
}
