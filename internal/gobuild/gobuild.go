// Package gobuild builds programs from Go modules of their own, once, into the user's cache
// folder. In go what names a build and how it is made; out comes its folder.
//
// What always holds: a build's folder is there whole or not at all, whatever ended the
// build, and a build of other sources is in another folder.
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

// Fill calls build with a new folder, which then takes the place of dir.
func Fill(dir string, build func(temp string) error) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(filepath.Dir(dir), "build-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temp) }() // gone already where all went well
	if err := build(temp); err != nil {
		return err
	}
	// One that is incomplete is in the way of the rename.
	return errors.Join(os.RemoveAll(dir), os.Chmod(temp, 0o755), os.Rename(temp, dir))
}

// Command is the go command in a module, by itself whatever workspace it lies in. What it
// complains of goes to log.
func Command(ctx context.Context, module string, log io.Writer, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Stderr = module, log
	cmd.Env = append(os.Environ(), "GOWORK=off")
	return cmd
}
