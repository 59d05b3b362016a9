package subprocess

import "syscall"

// Attributes put a process in a group of its own, so that Ctrl-C reaches its parent alone,
// and let the kernel kill it when the parent dies without having stopped it. The kernel
// takes the thread that started the process for the parent: it must live as long, see
// runtime.LockOSThread.
func Attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
