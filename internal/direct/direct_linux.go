package direct

import (
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// set has the file bypass the cache, if it can.
func set(f vfs.File) bool { return flag(f, unix.O_DIRECT) }

// unset has the file use the cache again, and returns false.
func unset(f vfs.File) bool {
	flag(f, 0)
	return false
}

func flag(f vfs.File, flags int) bool {
	fd := f.Fd()
	if fd == vfs.InvalidFd {
		return false
	}
	// Of the flags that can be changed an open file has no other.
	_, err := unix.FcntlInt(fd, unix.F_SETFL, flags)
	return err == nil
}
