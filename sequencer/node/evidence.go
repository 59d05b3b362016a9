package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/cosmos/cosmos-sdk/codec"

	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/internal/replace"
	orderingv1 "github.com/ordo-network/ordo/sequencer/ordering/v1"
)

// maxEvidence is how many proofs may wait to be written. One is enough to convict.
const maxEvidence = 64

// evidence writes what convicts a validator to files that anybody can send to the chain:
// one for each validator and kind of signature, however much it signs.
type evidence struct {
	dir    string
	codec  codec.Codec
	log    *slog.Logger
	found  chan lane.Equivocation
	epochs map[string]uint64 // of what each file proves, of those written since the start
}

func newEvidence(dir string, c codec.Codec, log *slog.Logger) *evidence {
	return &evidence{dir: dir, codec: c, log: log, found: make(chan lane.Equivocation, maxEvidence), epochs: make(map[string]uint64)}
}

// take does not block: what is too much is left out.
func (e *evidence) take(found lane.Equivocation) {
	select {
	case e.found <- found:
	default:
	}
}

// run writes until the context ends.
func (e *evidence) run(ctx context.Context) error {
	for {
		select {
		case found := <-e.found:
			if err := e.write(&found); err != nil {
				e.log.Error("evidence against a validator is lost", "validator", found.Offender.String(), "err", err)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// write keeps the first proof of an epoch in the place of an older one, which the chain
// forgets sooner. All of them convict alike.
func (e *evidence) write(found *lane.Equivocation) error {
	kind := "batch"
	if found.First.Attester != nil {
		kind = "attestation"
	}
	path := filepath.Join(e.dir, fmt.Sprintf("%s-%s.json", found.Offender, kind))
	epoch := max(found.First.Core.Epoch, found.Second.Core.Epoch)
	if before, ok := e.epochs[path]; ok && before >= epoch {
		return nil
	}
	raw, err := e.codec.MarshalJSON(&orderingv1.MsgSubmitEquivocation{First: signed(&found.First), Second: signed(&found.Second)})
	if err != nil {
		return fmt.Errorf("encode evidence: %w", err)
	}
	if err := os.MkdirAll(e.dir, 0o755); err != nil {
		return fmt.Errorf("write evidence: %w", err)
	}
	_, err = os.Stat(path)
	first := errors.Is(err, fs.ErrNotExist)
	// Crash before it is there: what was there is, and the peer is likely to do it again.
	if err := replace.File(path, append(raw, '\n'), 0o644); err != nil {
		return fmt.Errorf("write evidence: %w", err)
	}
	e.epochs[path] = epoch
	if first {
		e.log.Warn("a validator signed two batches for one position: send the evidence to the chain with `ordo sequencer evidence submit`",
			"validator", found.Offender.String(), "position", found.First.Core.String(), "file", path)
	}
	return nil
}

func signed(s *lane.Signed) *orderingv1.Signed {
	out := &orderingv1.Signed{Core: s.Core.Encode(), Signature: s.Signature[:]}
	if s.Attester != nil {
		out.Attested = &orderingv1.Attested{Member: s.Attester[:], Clock: s.Clock}
	}
	return out
}
