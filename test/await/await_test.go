package await_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ordo-network/ordo/test/await"
)

// observed notes how a test failed, and goes on where that test would end.
type observed struct {
	testing.TB
	failure string
}

func (o *observed) Helper() {}

func (o *observed) Fatalf(format string, args ...any) {
	o.failure = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// run runs a test of its own and returns how it failed, if it did.
func run(t *testing.T, test func(t testing.TB)) string {
	t.Helper()
	o := &observed{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(o)
	}()
	<-done
	return o.failure
}

// What comes, however late, is waited for; what does not come fails the test by its name.
func TestAwait(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		after time.Duration
		fails bool
	}{{"at once", 0, false}, {"late", await.Limit - time.Second, false}, {"never", 2 * await.Limit, true}} {
		for what, test := range map[string]func(t testing.TB, due time.Time){
			"condition": func(t testing.TB, due time.Time) {
				t.Helper()
				await.Until(t, "the condition holds", func() bool { return !time.Now().Before(due) })
			},
			"value": func(t testing.TB, due time.Time) {
				t.Helper()
				ch := make(chan int, 1)
				time.AfterFunc(time.Until(due), func() { ch <- 7 })
				if got := await.Receive(t, "the value", ch); got != 7 {
					t.Errorf("received %d", got)
				}
			},
			"call": func(t testing.TB, due time.Time) {
				t.Helper()
				select {
				case <-await.Context(t).Done():
					t.Fatalf("the call's context is over")
				case <-time.After(time.Until(due)):
				}
			},
		} {
			t.Run(what+" "+c.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					began := time.Now()
					failure := run(t, func(t testing.TB) { t.Helper(); test(t, began.Add(c.after)) })
					if (failure != "") != c.fails || c.fails && !strings.Contains(failure, "the "+what) {
						t.Errorf("it failed with %q, should it: %v", failure, c.fails)
					}
					if took := time.Since(began); !c.fails && took > c.after+time.Second || c.fails && took > await.Limit+time.Second {
						t.Errorf("it took %v", took)
					}
				})
			})
		}
	}
}
