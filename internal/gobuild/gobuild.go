// Package gobuild builds programs from Go modules of their own, once, into the user's cache
// folder. In go what names a build and how it is made; out comes its folder.
//
// What always holds: a build's folder is there whole or not at all, whatever ended the
// build and however many build at once, and a build of other sources is in another folder.
package gobuild

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/ordo-network/ordo/internal/pause"
)

// EnvCache names the environment variable with the folder that takes builds, in place of
// "ordo" in the user's cache folder.
const EnvCache = "ORDO_CACHE"

// Folder is where a build of a program belongs.
func Folder(program, id string) (string, error) {
	if dir := os.Getenv(EnvCache); dir != "" {
		return filepath.Join(dir, program, id), nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w: set %s", err, EnvCache)
	}
	return filepath.Join(dir, "ordo", program, id), nil
}

// CheckSum checks that a module is the one that a build is named after: id is the beginning
// of the SHA-256 of its go.sum.
func CheckSum(module, id string) error {
	sum, err := os.ReadFile(filepath.Join(module, "go.sum"))
	if err != nil {
		return err
	}
	hash := sha256.Sum256(sum)
	if is := hex.EncodeToString(hash[:])[:len(id)]; is != id {
		return fmt.Errorf("%s/go.sum is of build %s, this program wants %s", module, is, id)
	}
	return nil
}

// Missing tells the first of the files that a folder lacks.
func Missing(dir string, files ...string) error {
	for _, name := range files {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// Fill calls build with a new folder, which then takes the place of dir; unless dir holds the
// files already. Of those who want one build at the same time, one builds and the others wait.
func Fill(ctx context.Context, dir string, files []string, build func(temp string) error) (err error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	lock, err := take(ctx, dir+".lock")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }() // which unlocks
	if Missing(dir, files...) == nil {
		return nil
	}
	temp, err := os.MkdirTemp(filepath.Dir(dir), "build-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temp) }() // gone already where all went well
	if err := build(temp); err != nil {
		return err
	}
	if err := Missing(temp, files...); err != nil {
		return fmt.Errorf("the build lacks a file: %w", err)
	}
	// One that is incomplete is in the way of the rename.
	return errors.Join(os.RemoveAll(dir), os.Chmod(temp, 0o755), os.Rename(temp, dir))
}

// take locks a file, which stays there: the kernel unlocks it when the process ends, and who
// would remove it might take it from another who has just locked it.
func take(ctx context.Context, path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for err = syscall.EWOULDBLOCK; errors.Is(err, syscall.EWOULDBLOCK); {
		if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			return f, nil
		}
		if paused := pause.For(ctx, 100*time.Millisecond); paused != nil {
			err = paused
		}
	}
	return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
}

// Command is the go command in a module, by itself whatever workspace it lies in. What it
// complains of goes to log.
func Command(ctx context.Context, module string, log io.Writer, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Stderr = module, log
	cmd.Env = append(os.Environ(), "GOWORK=off")
	return cmd
}
