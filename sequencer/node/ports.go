package node

import (
	"fmt"
	"net/url"
	"strings"
)

// hostPort is the part of CometBFT's "tcp://host:port" that net understands.
func hostPort(address string) (string, error) {
	if !strings.Contains(address, "://") {
		return address, nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "tcp" {
		return "", fmt.Errorf("address %q, want tcp://host:port", address)
	}
	return u.Host, nil
}
