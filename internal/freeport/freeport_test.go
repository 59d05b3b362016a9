package freeport

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// claimed has n ports that are this test's, so that what is listened on, and who has
// what, is in its hands.
func claimed(t *testing.T, n int) (low, high int) {
	t.Helper()
	low, err := Claim(n)
	if err != nil {
		t.Fatal(err)
	}
	return low, low + n
}

func ledgerOf(t *testing.T, low, high int) *ledger {
	t.Helper()
	l, err := openLedger(filepath.Join(t.TempDir(), "claims"), low, high)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestPortsAreListenedOnAtOnce(t *testing.T) {
	low, high := claimed(t, 64)
	for port := low; port < high; port++ {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
	}
}

func TestPortsAreNotTheKernels(t *testing.T) {
	first, err := firstEphemeral()
	if err != nil {
		t.Fatal(err)
	}
	if first < lowest+fewest {
		t.Skipf("the system gives ports away from %d on", first)
	}
	for range 50 {
		if low, high := claimed(t, 7); low < lowest || high > first {
			t.Fatalf("ports from %d to %d, want some from %d to %d", low, high-1, lowest, first-1)
		}
	}
	// What the kernel gives away by itself begins no lower than it says.
	if runtime.GOOS != "linux" {
		return
	}
	for range 200 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		if port := ln.Addr().(*net.TCPAddr).Port; port < first {
			t.Fatalf("the system gave port %d away, and is taken to begin at %d", port, first)
		}
	}
}

func TestPortInUseIsNotHandedOut(t *testing.T) {
	low, high := claimed(t, 5)
	ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", low+2))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	l := ledgerOf(t, low, high)
	if first, err := l.claim(3); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("three in a row from %d, around %d: %v", first, low+2, err)
	}
	got := map[int]bool{}
	for range 2 { // one pair on each side
		first, err := l.claim(2)
		if err != nil {
			t.Fatal(err)
		}
		got[first] = true
	}
	if !got[low] || !got[low+3] {
		t.Errorf("pairs %v, want those at %d and %d", got, low, low+3)
	}
	// What was looked at in vain is not claimed.
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if first, err := l.claim(1); err != nil || first != low+2 {
		t.Errorf("port %d: %v, want %d, which is free now", first, err, low+2)
	}
	if _, err := l.claim(1); !errors.Is(err, errClaimed) || !strings.Contains(err.Error(), "end other tests") {
		t.Errorf("no port is left: %v", err)
	}
}

// The last place to be looked at is found, too, wherever the search begins.
func TestTheOnlyPlaceIsFound(t *testing.T) {
	low, high := claimed(t, 5)
	for _, port := range []int{low + 2, low + 4} {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
	}
	for range 50 {
		if first, err := ledgerOf(t, low, high).claim(2); err != nil || first != low {
			t.Fatalf("ports from %d: %v, want those from %d", first, err, low)
		}
	}
}

func TestCallersAtOnceGetPortsOfTheirOwn(t *testing.T) {
	const callers, each = 8, 50
	low, high := claimed(t, callers*each)
	l := ledgerOf(t, low, high)
	var got [callers][each]int
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			for j := range got[i] {
				var err error
				if got[i][j], err = l.claim(1); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	owner := map[int]int{}
	for i := range got {
		for _, port := range got[i] {
			if other, taken := owner[port]; taken || port < low || port >= high {
				t.Errorf("port %d is caller %d's and caller %d's, among %d to %d", port, other, i, low, high-1)
			}
			owner[port] = i
		}
	}
}

func TestAskedForTooMany(t *testing.T) {
	l := ledgerOf(t, 20_000, 20_010)
	for _, n := range []int{-1, 0, 11} {
		if _, err := l.claim(n); err == nil || !strings.Contains(err.Error(), "want 1 to 10") {
			t.Errorf("%d ports: %v", n, err)
		}
	}
}

func TestFileThatCannotBeOpenedIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nowhere", "claims")
	if _, err := openLedger(path, 1, 2); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "TMPDIR") {
		t.Errorf("error is %v", err)
	}
}
