package celestia

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/ordo-network/ordo/internal/freeport"
	"github.com/ordo-network/ordo/internal/replace"
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
		if port, err = freeport.Claim(1); err != nil {
			return 0, err
		}
	}
	if !isFree(port) {
		return 0, fmt.Errorf("port %d of the network in %s is taken: end what listens there, or name another port", port, dir)
	}
	if port == kept {
		return port, nil
	}
	// A kill leaves the old port or none; no chain exists with neither.
	if err := replace.File(path, []byte(strconv.Itoa(port)+"\n"), 0o644); err != nil {
		return 0, fmt.Errorf("keep the network's port: %w", err)
	}
	return port, nil
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
