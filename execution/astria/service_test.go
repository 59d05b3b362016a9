package astria_test

import (
	"encoding/hex"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/ordo-network/ordo/execution/astria"
	executionv2 "github.com/ordo-network/ordo/execution/astria/proto/astria/execution/v2"
	"github.com/ordo-network/ordo/execution/astria/proto/astria/execution/v2/executionv2connect"
	sequencerblockv1 "github.com/ordo-network/ordo/execution/astria/proto/astria/sequencerblock/v1"
	executionv1 "github.com/ordo-network/ordo/execution/astria/proto/ordo/execution/v1"
)

// caller calls a service as a node does, or worse.
type caller struct {
	testing.TB
	executionv2connect.ExecutionServiceClient
	session *executionv2.ExecutionSession
}

func newCaller(t testing.TB, s *twisted) *caller {
	t.Helper()
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	return &caller{TB: t, ExecutionServiceClient: executionv2connect.NewExecutionServiceClient(
		&http.Client{Transport: tr}, strings.Replace(s.url, "grpc://", "http://", 1), connect.WithGRPC())}
}

func (c *caller) open() {
	c.Helper()
	res, err := c.CreateExecutionSession(c.Context(), connect.NewRequest(&executionv2.CreateExecutionSessionRequest{}))
	if err != nil {
		c.Fatal(err)
	}
	c.session = res.Msg
}

func (c *caller) soft() *executionv2.ExecutedBlockMetadata {
	return c.session.CommitmentState.SoftExecutedBlockMetadata
}

// request is for the block on the soft one.
func (c *caller) request(txs ...string) *executionv2.ExecuteBlockRequest {
	b := sequencerBlock(c.soft().Number + 1)
	req := &executionv2.ExecuteBlockRequest{
		SessionId: c.session.SessionId, ParentHash: c.soft().Hash, Timestamp: timestamppb.New(b.Time), SequencerBlockHash: hex.EncodeToString(b.Hash[:]),
	}
	for _, tx := range txs {
		req.Transactions = append(req.Transactions, sequenced(tx))
	}
	return req
}

func sequenced(tx string) *sequencerblockv1.RollupData {
	return &sequencerblockv1.RollupData{Value: &sequencerblockv1.RollupData_SequencedData{SequencedData: []byte(tx)}}
}

func (c *caller) execute(req *executionv2.ExecuteBlockRequest) (*executionv2.ExecuteBlockResponse, error) {
	res, err := c.ExecuteBlock(c.Context(), connect.NewRequest(req))
	if err != nil {
		return nil, err
	}
	return res.Msg, nil
}

func (c *caller) commit(soft, firm *executionv2.ExecutedBlockMetadata) error {
	res, err := c.UpdateCommitmentState(c.Context(), connect.NewRequest(&executionv2.UpdateCommitmentStateRequest{
		SessionId:       c.session.SessionId,
		CommitmentState: &executionv2.CommitmentState{SoftExecutedBlockMetadata: soft, FirmExecutedBlockMetadata: firm},
	}))
	if err == nil {
		c.session.CommitmentState = res.Msg
	}
	return err
}

// next executes and commits a block.
func (c *caller) next() *executionv2.ExecutedBlockMetadata {
	c.Helper()
	res, err := c.execute(c.request("x"))
	if err != nil {
		c.Fatal(err)
	}
	if err := c.commit(res.ExecutedBlockMetadata, c.session.CommitmentState.FirmExecutedBlockMetadata); err != nil {
		c.Fatal(err)
	}
	return res.ExecutedBlockMetadata
}

func (c *caller) wants(what string, err error, want connect.Code) {
	c.Helper()
	if connect.CodeOf(err) != want || err == nil {
		c.Errorf("%s: got error %v, want %s", what, err, want)
	}
}

func TestServerExecutes(t *testing.T) {
	t.Parallel()
	p := parameters()
	p.EndNumber = 3
	s := newTwisted(t, p)
	c := newCaller(t, s)
	_, err := c.execute(&executionv2.ExecuteBlockRequest{})
	c.wants("no session yet", err, connect.CodePermissionDenied)
	c.open()
	for name, test := range map[string]struct {
		change func(*executionv2.ExecuteBlockRequest)
		want   connect.Code
	}{
		"another session":   {func(r *executionv2.ExecuteBlockRequest) { r.SessionId += "x" }, connect.CodePermissionDenied},
		"no session":        {func(r *executionv2.ExecuteBlockRequest) { r.SessionId = "" }, connect.CodePermissionDenied},
		"another parent":    {func(r *executionv2.ExecuteBlockRequest) { r.ParentHash = "0x12" }, connect.CodeFailedPrecondition},
		"no parent":         {func(r *executionv2.ExecuteBlockRequest) { r.ParentHash = "" }, connect.CodeFailedPrecondition},
		"no time":           {func(r *executionv2.ExecuteBlockRequest) { r.Timestamp = nil }, connect.CodeInvalidArgument},
		"no such time":      {func(r *executionv2.ExecuteBlockRequest) { r.Timestamp.Nanos = -1 }, connect.CodeInvalidArgument},
		"no source":         {func(r *executionv2.ExecuteBlockRequest) { r.SequencerBlockHash = "" }, connect.CodeInvalidArgument},
		"a short source":    {func(r *executionv2.ExecuteBlockRequest) { r.SequencerBlockHash = "0xab" }, connect.CodeInvalidArgument},
		"legs of more":      {func(r *executionv2.ExecuteBlockRequest) { r.OrdoLegs = []*executionv1.Leg{leg(2)} }, connect.CodeInvalidArgument},
		"legs of less":      {func(r *executionv2.ExecuteBlockRequest) { r.OrdoLegs = []*executionv1.Leg{leg(0)} }, connect.CodeInvalidArgument},
		"legs that wrap":    {func(r *executionv2.ExecuteBlockRequest) { r.OrdoLegs = []*executionv1.Leg{leg(1<<32 - 1), leg(2)} }, connect.CodeInvalidArgument},
		"legs of no bundle": {func(r *executionv2.ExecuteBlockRequest) { r.OrdoLegs = []*executionv1.Leg{{TransactionCount: 1}} }, connect.CodeInvalidArgument},
	} {
		req := c.request("x")
		test.change(req)
		_, err := c.execute(req)
		c.wants(name, err, test.want)
	}
	if len(s.vm.heads) != 1 {
		t.Fatalf("%d blocks were executed by requests that were refused", len(s.vm.heads)-1)
	}

	// Deposits and prices are left out; what is skipped is told; the same is executed once.
	req := c.request("x", "", "y")
	req.Transactions = append(req.Transactions, &sequencerblockv1.RollupData{}, &sequencerblockv1.RollupData{Value: &sequencerblockv1.RollupData_Deposit{}})
	one, err := c.execute(req)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.vm.last.Transactions; len(got) != 3 || string(got[2]) != "y" || s.vm.last.Height != 1 {
		t.Errorf("executed %q of height %d, want three transactions of height 1", got, s.vm.last.Height)
	}
	if len(one.OrdoSkipped) != 1 || one.OrdoSkipped[0].Index != 1 || one.OrdoSkipped[0].Reason != "empty" || !one.OrdoSkipped[0].Retry {
		t.Errorf("skipped %v, want the second", one.OrdoSkipped)
	}
	two, err := c.execute(req)
	if err != nil || !proto.Equal(one, two) {
		t.Errorf("executed again it is %v, %v, want %v", two, err, one)
	}
	_, err = c.execute(c.request("other"))
	c.wants("another block on the same parent", err, connect.CodeFailedPrecondition)
	if len(s.vm.heads) != 2 {
		t.Errorf("%d blocks were executed, want one", len(s.vm.heads)-1)
	}
	// It is not committed, so it is not there.
	_, err = c.GetExecutedBlockMetadata(t.Context(), connect.NewRequest(&executionv2.GetExecutedBlockMetadataRequest{
		Identifier: &executionv2.ExecutedBlockIdentifier{Identifier: &executionv2.ExecutedBlockIdentifier_Number{Number: 1}},
	}))
	c.wants("look up a block that is not committed", err, connect.CodeNotFound)
	// In a new session it is soft.
	old := c.session.SessionId
	c.open()
	if !proto.Equal(c.soft(), one.ExecutedBlockMetadata) {
		t.Errorf("soft is %v, want %v", c.soft(), one.ExecutedBlockMetadata)
	}
	req = c.request("x")
	req.SessionId = old
	_, err = c.execute(req)
	c.wants("the session before", err, connect.CodePermissionDenied)
	c.next()
	c.next()
	_, err = c.execute(c.request("x"))
	c.wants("behind the session's end", err, connect.CodeOutOfRange)
}

func leg(n uint32) *executionv1.Leg {
	return &executionv1.Leg{BundleId: make([]byte, 32), TransactionCount: n}
}

func TestServerCommits(t *testing.T) {
	t.Parallel()
	s := newTwisted(t, parameters())
	c := newCaller(t, s)
	c.open()
	genesis := c.soft()
	one, two := c.next(), c.next()
	res, err := c.execute(c.request("x"))
	if err != nil {
		t.Fatal(err)
	}
	three := res.ExecutedBlockMetadata
	change := func(m *executionv2.ExecutedBlockMetadata, change func(*executionv2.ExecutedBlockMetadata)) *executionv2.ExecutedBlockMetadata {
		m = proto.CloneOf(m)
		change(m)
		return m
	}
	for name, test := range map[string]struct {
		soft, firm *executionv2.ExecutedBlockMetadata
	}{
		"nothing":                 {nil, nil},
		"no firm":                 {two, nil},
		"soft falls":              {one, genesis},
		"soft is unknown":         {change(three, func(m *executionv2.ExecutedBlockMetadata) { m.Hash = "0x12" }), genesis},
		"soft has another number": {change(three, func(m *executionv2.ExecutedBlockMetadata) { m.Number++ }), genesis},
		"firm above soft":         {two, three},
		"firm is unknown":         {three, change(one, func(m *executionv2.ExecutedBlockMetadata) { m.Hash = "0x12" })},
		"firm has another number": {three, change(one, func(m *executionv2.ExecutedBlockMetadata) { m.Number++ })},
	} {
		c.wants(name, c.commit(test.soft, test.firm), connect.CodeFailedPrecondition)
	}
	if err := c.commit(three, two); err != nil {
		t.Fatal(err)
	}
	c.wants("firm falls", c.commit(three, one), connect.CodeFailedPrecondition)
	if err := c.commit(three, two); err != nil {
		t.Errorf("nothing moves: %v", err)
	}
	if s.vm.firm != 2 {
		t.Errorf("the client's firm block is %d, want 2", s.vm.firm)
	}
	c.session.CommitmentState.LowestCelestiaSearchHeight = 9
	if _, err := c.UpdateCommitmentState(t.Context(), connect.NewRequest(&executionv2.UpdateCommitmentStateRequest{
		SessionId: c.session.SessionId, CommitmentState: c.session.CommitmentState,
	})); err != nil {
		t.Error(err)
	}
	before := c.session.CommitmentState
	s.restart(parameters())
	c.open()
	if !proto.Equal(c.session.CommitmentState, before) {
		t.Errorf("after a restart the state is %v, want %v", c.session.CommitmentState, before)
	}
	for _, id := range []*executionv2.ExecutedBlockIdentifier{
		{Identifier: &executionv2.ExecutedBlockIdentifier_Number{Number: 1}},
		{Identifier: &executionv2.ExecutedBlockIdentifier_Hash{Hash: one.Hash}},
		{Identifier: &executionv2.ExecutedBlockIdentifier_Hash{Hash: strings.ToUpper(one.Hash[2:])}},
	} {
		got, err := c.GetExecutedBlockMetadata(t.Context(), connect.NewRequest(&executionv2.GetExecutedBlockMetadataRequest{Identifier: id}))
		if err != nil || !proto.Equal(got.Msg, one) {
			t.Errorf("look up %v: got %v, %v, want %v", id, got, err, one)
		}
	}
	for want, id := range map[connect.Code]*executionv2.ExecutedBlockIdentifier{
		connect.CodeNotFound:        {Identifier: &executionv2.ExecutedBlockIdentifier_Hash{Hash: strings.Repeat("z", 10000)}},
		connect.CodeInvalidArgument: {},
	} {
		_, err := c.GetExecutedBlockMetadata(t.Context(), connect.NewRequest(&executionv2.GetExecutedBlockMetadataRequest{Identifier: id}))
		c.wants("look up", err, want)
	}
}

// A crash between the client's block and the index leaves one block that only the client
// knows, and a client that fell back one that only the index knows.
func TestServerFollowsItsClient(t *testing.T) {
	t.Parallel()
	s := newTwisted(t, parameters())
	c := newCaller(t, s)
	c.open()
	one := c.next()
	if _, err := s.vm.Execute(t.Context(), s.vm.soft().Hash, sequencerBlock(2, []byte("x"))); err != nil {
		t.Fatal(err)
	}
	s.restart(parameters())
	c.open()
	if c.soft().Number != 2 || c.soft().ParentHash != one.Hash {
		t.Errorf("soft is %v, want block 2 on %s", c.soft(), one.Hash)
	}
	three := c.next()
	s.vm.heads = s.vm.heads[:2]
	s.restart(parameters())
	c.open()
	if !proto.Equal(c.soft(), one) {
		t.Errorf("soft is %v, want %v", c.soft(), one)
	}
	_, err := c.GetExecutedBlockMetadata(t.Context(), connect.NewRequest(&executionv2.GetExecutedBlockMetadataRequest{
		Identifier: &executionv2.ExecutedBlockIdentifier{Identifier: &executionv2.ExecutedBlockIdentifier_Hash{Hash: three.Hash}},
	}))
	c.wants("look up a block that was lost", err, connect.CodeNotFound)
	// Data of another chain.
	other := parameters()
	other.StartHeight = 50
	s.restart(other)
	_, err = c.CreateExecutionSession(t.Context(), connect.NewRequest(&executionv2.CreateExecutionSessionRequest{}))
	c.wants("a client that was fed from other heights", err, connect.CodeInternal)
}

func TestServerConfig(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]astria.ServerConfig{
		"no parameters": {Dir: t.TempDir()},
		"no directory":  {Parameters: parameters()},
	} {
		cfg.Logger = slog.New(slog.DiscardHandler)
		if _, err := astria.NewServer(newTape(parameters()), cfg); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
}
