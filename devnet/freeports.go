package devnet

import (
	"errors"
	"math/rand/v2"
)

// FreePorts returns the first of n ports in a row that are free now, for a
// network whose ports are nobody's business: a benchmark or a test. They lie below
// those that the system gives to outgoing connections.
func FreePorts(n int) (base int, err error) {
	const low, high, attempts = 10_000, 32_000, 100
	for range attempts {
		base = low + rand.IntN(high-low-n)
		free := true
		for port := base; free && port < base+n; port++ {
			free = tryListen(port) == nil
		}
		if free {
			return base, nil
		}
	}
	return 0, errors.New("find free ports: too many ports between 10000 and 32000 are taken")
}
