package devnet

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ordo-network/ordo/test/await"
)

// TestMain lets the test binary stand in for the children, which are commands of
// the devnet's own binary.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "child-that-stops":
			c := make(chan os.Signal, 1)
			signal.Notify(c, syscall.SIGTERM)
			fmt.Println("ready")
			<-c
			os.Exit(0)
		case "child-that-refuses":
			signal.Ignore(syscall.SIGTERM)
			fmt.Println("ready")
			select {}
		case "child-that-fails":
			fmt.Println("config.toml, line 3: no such setting")
			os.Exit(3)
		case "parent":
			actAsParent(os.Args[2])
			select {}
		}
	}
	// A dependency of the Cosmos SDK starts it when the program starts.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/desertbit/timer.timerRoutine"))
}

type recorder struct {
	mu     sync.Mutex
	events []Event
	more   chan struct{}
}

func newRecorder() *recorder { return &recorder{more: make(chan struct{}, 1024)} }

func (r *recorder) report(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	r.more <- struct{}{}
}

// next waits for the first event of a kind, after those that earlier calls returned.
func (r *recorder) next(t *testing.T, kind Kind) Event {
	t.Helper()
	deadline := time.After(await.Limit)
	for {
		r.mu.Lock()
		for i, e := range r.events {
			if e.Kind == kind {
				r.events = slices.Delete(r.events, i, i+1)
				r.mu.Unlock()
				return e
			}
		}
		r.mu.Unlock()
		select {
		case <-r.more:
		case <-deadline:
			t.Fatalf("no event %q; there are %v", kind, r.events)
		}
	}
}

func newSupervisor(t *testing.T, dir string, report func(Event)) *supervisor {
	t.Helper()
	return &supervisor{
		binary: os.Args[0], grace: await.Limit, report: report, kill: context.Background(),
		pids: map[string]int{}, pidsFile: filepath.Join(dir, processesName),
	}
}

func testChild(dir, mode string, stage int) child {
	return child{name: mode, stage: stage, args: []string{mode}, log: filepath.Join(dir, logsName, mode+".log")}
}

// waitLog waits for a line in a child's log: the child has set its signals up.
func waitLog(t *testing.T, c child, line string) {
	t.Helper()
	await.Until(t, "the line "+line+" in "+c.log, func() bool {
		raw, _ := os.ReadFile(c.log)
		return strings.Contains(string(raw), line)
	})
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

func TestDeadChildIsStartedAgain(t *testing.T) {
	t.Parallel()
	dir, events := t.TempDir(), newRecorder()
	s := newSupervisor(t, dir, events.report)
	s.start([]child{testChild(dir, "child-that-stops", stageRollup)})
	defer s.stop()

	first := events.next(t, Started)
	if err := syscall.Kill(first.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	died := events.next(t, Died)
	if died.Err == nil || died.Err.Error() != "signal: killed" || died.Wait <= 0 {
		t.Errorf("its death is told as %v, again in %v", died.Err, died.Wait)
	}
	second := events.next(t, Started)
	if second.PID == first.PID || !alive(second.PID) {
		t.Errorf("process %d came after %d", second.PID, first.PID)
	}
	await.Until(t, "the process ID in its file", func() bool {
		raw, err := os.ReadFile(s.pidsFile)
		var pids map[string]int
		return err == nil && json.Unmarshal(raw, &pids) == nil && pids["child-that-stops"] == second.PID
	})
}

func TestChildThatFailsIsQuoted(t *testing.T) {
	t.Parallel()
	dir, events := t.TempDir(), newRecorder()
	s := newSupervisor(t, dir, events.report)
	s.start([]child{testChild(dir, "child-that-fails", stageRollup)})
	defer s.stop()
	first, second := events.next(t, Died), events.next(t, Died)
	if want := "exit status 3: config.toml, line 3: no such setting"; first.Err.Error() != want {
		t.Errorf("error is %q, want %q", first.Err, want)
	}
	if second.Wait <= first.Wait {
		t.Errorf("it is started again after %v, then %v: the wait must grow", first.Wait, second.Wait)
	}
}

func TestChildrenStopInOrder(t *testing.T) {
	t.Parallel()
	dir, events := t.TempDir(), newRecorder()
	s := newSupervisor(t, dir, events.report)
	var all []child
	for stage, name := range []string{"rollup", "relayer", "validator"} {
		c := testChild(dir, "child-that-stops", stage)
		c.name, c.log = name, filepath.Join(dir, name+".log")
		all = append(all, c)
	}
	s.start(all)
	for _, c := range all {
		waitLog(t, c, "ready")
	}
	s.stop()
	for _, c := range all {
		if e := events.next(t, Stopped); e.Child != c.name || e.Err != nil {
			t.Errorf("%s stopped with %v, want %s without an error", e.Child, e.Err, c.name)
		}
	}
}

func TestChildThatDoesNotStopIsKilled(t *testing.T) {
	t.Parallel()
	for name, arrange := range map[string]func(s *supervisor) (hurry func()){
		"after the grace period": func(s *supervisor) func() {
			s.grace = 50 * time.Millisecond
			return func() {}
		},
		"at once when asked": func(s *supervisor) func() {
			ctx, cancel := context.WithCancel(context.Background())
			s.kill = ctx
			return cancel
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, events := t.TempDir(), newRecorder()
			s := newSupervisor(t, dir, events.report)
			hurry := arrange(s)
			c := testChild(dir, "child-that-refuses", stageRollup)
			s.start([]child{c})
			pid := events.next(t, Started).PID
			waitLog(t, c, "ready")
			hurried := time.AfterFunc(50*time.Millisecond, hurry)
			defer hurried.Stop()
			began := time.Now()
			s.stop()
			if took := time.Since(began); took > await.Limit/2 {
				t.Errorf("stopping took %v", took)
			}
			if alive(pid) {
				t.Errorf("process %d is there", pid)
			}
			if e := events.next(t, Stopped); e.Err == nil {
				t.Error("that it had to be killed is not told")
			}
		})
	}
}

// actAsParent starts a child and says its process ID.
func actAsParent(dir string) {
	s := &supervisor{
		binary: os.Args[0], grace: time.Minute, kill: context.Background(),
		pids: map[string]int{}, pidsFile: filepath.Join(dir, processesName),
		report: func(e Event) { fmt.Println(e.PID) },
	}
	s.start([]child{testChild(dir, "child-that-refuses", stageRollup)})
}

func TestNoChildOutlivesADevnetThatIsKilled(t *testing.T) {
	t.Parallel()
	parent := exec.Command(os.Args[0], "parent", t.TempDir())
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || !alive(child) {
		t.Fatalf("the child's process ID is %q: %v", line, err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := parent.Wait(); !errors.As(err, &exit) {
		t.Fatal(err)
	}
	await.Until(t, "the end of the child", func() bool { return !alive(child) || zombie(child) })
}

// zombie tells whether a process has ended and nobody has collected it: in a
// container without an init that stays so.
func zombie(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(raw), ") Z ")
}

func TestLinesAreHandedOnWhole(t *testing.T) {
	t.Parallel()
	var got []string
	w := &lineWriter{emit: func(line []byte) { got = append(got, string(line)) }}
	for _, piece := range []string{"on", "e\ntwo\nth", "ree", "\n", "\nrest"} {
		if n, err := w.Write([]byte(piece)); err != nil || n != len(piece) {
			t.Fatal(n, err)
		}
	}
	if want := []string{"one", "two", "three", ""}; !slices.Equal(got, want) {
		t.Errorf("lines are %q, want %q", got, want)
	}
}
