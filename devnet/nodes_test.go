package devnet

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
)

// fakeNode is a node without processes.
type fakeNode struct {
	done    chan struct{}
	stopped chan struct{}
}

func (n *fakeNode) Done() <-chan struct{} { return n.done }
func (n *fakeNode) pids() []int           { return []int{os.Getpid()} }
func (n *fakeNode) Stop() error {
	close(n.stopped)
	return nil
}

func TestNodeOfALayerIsStartedAgain(t *testing.T) {
	t.Parallel()
	r := newRecorder()
	s := newSupervisor(t, t.TempDir(), r.report)
	starts := make(chan *fakeNode, 3)
	first, begin := true, make(chan struct{})
	s.start(nil, daNode{
		name: "eigenda", processes: []string{"proxy"}, forgets: true,
		start: func(context.Context) (runningNode, error) {
			<-begin
			if first {
				first = false
				return nil, errors.New("its port is taken")
			}
			n := &fakeNode{make(chan struct{}), make(chan struct{})}
			starts <- n
			return n, nil
		},
	})
	if got := s.missing(nil); len(got) != 1 || got[0] != "DA layer eigenda" {
		t.Errorf("missing are %v before it runs", got)
	}
	close(begin)
	if e := r.next(t, Died); e.Child != "eigenda" || !strings.Contains(e.Err.Error(), "port is taken") {
		t.Errorf("the failed start is told as %+v", e)
	}
	if e := r.next(t, Started); e.Child != "proxy" || e.PID != os.Getpid() {
		t.Errorf("the start is told as %+v", e)
	}
	if got := s.missing(nil); len(got) != 0 {
		t.Errorf("missing are %v while it runs", got)
	}
	close((<-starts).done)
	if e := r.next(t, Died); !errors.Is(e.Err, errForgotten) {
		t.Errorf("its end is told as %+v", e)
	}
	r.next(t, Started)
	s.stop()
	if e := r.next(t, Stopped); e.Err != nil {
		t.Errorf("its stop is told as %+v", e)
	}
	<-(<-starts).stopped
	if _, there := s.pids["proxy"]; there || s.total != 1 {
		t.Errorf("the processes are %v of %d", s.pids, s.total)
	}
}
