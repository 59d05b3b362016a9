package follower

import (
	"errors"

	"github.com/ordo-network/ordo/order"
)

// ErrFalseClaim says that a blob is not what was claimed of it, whoever looks.
var ErrFalseClaim = errors.New("blob is not what was claimed")

// Chain is what a node of the sequencer chain knows without proof.
type Chain interface {
	ChainID() string
	// Hash returns the hash of the block at the height; false where it is not known here.
	Hash(height uint64) ([32]byte, bool)
}

// CheckBlob checks, against the node's own chain, that a blob gives its readers the
// rollup's blocks of exactly the heights from..to: the parts as they stand on the DA layer,
// in any order, or the whole blob alone. ErrFalseClaim says that it does not; every other
// error, that this cannot be said.
func CheckBlob(parts [][]byte, rollup order.RollupID, from, to uint64, chain Chain) error {
	return errors.New("check blob: not built yet")
}
