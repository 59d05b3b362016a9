package rollup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// lockName is the file in a home that the process holds which runs it. It has the
// process's number, for whoever comes second.
const lockName = "LOCK"

// lockHome makes sure that one process alone runs a home. The kernel releases it when the
// process ends, however it ends.
func lockHome(home string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(home, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the home: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = runsAlready(home, f)
		return nil, errors.Join(err, f.Close())
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = fmt.Fprintln(f, os.Getpid())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", home, err), f.Close())
	}
	return f, nil
}

func runsAlready(home string, held *os.File) error {
	var holder [16]byte
	n, _ := held.ReadAt(holder[:], 0) // it may just be writing
	process := strings.TrimSpace(string(holder[:n]))
	if process == "" {
		process = "unknown"
	}
	return fmt.Errorf("another process (%s) runs the rollup node in %s: stop it first, or name the home of another node with --home", process, home)
}

// lockHomes locks all of them or none.
func lockHomes(homes ...string) (unlock func() error, err error) {
	var held []*os.File
	unlock = func() error {
		var errs []error
		for _, f := range held {
			errs = append(errs, f.Close())
		}
		return errors.Join(errs...)
	}
	for _, home := range homes {
		f, err := lockHome(home)
		if err != nil {
			return nil, errors.Join(err, unlock())
		}
		held = append(held, f)
	}
	return unlock, nil
}
