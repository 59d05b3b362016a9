package order

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// VoteExtension is what a validator says with its vote.
type VoteExtension struct {
	Tips []Tip // by owner, at most one for each
	// Confirmed and Denied are the claims of what is on DA layers that the validator
	// found to be true, and those that it found to be false, by number, ascending. No
	// number is in both, and there are at most MaxVotes.
	Confirmed, Denied []uint64
}

// Encode returns the canonical encoding. What says nothing encodes to nothing.
func (v *VoteExtension) Encode() []byte {
	b := EncodeTips(v.Tips)
	b = appendVotes(b, 2, v.Confirmed)
	return appendVotes(b, 3, v.Denied)
}

func appendVotes(b []byte, num protowire.Number, numbers []uint64) []byte {
	if len(numbers) == 0 {
		return b
	}
	var packed []byte
	var before uint64
	for _, n := range numbers {
		packed = protowire.AppendVarint(packed, n-before)
		before = n
	}
	return appendBytes(b, num, packed)
}

// DecodeVoteExtension decodes what Encode writes. Errors: ErrEncoding, ErrInvalid.
func DecodeVoteExtension(raw []byte) (*VoteExtension, error) {
	f := fields{buf: raw}
	tips, err := f.tips()
	if err != nil {
		return nil, err
	}
	v := &VoteExtension{Tips: tips}
	confirmed, denied := f.votes(2), f.votes(3)
	if err := f.end(); err != nil {
		return nil, fmt.Errorf("decode vote extension: %w", err)
	}
	if n := len(confirmed) + len(denied); n > MaxVoteBytes {
		return nil, fmt.Errorf("votes have %d bytes, at most %d: %w", n, MaxVoteBytes, ErrInvalid)
	}
	if v.Confirmed, err = numbers(confirmed, MaxVotes); err != nil {
		return nil, fmt.Errorf("decode what is confirmed: %w", err)
	}
	if v.Denied, err = numbers(denied, MaxVotes-len(v.Confirmed)); err != nil {
		return nil, fmt.Errorf("decode what is denied: %w", err)
	}
	for i, j := 0, 0; i < len(v.Confirmed) && j < len(v.Denied); {
		switch a, b := v.Confirmed[i], v.Denied[j]; {
		case a == b:
			return nil, fmt.Errorf("claim %d is confirmed and denied: %w", a, ErrInvalid)
		case a < b:
			i++
		default:
			j++
		}
	}
	return v, nil
}

// votes reads packed numbers; absent means none.
func (f *fields) votes(num protowire.Number) []byte {
	packed, ok := f.element(num)
	if ok && len(packed) == 0 {
		f.fail(num, "default value")
	}
	return packed
}

// numbers unpacks at most so many ascending numbers.
func numbers(packed []byte, most int) ([]uint64, error) {
	var out []uint64
	var before uint64
	for len(packed) > 0 {
		gap, n := protowire.ConsumeVarint(packed)
		if n < 0 || n != protowire.SizeVarint(gap) {
			return nil, fmt.Errorf("malformed number: %w", ErrEncoding)
		}
		packed = packed[n:]
		next := before + gap
		if next <= before {
			return nil, fmt.Errorf("number %d is not above the one before: %w", len(out), ErrInvalid)
		}
		if len(out) == most {
			return nil, fmt.Errorf("more than %d numbers: %w", MaxVotes, ErrInvalid)
		}
		out, before = append(out, next), next
	}
	return out, nil
}
