// Package replace writes files as a whole. In go a path and what is to stand there.
//
// What always holds: whoever reads the path, and whoever starts after a crash of the process or
// of the machine, finds what was there before or what is there now, and never a part. What
// a call has returned for is on disk.
package replace

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// File puts a file in the place of what is at the path, if anything is.
func File(path string, content []byte, mode fs.FileMode) error {
	temp, err := beside(path, content, mode)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return syncDir(filepath.Dir(path))
}

// New puts a file where nothing is. Errors: fs.ErrExist.
func New(path string, content []byte, mode fs.FileMode) error {
	temp, err := beside(path, content, mode)
	if err != nil {
		return err
	}
	// A link, unlike a rename, fails where a file is already.
	if err := errors.Join(os.Link(temp, path), os.Remove(temp)); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// Leftover tells whether that is the name of what a crash left of a write of the file.
func Leftover(name, file string) bool { return strings.HasPrefix(name, part(file)) }

func part(file string) string { return "." + file + "-" }

// beside writes a new file into the path's folder, and makes its content durable: of a name that
// is durable before its content is, a crash of the machine leaves an empty file.
func beside(path string, content []byte, mode fs.FileMode) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), part(filepath.Base(path))+"*") // with mode 0600
	if err != nil {
		return "", err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
