package ethclients

import "syscall"

// childAttributes put the client in a process group of its own, so that Ctrl-C reaches
// its parent alone, and let the kernel kill it when the parent dies without having
// stopped it.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
