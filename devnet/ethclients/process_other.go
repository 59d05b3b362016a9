//go:build !linux

package ethclients

import "syscall"

// childAttributes put the client in a process group of its own, so that Ctrl-C reaches
// its parent alone. Only Linux can tie a child's life to its parent's.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
