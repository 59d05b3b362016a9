package celestia

import "syscall"

// childAttributes put a process in a group of its own, so that Ctrl-C reaches its
// parent alone, and let the kernel kill it when the parent dies without having stopped
// it.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
