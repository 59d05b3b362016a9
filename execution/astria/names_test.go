package astria_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/ordo-network/ordo/execution"
	executionv2 "github.com/ordo-network/ordo/execution/astria/proto/astria/execution/v2"
	"github.com/ordo-network/ordo/execution/astria/proto/astria/execution/v2/executionv2connect"
)

// Virtual machines name their blocks as they like.
func TestNames(t *testing.T) {
	t.Parallel()
	s := newTwisted(t, parameters())
	out := func(m *executionv2.ExecutedBlockMetadata) {
		m.Hash = "block:" + base64.StdEncoding.EncodeToString([]byte(m.Hash))
		if m.ParentHash != "" {
			m.ParentHash = "block:" + base64.StdEncoding.EncodeToString([]byte(m.ParentHash))
		}
	}
	in := func(name string) string {
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(name, "block:"))
		if err != nil {
			t.Error(err)
		}
		return string(raw)
	}
	named := &renamed{s, out, in}
	_, handler := executionv2connect.NewExecutionServiceHandler(named)
	cfg := s.config()
	cfg.Endpoint = serveHTTP2(t, handler)
	c := dial(t, cfg)
	heads := chain(t, c, 5)
	for _, head := range heads[1:4] {
		if err := c.SetFirm(t.Context(), head.Hash); err != nil {
			t.Fatal(err)
		}
	}
	again := dial(t, cfg)
	session, err := again.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if session.Soft != heads[5] || session.Firm != heads[3] {
		t.Errorf("session is %+v, want soft %+v and firm %+v", session, heads[5], heads[3])
	}
	if err := again.SetFirm(t.Context(), heads[5].Hash); err != nil {
		t.Error(err)
	}
	if err := again.SetFirm(t.Context(), heads[2].Hash); !errors.Is(err, execution.ErrFirm) {
		t.Errorf("firm that falls: got error %v, want %v", err, execution.ErrFirm)
	}
}

// renamed is a service with names of its own for blocks.
type renamed struct {
	*twisted
	out func(*executionv2.ExecutedBlockMetadata)
	in  func(string) string
}

func (s *renamed) CreateExecutionSession(ctx context.Context, req *connect.Request[executionv2.CreateExecutionSessionRequest]) (*connect.Response[executionv2.ExecutionSession], error) {
	res, err := s.twisted.CreateExecutionSession(ctx, req)
	if err == nil {
		s.out(res.Msg.CommitmentState.SoftExecutedBlockMetadata)
		s.out(res.Msg.CommitmentState.FirmExecutedBlockMetadata)
	}
	return res, err
}

func (s *renamed) GetExecutedBlockMetadata(ctx context.Context, req *connect.Request[executionv2.GetExecutedBlockMetadataRequest]) (*connect.Response[executionv2.ExecutedBlockMetadata], error) {
	res, err := s.twisted.GetExecutedBlockMetadata(ctx, req)
	if err == nil {
		s.out(res.Msg)
	}
	return res, err
}

func (s *renamed) ExecuteBlock(ctx context.Context, req *connect.Request[executionv2.ExecuteBlockRequest]) (*connect.Response[executionv2.ExecuteBlockResponse], error) {
	req.Msg.ParentHash = s.in(req.Msg.ParentHash)
	res, err := s.twisted.ExecuteBlock(ctx, req)
	if err == nil {
		s.out(res.Msg.ExecutedBlockMetadata)
	}
	return res, err
}

func (s *renamed) UpdateCommitmentState(ctx context.Context, req *connect.Request[executionv2.UpdateCommitmentStateRequest]) (*connect.Response[executionv2.CommitmentState], error) {
	req.Msg.CommitmentState.SoftExecutedBlockMetadata.Hash = s.in(req.Msg.CommitmentState.SoftExecutedBlockMetadata.Hash)
	req.Msg.CommitmentState.FirmExecutedBlockMetadata.Hash = s.in(req.Msg.CommitmentState.FirmExecutedBlockMetadata.Hash)
	res, err := s.twisted.UpdateCommitmentState(ctx, req)
	if err == nil {
		s.out(res.Msg.SoftExecutedBlockMetadata)
		s.out(res.Msg.FirmExecutedBlockMetadata)
	}
	return res, err
}
