package ordering

import (
	"errors"
	"testing"
)

func TestSearchFindsWhereTrialsBeginToFail(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ first, capacity float64 }{
		{1, 40}, {8, 8}, {8, 7.9}, {100, 3}, {4, 250}, {1, 1.01},
	} {
		tried := 0
		got, err := search(tc.first, 1000, 4, func(rate float64) (bool, error) {
			tried++
			return rate <= tc.capacity, nil
		})
		if err != nil || got > tc.capacity || got < tc.capacity*0.95 {
			t.Errorf("from %v: found %v (%v), the capacity is %v", tc.first, got, err, tc.capacity)
		}
		if tried > 15 {
			t.Errorf("from %v: %d trials", tc.first, tried)
		}
	}
}

func TestSearchGivesUp(t *testing.T) {
	t.Parallel()
	if got, err := search(64, 1000, 3, func(float64) (bool, error) { return false, nil }); got != 0 || err != nil {
		t.Errorf("where nothing passes: %v, %v", got, err)
	}
	highest := 0.0
	got, err := search(1, 100, 3, func(rate float64) (bool, error) { highest = max(highest, rate); return true, nil })
	if got != 100 || highest != 100 || err != nil {
		t.Errorf("where all passes up to 100: %v, tried up to %v, %v", got, highest, err)
	}
	broken := errors.New("broken")
	got, err = search(1, 100, 3, func(rate float64) (bool, error) {
		if rate > 4 {
			return false, broken
		}
		return true, nil
	})
	if got != 4 || !errors.Is(err, broken) {
		t.Errorf("where a trial breaks: %v, %v", got, err)
	}
}
