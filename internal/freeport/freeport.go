// Package freeport finds TCP ports on loopback for programs that are told their ports
// before they listen: networks of tests and benchmarks. In goes how many ports in a row,
// out comes the first of them.
//
// What always holds: the ports lie below those that the kernel gives to outgoing
// connections and to listeners on port 0, so that neither takes one by chance (where the
// system leaves such ports); at that
// moment each of them could be listened on; and no other call gets one of them, in this
// process or in another of the same user with the same directory for temporary files,
// until this process ends, however it ends. A port that is handed to a child process is
// the parent's claim.
package freeport

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// lowest leaves out the ports below it: they are where people look for well-known services.
const lowest = 10_000

// fewest is how many ports there must be. Where the kernel gives away ports from so low on
// that fewer are left, they end where it begins as a rule: then one may be taken by chance.
const fewest = 4096

// Claim returns the first of n ports in a row, which are the caller's until this process
// ends. Nothing listens on them yet.
func Claim(n int) (first int, err error) {
	l, err := process()
	if err != nil {
		return 0, fmt.Errorf("find free ports: %w", err)
	}
	return l.claim(n)
}

// process is the one ledger of this process.
var process = sync.OnceValues(func() (*ledger, error) {
	end, err := firstEphemeral()
	if err != nil {
		return nil, err
	}
	if end < lowest+fewest {
		end = usualEphemeral // of too few ports two processes would not find enough
	}
	// The name never changes, so that there is one file for each user.
	path := filepath.Join(os.TempDir(), "ordo-ports-"+strconv.Itoa(os.Getuid()))
	return openLedger(path, lowest, end)
})
