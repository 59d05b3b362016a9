package ordering

import "math"

// search finds the highest rate at which a trial passes. It doubles the rate, or
// halves it where the first fails, until it has one that passes and one that fails,
// and halves the gap between them, as a ratio, so many times. It returns 0 where
// nothing passes down to a 64th of where it began, and what passes up to most.
func search(first, most float64, refine int, try func(rate float64) (bool, error)) (best float64, err error) {
	low, high := 0.0, math.Inf(1)
	step := func(rate float64) error {
		ok, err := try(rate)
		switch {
		case err != nil:
			return err
		case ok:
			low = rate
		default:
			high = rate
		}
		return nil
	}
	for rate := min(first, most); low == 0 || math.IsInf(high, 1); {
		if err := step(rate); err != nil {
			return low, err
		}
		switch {
		case low == 0 && rate <= first/64:
			return 0, nil
		case low == 0:
			rate /= 2
		case low >= most:
			return low, nil
		default:
			rate = min(rate*2, most)
		}
		if low != 0 && !math.IsInf(high, 1) {
			break
		}
	}
	for range refine {
		if err := step(math.Sqrt(low * high)); err != nil {
			return low, err
		}
	}
	return low, nil
}
