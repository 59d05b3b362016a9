package astria_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/astria"
	executionv2 "github.com/ordo-network/ordo/execution/astria/proto/astria/execution/v2"
	"github.com/ordo-network/ordo/execution/astria/proto/astria/execution/v2/executionv2connect"
)

// tape is a virtual machine in memory: a block's hash stands for all before it.
type tape struct {
	heads []execution.Head
	firm  int
	last  execution.Block
	// salt makes it another machine, as a defect would.
	salt byte
	// whole refuses blocks that share a second.
	whole bool
}

func newTape(start astria.Parameters) *tape {
	return &tape{heads: []execution.Head{{Number: start.StartNumber - 1, Hash: sha256.Sum256([]byte("genesis")), Height: start.StartHeight - 1, Time: time.Unix(1, 0)}}}
}

func (v *tape) soft() execution.Head { return v.heads[len(v.heads)-1] }

func (v *tape) Open(context.Context) (execution.Session, error) {
	return execution.Session{Soft: v.soft(), Firm: v.heads[v.firm]}, nil
}

func (v *tape) Execute(_ context.Context, parent execution.Hash, b execution.Block) (execution.Result, error) {
	if parent != v.soft().Hash {
		return execution.Result{}, execution.ErrParent
	}
	if v.whole && b.Time.Unix() <= v.soft().Time.Unix() {
		return execution.Result{}, execution.ErrTime
	}
	h := sha256.New()
	h.Write(append(parent[:], v.salt))
	h.Write(binary.BigEndian.AppendUint64(nil, b.Height))
	res := execution.Result{}
	for i, tx := range b.Transactions {
		if len(tx) == 0 {
			res.Skipped = append(res.Skipped, execution.Skipped{Index: i, Reason: "empty", Retry: true})
			continue
		}
		h.Write(tx)
	}
	res.Head = execution.Head{Number: v.soft().Number + 1, Hash: execution.Hash(h.Sum(nil)), Height: b.Height, Time: b.Time}
	v.heads, v.last = append(v.heads, res.Head), b
	return res, nil
}

func (v *tape) SetFirm(_ context.Context, firm execution.Hash) error {
	for i, head := range v.heads {
		if head.Hash == firm && i >= v.firm {
			v.firm = i
			return nil
		}
	}
	return execution.ErrFirm
}

func (v *tape) Close() error { return nil }

// twisted is a service whose answers a test may change on their way out.
type twisted struct {
	*astria.Server
	t   testing.TB
	url string
	dir string
	vm  *tape

	mu      sync.Mutex
	calls   map[string]int
	create  func(*executionv2.ExecutionSession) error
	block   func(*executionv2.ExecutedBlockMetadata) error
	execute func(*executionv2.ExecuteBlockRequest, *executionv2.ExecuteBlockResponse) error
	commit  func(*executionv2.CommitmentState) error
}

// after counts a call and twists its answer.
func after[M any](s *twisted, method string, res *connect.Response[M], err error, twist func(*M) error) (*connect.Response[M], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[method]++
	if err != nil || twist == nil {
		return res, err
	}
	return res, twist(res.Msg)
}

func (s *twisted) CreateExecutionSession(ctx context.Context, req *connect.Request[executionv2.CreateExecutionSessionRequest]) (*connect.Response[executionv2.ExecutionSession], error) {
	res, err := s.Server.CreateExecutionSession(ctx, req)
	return after(s, "create", res, err, s.create)
}

func (s *twisted) GetExecutedBlockMetadata(ctx context.Context, req *connect.Request[executionv2.GetExecutedBlockMetadataRequest]) (*connect.Response[executionv2.ExecutedBlockMetadata], error) {
	res, err := s.Server.GetExecutedBlockMetadata(ctx, req)
	return after(s, "block", res, err, s.block)
}

func (s *twisted) ExecuteBlock(ctx context.Context, req *connect.Request[executionv2.ExecuteBlockRequest]) (*connect.Response[executionv2.ExecuteBlockResponse], error) {
	res, err := s.Server.ExecuteBlock(ctx, req)
	return after(s, "execute", res, err, func(m *executionv2.ExecuteBlockResponse) error {
		if s.execute == nil {
			return nil
		}
		return s.execute(req.Msg, m)
	})
}

func (s *twisted) UpdateCommitmentState(ctx context.Context, req *connect.Request[executionv2.UpdateCommitmentStateRequest]) (*connect.Response[executionv2.CommitmentState], error) {
	res, err := s.Server.UpdateCommitmentState(ctx, req)
	return after(s, "commit", res, err, s.commit)
}

// straight lets answers pass as they are.
func (s *twisted) straight() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.create, s.block, s.execute, s.commit = nil, nil, nil, nil
}

func (s *twisted) count(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[method]
}

func newTwisted(t testing.TB, p astria.Parameters) *twisted {
	t.Helper()
	s := &twisted{t: t, dir: t.TempDir(), vm: newTape(p), calls: map[string]int{}}
	s.restart(p)
	_, handler := executionv2connect.NewExecutionServiceHandler(s)
	s.url = serveHTTP2(t, handler)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// restart puts another server in front of the machine. No call may be under way.
func (s *twisted) restart(p astria.Parameters) {
	s.t.Helper()
	if s.Server != nil {
		if err := s.Close(); err != nil {
			s.t.Fatal(err)
		}
	}
	server, err := astria.NewServer(s.vm, astria.ServerConfig{Parameters: p, Dir: s.dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		s.t.Fatal(err)
	}
	s.Server = server
}

// serveHTTP2 returns the endpoint of a handler.
func serveHTTP2(t testing.TB, handler http.Handler) string {
	t.Helper()
	srv := httptest.NewUnstartedServer(handler)
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	t.Cleanup(srv.Close)
	return "grpc://" + srv.Listener.Addr().String()
}

func (s *twisted) config() astria.Config {
	return astria.Config{
		Endpoint: s.url, RollupID: rollupID, ChainID: "ordo-test", Firm: true, Timeout: 10 * time.Second,
		Logger: slog.New(slog.DiscardHandler),
	}
}

// chain executes n blocks that follow, each with a transaction, and returns the heads.
func chain(t testing.TB, c *astria.Client, n int) []execution.Head {
	t.Helper()
	s, err := c.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	heads := []execution.Head{s.Soft}
	for range n {
		at := heads[len(heads)-1]
		res, err := c.Execute(t.Context(), at.Hash, nextBlock(at))
		if err != nil {
			t.Fatal(err)
		}
		heads = append(heads, res.Head)
	}
	return heads
}

// nextBlock is the sequencer block that the next rollup block is made from.
func nextBlock(at execution.Head) execution.Block {
	return sequencerBlock(at.Height+1, fmt.Appendf(nil, "transaction of %d", at.Height+1))
}
