package astria

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/ordo-network/ordo/execution"
	executionv2 "github.com/ordo-network/ordo/execution/astria/proto/astria/execution/v2"
	primitivev1 "github.com/ordo-network/ordo/execution/astria/proto/astria/primitive/v1"
)

// CreateExecutionSession implements the service. A block that was executed and never
// committed is the soft one from now on: to execute it again would give the same.
func (s *Server) CreateExecutionSession(ctx context.Context, _ *connect.Request[executionv2.CreateExecutionSessionRequest]) (*connect.Response[executionv2.ExecutionSession], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.running(); err != nil {
		return nil, err
	}
	at, err := s.client.Open(ctx)
	if err != nil {
		return nil, s.internal("open a session of the execution client", err)
	}
	if at.Soft.Number+1 < s.parameters.StartNumber || at.Soft.Number >= s.parameters.StartNumber && at.Soft.Height != s.parameters.Height(at.Soft.Number) {
		return nil, s.internal("open a session of the execution client", fmt.Errorf(
			"its block %d was made from sequencer block %d, by these parameters it would have been %d: the data is of another chain, or was executed without this server",
			at.Soft.Number, at.Soft.Height, s.parameters.Height(at.Soft.Number)))
	}
	state := new(executionv2.CommitmentState)
	if state.SoftExecutedBlockMetadata, err = s.metadata(at.Soft); err != nil {
		return nil, s.internal("find the soft block", err)
	}
	if state.FirmExecutedBlockMetadata, err = s.metadata(at.Firm); err != nil {
		return nil, s.internal("find the firm block", err)
	}
	// A crash between executing a block and noting it leaves the index one block behind.
	if err := s.index.put(state.SoftExecutedBlockMetadata); err != nil {
		return nil, s.internal("note the soft block", err)
	}
	if state.LowestCelestiaSearchHeight, err = s.index.celestia(); err != nil {
		return nil, s.internal("find the lowest Celestia height", err)
	}
	s.session, s.state, s.done = rand.Text(), state, nil
	p := s.parameters
	return connect.NewResponse(&executionv2.ExecutionSession{
		SessionId: s.session,
		ExecutionSessionParameters: &executionv2.ExecutionSessionParameters{
			RollupId:                         &primitivev1.RollupId{Inner: p.RollupID[:]},
			RollupStartBlockNumber:           p.StartNumber,
			RollupEndBlockNumber:             p.EndNumber,
			SequencerChainId:                 p.ChainID,
			SequencerStartBlockHeight:        p.StartHeight,
			CelestiaChainId:                  p.CelestiaChainID,
			CelestiaSearchHeightMaxLookAhead: p.LookAhead,
		},
		CommitmentState: proto.CloneOf(state),
		OrdoKeepsTerms:  s.keepsTerms,

		OrdoTellsSkipped: true,
	}), nil
}

// GetExecutedBlockMetadata implements the service. It knows the soft block and those
// below that were executed through it.
func (s *Server) GetExecutedBlockMetadata(_ context.Context, req *connect.Request[executionv2.GetExecutedBlockMetadataRequest]) (*connect.Response[executionv2.ExecutedBlockMetadata], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.running(); err != nil {
		return nil, err
	}
	var (
		m    *executionv2.ExecutedBlockMetadata
		err  error
		what string
	)
	switch id := req.Msg.GetIdentifier().GetIdentifier().(type) {
	case *executionv2.ExecutedBlockIdentifier_Number:
		what = fmt.Sprintf("block %d", id.Number)
		m, err = s.index.byNumber(id.Number)
	case *executionv2.ExecutedBlockIdentifier_Hash:
		what = "block " + clip(id.Hash)
		m, err = s.index.byHash(id.Hash)
	default:
		return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("neither a number nor a hash was given"))
	}
	if err != nil {
		return nil, s.internal("find "+what, err)
	}
	if m == nil || m.GetNumber() > s.state.GetSoftExecutedBlockMetadata().GetNumber() {
		return nil, connect.NewError(connect.CodeNotFound, fmt.Errorf("%s is not known", what))
	}
	return connect.NewResponse(m), nil
}

// ExecuteBlock implements the service. Executing the same block twice gives the same
// answer.
func (s *Server) ExecuteBlock(ctx context.Context, req *connect.Request[executionv2.ExecuteBlockRequest]) (*connect.Response[executionv2.ExecuteBlockResponse], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.in(req.Msg.GetSessionId()); err != nil {
		return nil, err
	}
	soft := s.state.GetSoftExecutedBlockMetadata()
	number := soft.GetNumber() + 1
	if err := s.inRange(number); err != nil {
		return nil, err
	}
	if hashOf(req.Msg.GetParentHash()) != hashOf(soft.GetHash()) {
		return nil, connect.NewError(connect.CodeFailedPrecondition, fmt.Errorf("the parent is %s, the soft block is %d, %s",
			clip(req.Msg.GetParentHash()), soft.GetNumber(), soft.GetHash()))
	}
	b, err := decodeRequest(req.Msg)
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	b.Height = s.parameters.Height(number)
	digest := digestOf(b)
	if s.done == nil {
		// What the order says does not hang on the caller's patience.
		res, err := s.client.Execute(context.WithoutCancel(ctx), hashOf(soft.GetHash()), b)
		if err != nil {
			return nil, s.refusal(err)
		}
		m := encodeHead(res.Head)
		m.ParentHash, m.SequencerBlockHash = soft.GetHash(), hex.EncodeToString(b.Hash[:])
		// A crash before the index has it: the next session notes it.
		if err := s.index.put(m); err != nil {
			s.session = "" // the next one finds out where the client stands
			return nil, s.internal("note a block", err)
		}
		s.done = &done{digest, m, encodeSkipped(res.Skipped)}
	}
	if s.done.request != digest {
		return nil, connect.NewError(connect.CodeFailedPrecondition, fmt.Errorf("another block was executed on %s already", soft.GetHash()))
	}
	return connect.NewResponse(&executionv2.ExecuteBlockResponse{
		ExecutedBlockMetadata: proto.CloneOf(s.done.meta), OrdoSkipped: s.done.skipped,
	}), nil
}

// UpdateCommitmentState implements the service.
func (s *Server) UpdateCommitmentState(ctx context.Context, req *connect.Request[executionv2.UpdateCommitmentStateRequest]) (*connect.Response[executionv2.CommitmentState], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.in(req.Msg.GetSessionId()); err != nil {
		return nil, err
	}
	next := proto.CloneOf(s.state)
	want := req.Msg.GetCommitmentState()
	if soft := want.GetSoftExecutedBlockMetadata(); !names(s.state.GetSoftExecutedBlockMetadata(), soft) {
		if s.done == nil || !names(s.done.meta, soft) {
			return nil, connect.NewError(connect.CodeFailedPrecondition, fmt.Errorf("soft is block %d, and block %d, %s, was not executed on it",
				s.state.GetSoftExecutedBlockMetadata().GetNumber(), soft.GetNumber(), clip(soft.GetHash())))
		}
		if err := s.inRange(soft.GetNumber()); err != nil {
			return nil, err
		}
		next.SoftExecutedBlockMetadata = s.done.meta
	}
	if firm := want.GetFirmExecutedBlockMetadata(); !names(s.state.GetFirmExecutedBlockMetadata(), firm) {
		if err := s.setFirm(ctx, firm, next); err != nil {
			return nil, err
		}
	}
	if lowest := want.GetLowestCelestiaSearchHeight(); lowest > next.LowestCelestiaSearchHeight {
		if err := s.index.putCelestia(lowest); err != nil {
			return nil, s.internal("note the lowest Celestia height", err)
		}
		next.LowestCelestiaSearchHeight = lowest
	}
	if next.SoftExecutedBlockMetadata.GetNumber() != s.state.SoftExecutedBlockMetadata.GetNumber() {
		s.done = nil
	}
	s.state = next
	return connect.NewResponse(proto.CloneOf(next)), nil
}

// setFirm moves the client's firm head, and next's.
func (s *Server) setFirm(ctx context.Context, firm *executionv2.ExecutedBlockMetadata, next *executionv2.CommitmentState) error {
	refuse := func(why string) error {
		return connect.NewError(connect.CodeFailedPrecondition, fmt.Errorf("firm cannot move from block %d to %d, %s: %s",
			next.GetFirmExecutedBlockMetadata().GetNumber(), firm.GetNumber(), clip(firm.GetHash()), why))
	}
	if firm.GetNumber() > next.GetSoftExecutedBlockMetadata().GetNumber() {
		return refuse("it would stand above soft")
	}
	if firm.GetNumber() <= next.GetFirmExecutedBlockMetadata().GetNumber() {
		return refuse("it would not rise")
	}
	if err := s.inRange(firm.GetNumber()); err != nil {
		return err
	}
	m, err := s.index.byNumber(firm.GetNumber())
	if err != nil {
		return s.internal("find the firm block", err)
	}
	if !names(m, firm) {
		return refuse("no such block was executed")
	}
	if err := s.client.SetFirm(ctx, hashOf(m.GetHash())); err != nil {
		return s.refusal(err)
	}
	next.FirmExecutedBlockMetadata = m
	return nil
}

// running checks that the server is open.
func (s *Server) running() error {
	if s.index == nil {
		return connect.NewError(connect.CodeUnavailable, errors.New("the server was closed"))
	}
	return nil
}

// in checks that the session is the current one.
func (s *Server) in(session string) error {
	if err := s.running(); err != nil {
		return err
	}
	if s.session == "" || session != s.session {
		return connect.NewError(connect.CodePermissionDenied, errors.New("not the current session: open a new one"))
	}
	return nil
}

func (s *Server) inRange(number uint64) error {
	if p := s.parameters; number < p.StartNumber || p.EndNumber != 0 && number > p.EndNumber {
		return connect.NewError(connect.CodeOutOfRange, fmt.Errorf("block %d is not among %d to %d, the session's", number, p.StartNumber, p.EndNumber))
	}
	return nil
}

// metadata returns what the index knows of a head, or what follows from the head itself.
func (s *Server) metadata(head execution.Head) (*executionv2.ExecutedBlockMetadata, error) {
	m := encodeHead(head)
	if known, err := s.index.byNumber(head.Number); err != nil || names(known, m) {
		return known, err
	}
	if head.Number > 0 {
		parent, err := s.index.byNumber(head.Number - 1)
		if err != nil {
			return nil, err
		}
		m.ParentHash = parent.GetHash()
	}
	return m, nil
}

// encodeHead leaves out what a head does not tell: where it came from.
func encodeHead(head execution.Head) *executionv2.ExecutedBlockMetadata {
	return &executionv2.ExecutedBlockMetadata{
		Number: head.Number, Hash: "0x" + hex.EncodeToString(head.Hash[:]), Timestamp: timestamppb.New(head.Time),
	}
}

// refusal says in the API's words why the client did not do it.
func (s *Server) refusal(err error) error {
	switch {
	case errors.Is(err, execution.ErrParent), errors.Is(err, execution.ErrFirm), errors.Is(err, execution.ErrAhead):
		return connect.NewError(connect.CodeFailedPrecondition, err)
	case errors.Is(err, execution.ErrHeight), errors.Is(err, execution.ErrTime):
		return connect.NewError(connect.CodeInvalidArgument, err)
	}
	return s.internal("call the execution client", err)
}

func (s *Server) internal(what string, err error) error {
	s.log.Error("an execution call failed", "to", what, "error", err)
	return connect.NewError(connect.CodeInternal, fmt.Errorf("%s: %w", what, err))
}

// names reports whether both name one block.
func names(a, b *executionv2.ExecutedBlockMetadata) bool {
	return a != nil && b != nil && a.GetNumber() == b.GetNumber() && hashOf(a.GetHash()) == hashOf(b.GetHash())
}
