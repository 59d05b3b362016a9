// Package await gives tests what must come: a condition, a value, the end of a call.
//
// A condition or a channel comes in, and the test goes on once it holds or has a value. What
// never comes fails the test by its name. There is one limit for all, of minutes: where all is
// well nobody waits for it, and a shorter one would measure the machine, not what is tested.
package await

import (
	"context"
	"testing"
	"time"
)

// Limit is how long anything that must come may take: minutes, for a machine that has much else
// to do, and well below what `go test` gives all tests of a package.
const Limit = 2 * time.Minute

// pause is between two looks at a condition.
const pause = 2 * time.Millisecond

// Until waits until ok holds. It ends the goroutine where it does not, as t.Fatal does.
func Until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(Limit); !ok(); time.Sleep(pause) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", Limit, what)
		}
	}
}

// Receive waits for a value, or for the end of the channel.
func Receive[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	late := time.NewTimer(Limit)
	defer late.Stop()
	select {
	case v := <-ch:
		return v
	case <-late.C:
		t.Fatalf("not within %v: %s", Limit, what)
		panic("unreachable")
	}
}

// Context returns one that ends with the test, or after the limit: for calls that must come to
// an end, and cannot hold the test up where they do not.
func Context(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Limit)
	t.Cleanup(cancel)
	return ctx
}
