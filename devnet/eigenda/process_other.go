//go:build !linux

package eigenda

import "syscall"

// childAttributes put the proxy in a process group of its own, so that Ctrl-C reaches
// its parent alone. Only Linux can tie a child's life to its parent's.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
