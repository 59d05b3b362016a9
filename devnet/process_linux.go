package devnet

import "syscall"

// childAttributes put a child in a process group of its own, so that Ctrl-C
// reaches the devnet alone, which then stops the children in order; and let the
// kernel kill the child when the devnet dies without having stopped it.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
