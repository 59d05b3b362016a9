package order

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Errors of a bundle's own form. State decides the rest: see DropReason.
var (
	// ErrInvalid is returned for a well-encoded bundle that breaks a rule or a bound.
	ErrInvalid = errors.New("invalid bundle")
	// ErrSignature is returned where a payer's, an owner's or a member's signature does not verify.
	ErrSignature = errors.New("signature does not verify")
)

const (
	bundleDomain     = "ordo/bundle/v1\x00"
	bundleLaneDomain = "ordo/bundle-lane/v1\x00"
)

// BundleID is the SHA-256 of a bundle's document. It covers the chain ID and all of
// the bundle but its signature, and so is the same in every lane.
type BundleID [32]byte

// String returns the ID in lower-case hex, without prefix.
func (id BundleID) String() string { return hex.EncodeToString(id[:]) }

// BundleIDFromBytes copies 32 bytes into a BundleID and refuses any other length.
func BundleIDFromBytes(b []byte) (BundleID, error) {
	var id BundleID
	if len(b) != len(id) {
		return id, fmt.Errorf("bundle ID has %d bytes, want %d", len(b), len(id))
	}
	copy(id[:], b)
	return id, nil
}

// SignBytes returns what the payer signs so that the owner's lane may carry the bundle.
// Whoever only saw the signature, in the batch header of one lane, cannot bring the
// bundle in by another one, where its data need not be.
func (id BundleID) SignBytes(lane Owner) []byte {
	return id.appendSignBytes(make([]byte, 0, len(bundleLaneDomain)+len(id)+len(lane)), lane)
}

func (id BundleID) appendSignBytes(b []byte, lane Owner) []byte {
	b = append(b, bundleLaneDomain...)
	b = append(b, id[:]...)
	return append(b, lane[:]...)
}

// Payer is an ed25519 public key; the account that pays is its Cosmos address.
type Payer [ed25519.PublicKeySize]byte

// Bundle is the atomic unit of ordering, signed by the account that pays for
// it. All legs are ordered next to each other, or none is.
type Bundle struct {
	Payer     Payer
	Expiry    uint64 // last height at which it may be ordered
	FeeLimit  uint64 // in uordo
	Legs      []Leg  // of distinct rollups, 1 to MaxLegs
	Signature [ed25519.SignatureSize]byte
}

// Sign sets the payer and the signature for one owner's lane on the chain. Signed again
// for another lane it remains the same bundle, which the chain orders once.
func (b *Bundle) Sign(chainID string, lane Owner, key ed25519.PrivateKey) {
	copy(b.Payer[:], key.Public().(ed25519.PublicKey))
	copy(b.Signature[:], ed25519.Sign(key, b.ID(chainID).SignBytes(lane)))
}

// Summaries hashes the legs.
func (b *Bundle) Summaries() []LegSummary {
	out := make([]LegSummary, len(b.Legs))
	for i := range b.Legs {
		out[i] = b.Legs[i].Summary()
	}
	return out
}

// Document returns what the ID is the hash of: the domain tag and the canonical
// encoding of BundleDoc. Legs stand there as summaries, so that the ID is known and
// a signature verified without their data.
func (b *Bundle) Document(chainID string) []byte {
	s := b.Summary()
	return s.Document(chainID)
}

// ID returns the bundle's ID on the chain.
func (b *Bundle) ID(chainID string) BundleID { return sha256.Sum256(b.Document(chainID)) }

// Validate checks the rules that need neither state nor signature.
// Errors: ErrInvalid.
func (b *Bundle) Validate() error {
	if len(b.Legs) == 0 {
		return fmt.Errorf("no legs: %w", ErrInvalid)
	}
	if len(b.Legs) > MaxLegs {
		return fmt.Errorf("%d legs, at most %d: %w", len(b.Legs), MaxLegs, ErrInvalid)
	}
	for i, leg := range b.Legs {
		if err := leg.validate(); err != nil {
			return fmt.Errorf("leg %d: %w", i, err)
		}
		for _, earlier := range b.Legs[:i] {
			if earlier.RollupID == leg.RollupID {
				return fmt.Errorf("leg %d: second leg for rollup %s: %w", i, leg.RollupID, ErrInvalid)
			}
		}
	}
	if n := b.Size(); n > MaxBundleBytes {
		return fmt.Errorf("%d bytes, at most %d: %w", n, MaxBundleBytes, ErrInvalid)
	}
	return nil
}

// Size returns the length of the canonical encoding, in bytes: what the payer pays for.
func (b *Bundle) Size() int {
	n := sizeBytes(1, len(b.Payer)) + sizeUint(2, b.Expiry) + sizeUint(3, b.FeeLimit)
	for _, leg := range b.Legs {
		n += sizeBytes(4, leg.size())
	}
	return n + sizeBytes(5, len(b.Signature))
}

// Encode returns the canonical encoding.
func (b *Bundle) Encode() []byte { return b.append(make([]byte, 0, b.Size())) }

func (b *Bundle) append(out []byte) []byte {
	out = appendBytes(out, 1, b.Payer[:])
	out = appendUint(out, 2, b.Expiry)
	out = appendUint(out, 3, b.FeeLimit)
	for _, leg := range b.Legs {
		out = protowire.AppendTag(out, 4, protowire.BytesType)
		out = protowire.AppendVarint(out, uint64(leg.size()))
		out = leg.append(out)
	}
	return appendBytes(out, 5, b.Signature[:])
}

// DecodeBundle decodes and validates a bundle. The result aliases raw. It does
// not check the signature. Errors: ErrEncoding, ErrInvalid.
func DecodeBundle(raw []byte) (*Bundle, error) {
	if len(raw) > MaxBundleBytes {
		return nil, fmt.Errorf("bundle of %d bytes, at most %d: %w", len(raw), MaxBundleBytes, ErrInvalid)
	}
	f := fields{buf: raw}
	b := new(Bundle)
	copy(b.Payer[:], f.bytes(1, len(b.Payer)))
	b.Expiry = f.uint(2)
	b.FeeLimit = f.uint(3)
	for {
		enc, ok := f.element(4)
		if !ok {
			break
		}
		if len(b.Legs) == MaxLegs {
			return nil, fmt.Errorf("more than %d legs: %w", MaxLegs, ErrInvalid)
		}
		leg, err := decodeLeg(enc)
		if err != nil {
			return nil, fmt.Errorf("decode leg %d: %w", len(b.Legs), err)
		}
		b.Legs = append(b.Legs, leg)
	}
	copy(b.Signature[:], f.bytes(5, len(b.Signature)))
	if err := f.end(); err != nil {
		return nil, fmt.Errorf("decode bundle: %w", err)
	}
	if err := b.Validate(); err != nil {
		return nil, err
	}
	return b, nil
}
