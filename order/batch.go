package order

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Batch is the list of bundles that one lane disperses together, in its order.
type Batch struct {
	Bundles []*Bundle
}

// Size returns the length of the canonical encoding, in bytes.
func (b *Batch) Size() int {
	n := 0
	for _, bundle := range b.Bundles {
		n += sizeBytes(1, bundle.Size())
	}
	return n
}

// BundleSizeInBatch returns the bytes that a bundle of that encoded size adds to a batch.
func BundleSizeInBatch(size int) int { return sizeBytes(1, size) }

// Encode returns the canonical encoding; an empty batch encodes to nothing.
func (b *Batch) Encode() []byte { return b.Append(make([]byte, 0, b.Size())) }

// Append appends the canonical encoding to out.
func (b *Batch) Append(out []byte) []byte {
	for _, bundle := range b.Bundles {
		out = protowire.AppendTag(out, 1, protowire.BytesType)
		out = protowire.AppendVarint(out, uint64(bundle.Size()))
		out = bundle.append(out)
	}
	return out
}

// DecodeBatch decodes and validates a batch. The result aliases raw. It does not
// check signatures. Errors: ErrEncoding, ErrInvalid.
func DecodeBatch(raw []byte) (*Batch, error) {
	if len(raw) > MaxBatchBytes {
		return nil, fmt.Errorf("batch of %d bytes, at most %d: %w", len(raw), MaxBatchBytes, ErrInvalid)
	}
	f := fields{buf: raw}
	batch := new(Batch)
	for {
		enc, ok := f.element(1)
		if !ok {
			break
		}
		if len(batch.Bundles) == MaxBatchBundles {
			return nil, fmt.Errorf("more than %d bundles: %w", MaxBatchBundles, ErrInvalid)
		}
		bundle, err := DecodeBundle(enc)
		if err != nil {
			return nil, fmt.Errorf("decode bundle %d: %w", len(batch.Bundles), err)
		}
		batch.Bundles = append(batch.Bundles, bundle)
	}
	if err := f.end(); err != nil {
		return nil, fmt.Errorf("decode batch: %w", err)
	}
	return batch, nil
}
