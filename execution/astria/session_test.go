package astria_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/astria"
	executionv2 "github.com/ordo-network/ordo/execution/astria/proto/astria/execution/v2"
)

// fail answers a call with the code, as often as told.
func fail(code connect.Code, times int) func() error {
	return func() error {
		if times--; times < 0 {
			return nil
		}
		return connect.NewError(code, errors.New("no"))
	}
}

func TestSessionsAreRenewed(t *testing.T) {
	t.Parallel()
	for _, code := range []connect.Code{connect.CodePermissionDenied, connect.CodeOutOfRange, connect.CodeFailedPrecondition, connect.CodeUnavailable, connect.CodeAborted} {
		t.Run(code.String(), func(t *testing.T) {
			t.Parallel()
			s := newTwisted(t, parameters())
			c := dial(t, s.config())
			heads := chain(t, c, 2)
			at := heads[2]
			// Said after the fact, as if the answer were lost: nothing is made twice.
			for _, lose := range []string{"execute", "commit"} {
				once := fail(code, 1)
				if lose == "execute" {
					s.execute = func(*executionv2.ExecuteBlockRequest, *executionv2.ExecuteBlockResponse) error { return once() }
				} else {
					s.commit = func(*executionv2.CommitmentState) error { return once() }
				}
				sessions := s.count("create")
				res, err := c.Execute(t.Context(), at.Hash, nextBlock(at))
				if err != nil {
					t.Fatalf("%s was turned down once: %v", lose, err)
				}
				if res.Head != s.vm.soft() || res.Head.Number != at.Number+1 {
					t.Errorf("%s was turned down once: head is %+v, want %+v", lose, res.Head, s.vm.soft())
				}
				if n := s.count("create") - sessions; n != 1 {
					t.Errorf("%s was turned down once: %d sessions were opened, want one", lose, n)
				}
				s.straight()
				at = res.Head
			}
			once := fail(code, 1)
			s.commit = func(*executionv2.CommitmentState) error { return once() }
			if err := c.SetFirm(t.Context(), heads[1].Hash); err != nil {
				t.Errorf("set firm: %v", err)
			}
		})
	}
}

// A client that keeps its newest states in memory comes back from kill -9 far below what
// it has noted as firm, and takes no firm block from before its session then.
func TestFellBelowFirm(t *testing.T) {
	t.Parallel()
	for _, left := range []int{0, 2} {
		s := newTwisted(t, parameters())
		heads := chain(t, dial(t, s.config()), 5)
		s.vm.heads = s.vm.heads[:left+1]
		s.restart(parameters())
		s.create = func(m *executionv2.ExecutionSession) error {
			m.CommitmentState.FirmExecutedBlockMetadata = &executionv2.ExecutedBlockMetadata{Number: heads[4].Number, Hash: "0x04"}
			return nil
		}
		s.commit = func(m *executionv2.CommitmentState) error {
			if m.FirmExecutedBlockMetadata.Number < parameters().StartNumber {
				return connect.NewError(connect.CodeOutOfRange, errors.New("the firm block is none of this session"))
			}
			return nil
		}
		c := dial(t, s.config())
		opened, err := c.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if opened.Soft != heads[left] || opened.Firm != heads[left] {
			t.Errorf("opened at soft %+v and firm %+v, want both at %+v", opened.Soft, opened.Firm, heads[left])
		}
		for i, at := range heads[left:5] {
			res, err := c.Execute(t.Context(), at.Hash, nextBlock(at))
			if err != nil {
				t.Fatal(err)
			}
			if want := heads[left+i+1]; res.Head != want {
				t.Errorf("block %d is %+v, and was %+v", want.Number, res.Head, want)
			}
			if err := c.SetFirm(t.Context(), res.Head.Hash); err != nil {
				t.Error(err)
			}
		}
		if s.vm.firm != 5 {
			t.Errorf("firm is block %d, want 5", s.vm.firm)
		}
	}
}

// Services that know nothing of what Ordo adds do not say what they skip.
func TestSilentService(t *testing.T) {
	t.Parallel()
	s := newTwisted(t, parameters())
	if c := dial(t, s.config()); !c.TellsSkipped() {
		t.Error("Ordo's own service seems to keep to itself what it skips")
	}
	s.create = func(m *executionv2.ExecutionSession) error { m.OrdoTellsSkipped = false; return nil }
	if c := dial(t, s.config()); c.TellsSkipped() {
		t.Error("a service that says nothing seems to")
	}
}

func TestFirmIsRefused(t *testing.T) {
	t.Parallel()
	s := newTwisted(t, parameters())
	c := dial(t, s.config())
	heads := chain(t, c, 3)
	for _, code := range []connect.Code{connect.CodeFailedPrecondition, connect.CodeNotFound} {
		always := fail(code, 100)
		s.block = func(*executionv2.ExecutedBlockMetadata) error { return always() }
		if err := c.SetFirm(t.Context(), heads[1].Hash); !errors.Is(err, execution.ErrFirm) || errors.Is(err, execution.ErrParent) {
			t.Errorf("%s: got error %v, want %v", code, err, execution.ErrFirm)
		}
	}
	s.straight()
	if err := c.SetFirm(t.Context(), heads[1].Hash); err != nil {
		t.Error(err)
	}
}

// Another node that opens sessions on the same service must not be fought for ever.
func TestDeniedForGood(t *testing.T) {
	t.Parallel()
	s := newTwisted(t, parameters())
	c := dial(t, s.config())
	at := chain(t, c, 1)[1]
	for code, want := range map[connect.Code]string{
		connect.CodePermissionDenied:   "another node",
		connect.CodeResourceExhausted:  "size of a message",
		connect.CodeInternal:           "internal",
		connect.CodeInvalidArgument:    "invalid_argument",
		connect.CodeFailedPrecondition: execution.ErrParent.Error(),
	} {
		always := fail(code, 1000)
		before := s.count("execute")
		// Before the block is made: a parent that is none for the service.
		s.execute = func(*executionv2.ExecuteBlockRequest, *executionv2.ExecuteBlockResponse) error {
			s.vm.heads = s.vm.heads[:2]
			return always()
		}
		_, err := c.Execute(t.Context(), at.Hash, nextBlock(at))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want one with %q", code, err, want)
		}
		if n := s.count("execute") - before; n > 5 {
			t.Errorf("%s: the block was sent %d times", code, n)
		}
		s.straight()
	}
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	first := parameters()
	first.EndNumber = 3
	s := newTwisted(t, first)
	c := dial(t, s.config())
	heads := chain(t, c, 3)
	at := heads[3]
	if _, err := c.Execute(t.Context(), at.Hash, nextBlock(at)); !errors.Is(err, execution.ErrAhead) {
		t.Errorf("behind the session's end: got error %v, want %v", err, execution.ErrAhead)
	}
	for _, head := range heads[1:] {
		if err := c.SetFirm(t.Context(), head.Hash); err != nil {
			t.Fatal(err)
		}
	}
	second := parameters()
	second.StartNumber, second.StartHeight, second.EndNumber = 4, 4, 5
	s.restart(second)
	res, err := c.Execute(t.Context(), at.Hash, nextBlock(at))
	if err != nil {
		t.Fatal(err)
	}
	if p := c.Parameters(); p.StartNumber != 4 || p.EndNumber != 5 || res.Head.Height != 4 {
		t.Errorf("parameters are %+v, head %+v: want those of the second session", p, res.Head)
	}

	// Without firm heads there is nothing to wait for.
	s = newTwisted(t, first)
	cfg := s.config()
	cfg.Firm = false
	c = dial(t, cfg)
	at = chain(t, c, 3)[3]
	if _, err := c.Execute(t.Context(), at.Hash, nextBlock(at)); !errors.Is(err, astria.ErrEnded) {
		t.Errorf("the last session is over: got error %v, want %v", err, astria.ErrEnded)
	}
}

func TestSoftWaitsForFirm(t *testing.T) {
	t.Parallel()
	p := parameters()
	p.LookAhead = 2
	s := newTwisted(t, p)
	c := dial(t, s.config())
	heads := chain(t, c, 2)
	at := heads[2]
	for range 2 {
		if _, err := c.Execute(t.Context(), at.Hash, nextBlock(at)); !errors.Is(err, execution.ErrAhead) {
			t.Errorf("got error %v, want %v", err, execution.ErrAhead)
		}
	}
	if err := c.SetFirm(t.Context(), heads[1].Hash); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Execute(t.Context(), at.Hash, nextBlock(at)); err != nil {
		t.Errorf("once firm has moved: %v", err)
	}
	cfg := s.config()
	cfg.Firm = false
	chain(t, dial(t, cfg), 5)
}

func TestWholeSeconds(t *testing.T) {
	t.Parallel()
	s := newTwisted(t, parameters())
	s.vm.whole = true
	c := dial(t, s.config())
	at := chain(t, c, 1)[1]
	b := nextBlock(at) // a tenth of a second on
	if _, err := c.Execute(t.Context(), at.Hash, b); !errors.Is(err, execution.ErrTime) {
		t.Errorf("got error %v, want %v", err, execution.ErrTime)
	}
	b.Time = b.Time.Add(time.Second)
	if _, err := c.Execute(t.Context(), at.Hash, b); err != nil {
		t.Error(err)
	}
}

// A chain may begin anywhere in the order, and anywhere in its own numbers.
func TestHeights(t *testing.T) {
	t.Parallel()
	p := parameters()
	p.StartNumber, p.StartHeight = 1_000_001, 77
	s := newTwisted(t, p)
	c := dial(t, s.config())
	for i, head := range chain(t, c, 3) {
		if head.Number != 1_000_000+uint64(i) || head.Height != 76+uint64(i) {
			t.Errorf("head %d is block %d of height %d", i, head.Number, head.Height)
		}
	}
	at := s.vm.soft()
	for _, height := range []uint64{at.Height, at.Height + 2, 1, 1 << 63} {
		b := nextBlock(at)
		b.Height = height
		if _, err := c.Execute(t.Context(), at.Hash, b); !errors.Is(err, execution.ErrHeight) {
			t.Errorf("height %d after %d: got error %v, want %v", height, at.Height, err, execution.ErrHeight)
		}
	}
}

// Blocks of the order may be gathered, for services that take no two of one second.
func TestGathered(t *testing.T) {
	t.Parallel()
	s := newTwisted(t, parameters())
	s.vm.whole = true
	cfg := s.config()
	cfg.Dir = t.TempDir()
	c := dial(t, cfg)
	pace := execution.Pace{BlockTime: time.Second}
	session, err := c.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	heads := []execution.Head{session.Soft}
	for height := uint64(1); height < 60; height++ {
		at := heads[len(heads)-1]
		b := sequencerBlock(height, []byte("x"))
		if !pace.Due(at, b) {
			continue
		}
		// The answer to some is lost, and some die with the node.
		once := fail(connect.CodeUnavailable, int(height%20/10))
		s.commit = func(*executionv2.CommitmentState) error { return once() }
		res, err := c.Execute(t.Context(), at.Hash, b)
		if err != nil {
			t.Fatal(err)
		}
		if res.Head.Height != height || res.Head.Number != at.Number+1 {
			t.Errorf("head is %+v, want block %d of height %d", res.Head, at.Number+1, height)
		}
		heads = append(heads, res.Head)
		s.straight()
		if len(heads)%2 == 0 {
			if err := c.SetFirm(t.Context(), at.Hash); err != nil {
				t.Error(err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			c = dial(t, cfg)
			session, err := c.Open(t.Context())
			if err != nil || session.Soft != res.Head || session.Firm != at {
				t.Fatalf("session is %+v, %v, want soft %+v and firm %+v", session, err, res.Head, at)
			}
		}
	}
	if n := len(heads); n < 6 || n > 8 {
		t.Errorf("6 seconds made %d blocks", n-1)
	}
	at := heads[len(heads)-1]
	for _, height := range []uint64{at.Height, 1} {
		b := sequencerBlock(height)
		if _, err := c.Execute(t.Context(), at.Hash, b); !errors.Is(err, execution.ErrHeight) {
			t.Errorf("height %d after %d: got error %v, want %v", height, at.Height, err, execution.ErrHeight)
		}
	}
	cfg.Dir = t.TempDir()
	if _, err := astria.Dial(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), cfg.Dir) {
		t.Errorf("heights that were lost: got error %v, want one that names the directory", err)
	}
}

// A service that lost blocks is not fed from the middle.
func TestFallBack(t *testing.T) {
	t.Parallel()
	s := newTwisted(t, parameters())
	c := dial(t, s.config())
	heads := chain(t, c, 5)
	s.vm.heads = s.vm.heads[:3]
	s.restart(parameters())
	if _, err := c.Execute(t.Context(), heads[5].Hash, nextBlock(heads[5])); !errors.Is(err, execution.ErrParent) {
		t.Errorf("got error %v, want %v", err, execution.ErrParent)
	}
	if err := c.SetFirm(t.Context(), heads[4].Hash); !errors.Is(err, execution.ErrFirm) || !errors.Is(err, execution.ErrParent) {
		t.Errorf("set firm to a block that the service has lost: got error %v, want %v and %v", err, execution.ErrFirm, execution.ErrParent)
	}
	for i, head := range chain(t, c, 3) {
		if head != heads[i+2] {
			t.Errorf("block %d is %+v, was %+v", head.Number, head, heads[i+2])
		}
	}
}

func TestDialWaits(t *testing.T) {
	t.Parallel()
	s := newTwisted(t, parameters())
	cfg := s.config()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Endpoint = "grpc://" + ln.Addr().String()
	cfg.Registerer = prometheus.NewRegistry()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	dialled := make(chan error, 1)
	go func() {
		c, err := astria.Dial(t.Context(), cfg)
		if err == nil {
			err = c.Close()
		}
		dialled <- err
	}()
	select {
	case err := <-dialled:
		t.Fatalf("Dial returned before there was a service: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	if ln, err = net.Listen("tcp", ln.Addr().String()); err != nil {
		t.Skip("the port was taken meanwhile")
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, ln) }()
	if err := <-dialled; err != nil {
		t.Errorf("Dial: %v", err)
	}
	stop()
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}
