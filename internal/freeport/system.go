package freeport

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// rangeFile is where Linux tells the first and the last port that it gives away by itself.
const rangeFile = "/proc/sys/net/ipv4/ip_local_port_range"

// usualEphemeral is the first of those ports by default on Linux; macOS begins at 49152.
const usualEphemeral = 32768

// firstEphemeral returns the first port that the kernel gives to outgoing connections and
// to listeners on port 0.
func firstEphemeral() (int, error) {
	raw, err := os.ReadFile(rangeFile)
	if errors.Is(err, fs.ErrNotExist) {
		return usualEphemeral, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the range of ports of outgoing connections: %w", err)
	}
	var first, last int
	if _, err := fmt.Sscan(string(raw), &first, &last); err != nil {
		return 0, fmt.Errorf("read the range of ports of outgoing connections: %s has %q, want two numbers", rangeFile, raw)
	}
	return first, nil
}

// listenable tells by an error why a port of loopback cannot be listened on now. It does
// what net.Listen does, but while the lock is held that keeps the process from forking:
// else a child that starts just then would have the socket until it executes its
// program, and the port would be in use after this returned.
func listenable(port int) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer func() { _ = syscall.Close(fd) }() // it carried nothing
	// Connections that have ended, and which TCP remembers for a minute, are no hindrance.
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	return os.NewSyscallError("listen", syscall.Listen(fd, 1))
}
