//go:build !linux

package testnet

import "syscall"

// childAttributes keep Ctrl-C from the children, which are stopped in order.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
