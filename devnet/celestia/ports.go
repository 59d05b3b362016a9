package celestia

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// endpointPort returns the port of the bridge's JSON-RPC. A network keeps it, because
// those who use the network have it in their settings: the one that was asked for, else
// the one it had, else one that is free.
func endpointPort(dir string, asked int) (int, error) {
	path := filepath.Join(dir, "port.json")
	var kept int
	raw, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(raw, &kept)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("read the network's port: %w", err)
	}
	port := asked
	if port == 0 {
		port = kept
	}
	if port == 0 {
		if port, err = freePort(); err != nil {
			return 0, err
		}
	}
	if !isFree(port) {
		return 0, fmt.Errorf("port %d of the network in %s is taken: end what listens there, or name another port", port, dir)
	}
	if port == kept {
		return port, nil
	}
	// A kill between the two leaves the old port or none; no chain exists with neither.
	next := path + ".new"
	if err := errors.Join(os.WriteFile(next, []byte(strconv.Itoa(port)+"\n"), 0o644), os.Rename(next, path)); err != nil {
		return 0, fmt.Errorf("keep the network's port: %w", err)
	}
	return port, nil
}

// freePort returns a port that is free on loopback now. It lies below those that the
// system gives to outgoing connections, so that it stays free until it is used.
func freePort() (int, error) {
	const low, high, attempts = 10_000, 32_000, 100
	for range attempts {
		if port := low + rand.IntN(high-low); isFree(port) {
			return port, nil
		}
	}
	return 0, errors.New("find a free port: too many between 10000 and 32000 are taken")
}

// isFree asks by a connection: a socket that is bound to see whether it can be is still
// there for a moment after it was closed when the program forks just then.
func isFree(port int) bool {
	conn, err := net.DialTimeout("tcp", loopback(port), time.Second) //nolint:noctx // one second, on this machine
	if err != nil {
		return errors.Is(err, syscall.ECONNREFUSED)
	}
	_ = conn.Close() // it was good for the answer alone
	return false
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
