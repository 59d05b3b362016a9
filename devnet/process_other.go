//go:build !linux

package devnet

import "syscall"

// childAttributes put a child in a process group of its own, so that Ctrl-C
// reaches the devnet alone, which then stops the children in order. Only Linux can
// tie a child's life to its parent's.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
