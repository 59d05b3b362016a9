package follower

import (
	"errors"
	"slices"
	"testing"
)

// A part is held against its set before the others are there.
func TestVerifyPart(t *testing.T) {
	t.Parallel()
	parts, err := SplitBlob(anyBlob(1, 7, 400<<10), 80<<10)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range parts {
		want, err := BlobRange(p)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := VerifyPart(p); err != nil || got != want {
			t.Fatalf("part %d: %+v, %v, want %+v", i, got, err, want)
		}
		forged := slices.Clone(p)
		forged[len(forged)-1] ^= 1
		if _, err := VerifyPart(forged); !errors.Is(err, ErrParts) {
			t.Fatalf("part %d, forged: %v", i, err)
		}
	}
}
