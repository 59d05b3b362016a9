package astria_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/astria"
	executionv2 "github.com/ordo-network/ordo/execution/astria/proto/astria/execution/v2"
	executionv1 "github.com/ordo-network/ordo/execution/astria/proto/ordo/execution/v1"
)

func TestSessionsAreChecked(t *testing.T) {
	t.Parallel()
	s := newTwisted(t, parameters())
	soft := func(change func(*executionv2.ExecutedBlockMetadata)) func(*executionv2.ExecutionSession) {
		return func(m *executionv2.ExecutionSession) { change(m.CommitmentState.SoftExecutedBlockMetadata) }
	}
	for name, test := range map[string]struct {
		change func(*executionv2.ExecutionSession)
		want   error
	}{
		"no name":        {func(m *executionv2.ExecutionSession) { m.SessionId = "" }, astria.ErrProtocol},
		"a long name":    {func(m *executionv2.ExecutionSession) { m.SessionId = strings.Repeat("x", 1000) }, astria.ErrProtocol},
		"no parameters":  {func(m *executionv2.ExecutionSession) { m.ExecutionSessionParameters = nil }, astria.ErrProtocol},
		"no rollup":      {func(m *executionv2.ExecutionSession) { m.ExecutionSessionParameters.RollupId = nil }, astria.ErrProtocol},
		"another rollup": {func(m *executionv2.ExecutionSession) { m.ExecutionSessionParameters.RollupId.Inner[0] ^= 1 }, astria.ErrOther},
		"another chain":  {func(m *executionv2.ExecutionSession) { m.ExecutionSessionParameters.SequencerChainId = "other" }, astria.ErrOther},
		"starts at 0":    {func(m *executionv2.ExecutionSession) { m.ExecutionSessionParameters.RollupStartBlockNumber = 0 }, astria.ErrProtocol},
		"starts beyond":  {func(m *executionv2.ExecutionSession) { m.ExecutionSessionParameters.RollupStartBlockNumber = 1 << 63 }, astria.ErrProtocol},
		"starts later":   {func(m *executionv2.ExecutionSession) { m.ExecutionSessionParameters.RollupStartBlockNumber = 7 }, astria.ErrProtocol},
		"starts behind what it lost": {func(m *executionv2.ExecutionSession) {
			m.ExecutionSessionParameters.RollupStartBlockNumber = 7
			m.CommitmentState.FirmExecutedBlockMetadata.Number = 9
		}, astria.ErrProtocol},
		"height 0": {func(m *executionv2.ExecutionSession) { m.ExecutionSessionParameters.SequencerStartBlockHeight = 0 }, astria.ErrProtocol},
		"a vast height": {func(m *executionv2.ExecutionSession) {
			m.ExecutionSessionParameters.SequencerStartBlockHeight = 1<<64 - 1
		}, astria.ErrProtocol},
		"ends early": {func(m *executionv2.ExecutionSession) {
			m.ExecutionSessionParameters.RollupStartBlockNumber = 2
			m.ExecutionSessionParameters.RollupEndBlockNumber = 1
		}, astria.ErrProtocol},
		"no state":         {func(m *executionv2.ExecutionSession) { m.CommitmentState = nil }, astria.ErrProtocol},
		"no firm block":    {func(m *executionv2.ExecutionSession) { m.CommitmentState.FirmExecutedBlockMetadata = nil }, astria.ErrProtocol},
		"firm beside soft": {func(m *executionv2.ExecutionSession) { m.CommitmentState.FirmExecutedBlockMetadata.Hash = "0x12" }, astria.ErrProtocol},
		"no hash":          {soft(func(m *executionv2.ExecutedBlockMetadata) { m.Hash = "" }), astria.ErrProtocol},
		"a long hash":      {soft(func(m *executionv2.ExecutedBlockMetadata) { m.Hash = strings.Repeat("a", 1000) }), astria.ErrProtocol},
		"a long parent":    {soft(func(m *executionv2.ExecutedBlockMetadata) { m.ParentHash = strings.Repeat("a", 1000) }), astria.ErrProtocol},
		"a vast number":    {soft(func(m *executionv2.ExecutedBlockMetadata) { m.Number = 1<<64 - 1 }), astria.ErrProtocol},
		"no time":          {soft(func(m *executionv2.ExecutedBlockMetadata) { m.Timestamp = nil }), astria.ErrProtocol},
		"no such time":     {soft(func(m *executionv2.ExecutedBlockMetadata) { m.Timestamp = &timestamppb.Timestamp{Seconds: 1 << 62} }), astria.ErrProtocol},
	} {
		s.straight()
		s.create = func(m *executionv2.ExecutionSession) error { test.change(m); return nil }
		before := s.count("create")
		if _, err := astria.Dial(t.Context(), s.config()); !errors.Is(err, test.want) {
			t.Errorf("%s: got error %v, want %v", name, err, test.want)
		}
		if n := s.count("create") - before; n != 1 {
			t.Errorf("%s: %d sessions were opened, want one", name, n)
		}
	}
	s.straight()
	dial(t, s.config())
}

func TestBlocksAreChecked(t *testing.T) {
	t.Parallel()
	s := newTwisted(t, parameters())
	c := dial(t, s.config())
	heads := chain(t, c, 3)
	at := heads[3]
	b := nextBlock(at)
	meta := func(change func(*executionv2.ExecutedBlockMetadata)) func(*executionv2.ExecuteBlockResponse) {
		return func(m *executionv2.ExecuteBlockResponse) { change(m.ExecutedBlockMetadata) }
	}
	skipped := func(index ...uint32) func(*executionv2.ExecuteBlockResponse) {
		return func(m *executionv2.ExecuteBlockResponse) {
			for _, i := range index {
				m.OrdoSkipped = append(m.OrdoSkipped, &executionv1.Skipped{Index: i})
			}
		}
	}
	refused := func(what string) {
		t.Helper()
		if _, err := c.Execute(t.Context(), at.Hash, b); !errors.Is(err, astria.ErrProtocol) {
			t.Errorf("%s: got error %v, want %v", what, err, astria.ErrProtocol)
		}
		s.straight()
		if n := s.count("commit"); n != 3 {
			t.Errorf("%s: committed %d times, want the 3 of before", what, n)
		}
	}
	for name, change := range map[string]func(*executionv2.ExecuteBlockResponse){
		"no block":               func(m *executionv2.ExecuteBlockResponse) { m.ExecutedBlockMetadata = nil },
		"the same number":        meta(func(m *executionv2.ExecutedBlockMetadata) { m.Number-- }),
		"a number that jumps":    meta(func(m *executionv2.ExecutedBlockMetadata) { m.Number += 5 }),
		"a vast number":          meta(func(m *executionv2.ExecutedBlockMetadata) { m.Number = 1<<64 - 1 }),
		"another parent":         meta(func(m *executionv2.ExecutedBlockMetadata) { m.ParentHash = m.Hash }),
		"the parent's hash":      meta(func(m *executionv2.ExecutedBlockMetadata) { m.Hash = m.ParentHash }),
		"no hash":                meta(func(m *executionv2.ExecutedBlockMetadata) { m.Hash = "" }),
		"another source":         meta(func(m *executionv2.ExecutedBlockMetadata) { m.SequencerBlockHash = strings.Repeat("ab", 32) }),
		"a source that is none":  meta(func(m *executionv2.ExecutedBlockMetadata) { m.SequencerBlockHash = "block 4" }),
		"a time that falls":      meta(func(m *executionv2.ExecutedBlockMetadata) { m.Timestamp.Seconds -= 10 }),
		"no time":                meta(func(m *executionv2.ExecutedBlockMetadata) { m.Timestamp = nil }),
		"skipped what is not":    skipped(1),
		"skipped twice":          skipped(0, 0),
		"skipped far beyond":     skipped(1<<32 - 1),
		"skipped down the order": skipped(1, 0),
	} {
		s.execute = func(_ *executionv2.ExecuteBlockRequest, m *executionv2.ExecuteBlockResponse) error {
			change(m)
			return nil
		}
		refused(name)
	}
	// What was refused left no trace: the block is made as ever.
	res, err := c.Execute(t.Context(), at.Hash, b)
	if err != nil {
		t.Fatal(err)
	}
	// Heads of a service that claims to have moved elsewhere are not taken over.
	s.commit = func(m *executionv2.CommitmentState) error { m.SoftExecutedBlockMetadata.Number += 2; return nil }
	if _, err := c.Execute(t.Context(), res.Head.Hash, nextBlock(res.Head)); !errors.Is(err, astria.ErrProtocol) {
		t.Errorf("a soft block that jumps: got error %v, want %v", err, astria.ErrProtocol)
	}
	s.straight()
	for name, change := range map[string]func(*executionv2.ExecutedBlockMetadata){
		"another number": func(m *executionv2.ExecutedBlockMetadata) { m.Number++ },
		"another parent": func(m *executionv2.ExecutedBlockMetadata) { m.ParentHash = "0x11" },
		"no hash":        func(m *executionv2.ExecutedBlockMetadata) { m.Hash = "" },
	} {
		s.block = func(m *executionv2.ExecutedBlockMetadata) error { change(m); return nil }
		if err := c.SetFirm(t.Context(), heads[2].Hash); !errors.Is(err, astria.ErrProtocol) {
			t.Errorf("look up a block, %s: got error %v, want %v", name, err, astria.ErrProtocol)
		}
	}
	s.straight()
	if err := c.SetFirm(t.Context(), heads[2].Hash); err != nil {
		t.Error(err)
	}
}

// A machine that executes the same block in two ways is found out.
func TestDisagree(t *testing.T) {
	t.Parallel()
	s := newTwisted(t, parameters())
	c := dial(t, s.config())
	at := chain(t, c, 2)[2]
	lost := func() {
		s.vm.heads, s.vm.salt = s.vm.heads[:len(s.vm.heads)-1], s.vm.salt+1
	}
	// The service crashes before it commits, loses the block, and makes another one.
	s.commit = func(*executionv2.CommitmentState) error {
		lost()
		s.commit = nil
		return connect.NewError(connect.CodeUnavailable, errors.New("crash"))
	}
	if _, err := c.Execute(t.Context(), at.Hash, nextBlock(at)); !errors.Is(err, execution.ErrDisagree) {
		t.Errorf("got error %v, want %v", err, execution.ErrDisagree)
	}

	s = newTwisted(t, parameters())
	c = dial(t, s.config())
	at = chain(t, c, 2)[2]
	lost()
	if _, err := s.vm.Execute(t.Context(), s.vm.soft().Hash, nextBlock(s.vm.soft())); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Open(t.Context()); !errors.Is(err, execution.ErrDisagree) {
		t.Errorf("open: got error %v, want %v", err, execution.ErrDisagree)
	}
	if _, err := c.Execute(t.Context(), at.Hash, nextBlock(at)); err == nil {
		t.Error("execute on a service that disagrees: want an error")
	}
}

func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	s := newTwisted(t, parameters())
	c := dial(t, s.config())
	at := chain(t, c, 1)[1]
	s.execute = func(_ *executionv2.ExecuteBlockRequest, m *executionv2.ExecuteBlockResponse) error {
		m.ExecutedBlockMetadata.Hash = strings.Repeat("a", 20<<20)
		return nil
	}
	if _, err := c.Execute(t.Context(), at.Hash, nextBlock(at)); connect.CodeOf(err) != connect.CodeResourceExhausted {
		t.Errorf("got error %v, want resource exhausted", err)
	}
}

// Whatever answers at the address, Dial waits for a service as long as it may, and says
// what was wrong.
func TestNoService(t *testing.T) {
	t.Parallel()
	listen := func(serve func(net.Conn)) string {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close() })
		go func() {
			for {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				go serve(conn)
			}
		}()
		return "grpc://" + ln.Addr().String()
	}
	for name, endpoint := range map[string]string{
		"silence":    listen(func(c net.Conn) { <-t.Context().Done(); c.Close() }),
		"hang up":    listen(func(c net.Conn) { c.Close() }),
		"garbage":    listen(func(c net.Conn) { _, _ = c.Write([]byte(strings.Repeat("garbage\r\n", 10000))); c.Close() }),
		"a web page": serveHTTP2(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) })),
		"no one":     "grpc://127.0.0.1:1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			cfg := newTwisted(t, parameters()).config()
			cfg.Endpoint = endpoint
			_, err := astria.Dial(ctx, cfg)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got error %v, want that time is up", err)
			}
		})
	}
	for _, endpoint := range []string{"", "127.0.0.1:50051", "http://127.0.0.1:1", "grpc://", "grpc://u:p@host:1", "grpc://host:1/path", "grpc://host:1?x"} {
		if _, err := astria.Dial(t.Context(), astria.Config{Endpoint: endpoint}); err == nil || !strings.Contains(err.Error(), "grpc://host:port") {
			t.Errorf("endpoint %q: got error %v, want one that says what is expected", endpoint, err)
		}
	}
}
