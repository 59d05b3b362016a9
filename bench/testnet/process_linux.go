package testnet

import "syscall"

// childAttributes keep Ctrl-C from the children, which are stopped in order, and
// let the kernel kill them where the benchmark dies without having stopped them.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
