//go:build !linux

package subprocess

import "syscall"

// Attributes put a process in a group of its own, so that Ctrl-C reaches its parent alone.
// Only Linux can tie a child's life to its parent's.
func Attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
