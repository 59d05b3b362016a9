package astria

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"

	"github.com/ordo-network/ordo/execution"
	executionv2 "github.com/ordo-network/ordo/execution/astria/proto/astria/execution/v2"
)

const (
	// maxRenewals bounds the sessions that one call may open because the service turned
	// one down: more say that somebody else opens sessions too.
	maxRenewals = 3
	// Where the service does not answer, it is asked again after a while that doubles.
	firstPause, lastPause = 20 * time.Millisecond, 2 * time.Second
	// tellEvery is how often a log line says that it still does not.
	tellEvery = 30 * time.Second
)

// persist runs a step in an open session until it is through. It outlasts a service
// that is away, and sessions that end.
func (c *Client) persist(ctx context.Context, what string, step func(context.Context) error) error {
	var (
		renewals int
		pause    = firstPause
		since    = time.Now()
		told     time.Time
	)
	for {
		err := c.open(ctx)
		if err == nil {
			err = step(ctx)
		}
		switch {
		case err == nil:
			if !told.IsZero() {
				c.log.Info("the execution service answers again", "away", time.Since(since).Round(time.Millisecond))
			}
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("%s: %w", what, errors.Join(ctx.Err(), err))
		case away(err):
			if time.Since(told) >= tellEvery {
				c.log.Warn("the execution service does not answer: waiting for it", "to", what, "error", clip(err.Error()))
				told = time.Now()
			}
		case turnedDown(err) && renewals < maxRenewals:
			renewals++
			c.log.Debug("the execution service turned a call down: opening a new session", "to", what, "error", clip(err.Error()))
		default:
			return err
		}
		c.stale = true
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, errors.Join(ctx.Err(), err))
		case <-time.After(pause):
		}
		pause = min(2*pause, lastPause)
	}
}

// away reports whether the service may not have got the call, or its answer was lost.
func away(err error) bool {
	var call *connect.Error
	if !errors.As(err, &call) {
		return false
	}
	switch call.Code() {
	case connect.CodeUnavailable, connect.CodeAborted, connect.CodeDeadlineExceeded, connect.CodeCanceled:
		return true
	case connect.CodeInternal, connect.CodeUnknown:
		// Said by the service it is a fault of the service; said by ourselves it is an
		// answer that broke off.
		return !connect.IsWireError(call)
	}
	return false
}

// turnedDown reports whether a new session may help.
func turnedDown(err error) bool {
	switch connect.CodeOf(err) {
	case connect.CodePermissionDenied, connect.CodeOutOfRange, connect.CodeFailedPrecondition:
		return true
	}
	return false
}

// open opens a new session where the current one is stale.
func (c *Client) open(ctx context.Context) error {
	if !c.stale {
		return nil
	}
	s, err := c.create(ctx)
	if err != nil {
		return fmt.Errorf("open a session: %w", err)
	}
	// A soft block that fell was lost in a crash; another one in its place was not
	// executed by the same rules.
	if was := c.now.soft.head; c.now.id != "" && was.Number == s.soft.head.Number && was.Hash != s.soft.head.Hash {
		return fmt.Errorf("rollup block %d was %s, the execution service says now that it is %s: %w",
			was.Number, clip(c.now.soft.meta.GetHash()), clip(s.soft.meta.GetHash()), execution.ErrDisagree)
	}
	if s.fell {
		c.log.Warn("the execution service lost blocks that were firm: they are executed again", "soft", s.soft.head.Number)
	}
	if c.now.parameters != s.parameters {
		c.log.Info("execution session", "first_block", s.parameters.StartNumber, "last_block", s.parameters.EndNumber,
			"first_sequencer_height", s.parameters.StartHeight, "soft", s.soft.head.Number, "firm", s.firm.head.Number)
	}
	c.now, c.stale = s, false
	return nil
}

// create opens a session.
func (c *Client) create(ctx context.Context) (session, error) {
	m, err := c.rpc.create(ctx)
	if err != nil {
		return session{}, err
	}
	return c.decodeSession(m)
}

// decodeSession checks all that the service says of a session.
func (c *Client) decodeSession(m *executionv2.ExecutionSession) (s session, err error) {
	s = session{id: m.GetSessionId(), terms: m.GetOrdoKeepsTerms(), tells: m.GetOrdoTellsSkipped(), celestia: m.GetCommitmentState().GetLowestCelestiaSearchHeight()}
	if s.id == "" || len(s.id) > maxNameBytes {
		return session{}, fmt.Errorf("its name has %d characters, want 1 to %d: %w", len(s.id), maxNameBytes, ErrProtocol)
	}
	if s.parameters, err = decodeParameters(m.GetExecutionSessionParameters()); err != nil {
		return session{}, fmt.Errorf("its parameters: %w: %w", ErrProtocol, err)
	}
	if p := s.parameters; p.RollupID != c.cfg.RollupID || p.ChainID != c.cfg.ChainID {
		return session{}, fmt.Errorf("it executes rollup %x of sequencer chain %q, this node follows rollup %x of %q: set the same in both: %w",
			p.RollupID, clip(p.ChainID), c.cfg.RollupID, c.cfg.ChainID, ErrOther)
	}
	if s.soft, err = c.decodeBlock(s.parameters, m.GetCommitmentState().GetSoftExecutedBlockMetadata()); err != nil {
		return session{}, fmt.Errorf("its soft block: %w", err)
	}
	firm := m.GetCommitmentState().GetFirmExecutedBlockMetadata()
	if s.fell = firm.GetNumber() > s.soft.head.Number; s.fell {
		firm = s.soft.meta
	}
	if s.firm, err = c.decodeBlock(s.parameters, firm); err != nil {
		return session{}, fmt.Errorf("its firm block: %w", err)
	}
	switch soft, firm := s.soft.head, s.firm.head; {
	case firm.Number == soft.Number && firm.Hash != soft.Hash:
		return session{}, fmt.Errorf("its firm block %d is not its soft block: %w", firm.Number, ErrProtocol)
	case soft.Number < s.parameters.StartNumber-1 && s.fell:
		return session{}, fmt.Errorf("it lost the blocks above %d in a crash, and its session begins with %d all the same: start it once more, it may know better then, or give it a copy of its data: %w",
			soft.Number, s.parameters.StartNumber, ErrProtocol)
	case soft.Number < s.parameters.StartNumber-1:
		return session{}, fmt.Errorf("its soft block is %d, and it begins with %d: blocks in between are missing, which the sequencer chain %q does not hold: %w",
			soft.Number, s.parameters.StartNumber, s.parameters.ChainID, ErrProtocol)
	}
	return s, nil
}
