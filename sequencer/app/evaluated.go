package app

import (
	"crypto/sha256"
	"fmt"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/availability"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

// evaluation is what a block's manifest makes of the state: what the certificates order,
// and what the votes say of claims.
type evaluation struct {
	*ordering.Evaluation
	votes heard
}

// heard is what an extended commit says.
type heard struct {
	power   uint64 // of all who could vote
	reports []order.Report
	ballots []availability.Ballot
}

// evaluated remembers the last evaluation: a block is evaluated where it is built,
// checked and executed, each time on the same state.
type evaluated struct {
	key    evaluatedKey
	result *evaluation
}

// evaluatedKey tells evaluations apart. The state is the committed one, so height, time
// (which decides what is vested), last commit and manifest say all.
type evaluatedKey struct {
	height   int64
	time     int64 // in nanoseconds
	commit   [sha256.Size]byte
	manifest [sha256.Size]byte
}

func keyOf(height int64, at time.Time, last abci.CommitInfo, manifest []byte) (evaluatedKey, error) {
	commit, err := last.Marshal()
	if err != nil {
		return evaluatedKey{}, fmt.Errorf("encode last commit: %w", err)
	}
	return evaluatedKey{height, at.UnixNano(), sha256.Sum256(commit), sha256.Sum256(manifest)}, nil
}

// get returns the result of that evaluation, or nil where it is not the last one.
func (e *evaluated) get(key evaluatedKey) *evaluation {
	if e.key != key {
		return nil
	}
	return e.result
}
