package order

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Tip says up to where in a lane a validator holds certificates without gap.
type Tip struct {
	Owner Owner
	Mark
}

func (t Tip) position() Position { return Position(t) }

// EncodeTips returns the canonical encoding of tips that are sorted by owner, no two
// of one lane. No tips encode to nothing.
func EncodeTips(tips []Tip) []byte {
	var b []byte
	for _, t := range tips {
		p := t.position()
		b = protowire.AppendTag(b, 1, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(sizeBytes(1, len(p.Owner))+sizeUint(2, p.Session)+sizeUint(3, p.Sequence)))
		b = p.append(b, 1)
	}
	return b
}

// DecodeTips decodes what EncodeTips writes. Errors: ErrEncoding, ErrInvalid.
func DecodeTips(raw []byte) ([]Tip, error) {
	f := fields{buf: raw}
	tips, err := f.tips()
	if err != nil {
		return nil, err
	}
	if err := f.end(); err != nil {
		return nil, fmt.Errorf("decode tips: %w", err)
	}
	return tips, nil
}

// tips reads the tips that come next. Errors: ErrEncoding, ErrInvalid.
func (f *fields) tips() ([]Tip, error) {
	n := f.count(1, MaxTips)
	if n > MaxTips {
		return nil, fmt.Errorf("more than %d tips: %w", MaxTips, ErrInvalid)
	}
	tips := make([]Tip, n)
	for i := range tips {
		enc, _ := f.element(1)
		inner := fields{buf: enc}
		p := inner.position(1)
		if err := inner.end(); err != nil {
			return nil, fmt.Errorf("decode tip %d: %w", i, err)
		}
		if err := p.validate(); err != nil {
			return nil, fmt.Errorf("tip %d: %w", i, err)
		}
		if i > 0 && p.Owner.Compare(tips[i-1].Owner) <= 0 {
			return nil, fmt.Errorf("tip %d is out of order: %w", i, ErrInvalid)
		}
		tips[i] = Tip(p)
	}
	return tips, nil
}
