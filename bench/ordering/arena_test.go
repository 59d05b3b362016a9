package ordering

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// Parcels do not overlap, and those of the next load take the same memory.
func TestArena(t *testing.T) {
	t.Parallel()
	a := new(arena)
	for range 2 {
		a.reset()
		var kept [][]byte
		for i := range 5 {
			b, err := a.keep(bytes.Repeat([]byte{byte(i)}, chunkBytes/2-7))
			require.NoError(t, err)
			require.Equal(t, len(b), cap(b))
			kept = append(kept, b)
		}
		for i, b := range kept {
			require.Equal(t, len(b), bytes.Count(b, []byte{byte(i)}))
		}
		require.Len(t, a.chunks, 3)
	}
	_, err := a.keep(make([]byte, chunkBytes+1))
	require.Error(t, err)
}
