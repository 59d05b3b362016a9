package layers

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strings"
)

// Config is how to reach one layer. Each layer takes what concerns it and leaves
// the rest.
type Config struct {
	Endpoint  string  `toml:"endpoint" comment:"URL of the layer's node: local http://127.0.0.1:26700, celestia-node http://127.0.0.1:26658,\nEigenDA proxy http://127.0.0.1:3100, Avail light client http://127.0.0.1:7007"`
	Token     string  `toml:"token" comment:"what the node asks for as \"Authorization: Bearer <token>\" (local, celestia, avail); empty: nothing"`
	GasPrice  float64 `toml:"gas_price" comment:"celestia: utia for one unit of gas; 0: what the node proposes"`
	AppID     uint32  `toml:"app_id" comment:"avail: the app ID that all rollups of this deployment share"`
	Namespace string  `toml:"namespace" comment:"celestia: the ten free bytes of a version 0 namespace, in hex; empty: made from the rollup's ID"`
}

// endpoints are examples, for messages.
var endpoints = map[string]string{
	"local":    "http://127.0.0.1:26700",
	"celestia": "http://127.0.0.1:26658",
	"eigenda":  "http://127.0.0.1:3100",
	"avail":    "http://127.0.0.1:7007",
}

// Validate checks the settings of the layer of that name. Field is the table where
// they stand, such as "da" or "layers.celestia": messages begin with it.
// Errors: ErrUnknown, and others.
func (c Config) Validate(name, field string) error {
	if !known(name) {
		return fmt.Errorf("%s: %w", field, unknown(name))
	}
	u, err := url.Parse(c.Endpoint)
	switch {
	case c.Endpoint == "":
		return fmt.Errorf("%s.endpoint is empty, and layer %s needs one, such as %q", field, name, endpoints[name])
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("%s.endpoint is %q, which is not an http or https URL such as %q", field, c.Endpoint, endpoints[name])
	case strings.ContainsFunc(c.Token, func(r rune) bool { return r < ' ' || r > '~' }):
		return fmt.Errorf("%s.token has a line break or another character that no token has: write it on one line, without blanks around it", field)
	case math.IsNaN(c.GasPrice) || math.IsInf(c.GasPrice, 0) || c.GasPrice < 0:
		return fmt.Errorf("%s.gas_price is %v, want 0 or more, such as 0.004", field, c.GasPrice)
	}
	if c.Namespace != "" {
		if _, err := ParseNamespace(c.Namespace); err != nil {
			return fmt.Errorf("%s.namespace: %w", field, err)
		}
	}
	return nil
}

// reserved is how many leading zeros of the free bytes make a namespace Celestia's own.
const reserved = 9

// ParseNamespace returns the Celestia namespace, version 0, of ten free bytes in hex.
func ParseNamespace(text string) (ns [29]byte, err error) {
	const example = "such as 6f72646f2d7465737431"
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != 10 {
		return ns, fmt.Errorf("%q is not ten bytes in hex, %s", text, example)
	}
	copy(ns[len(ns)-len(raw):], raw)
	if strings.HasPrefix(string(raw), strings.Repeat("\x00", reserved)) {
		return ns, errors.New("a namespace of nine zero bytes and one more is reserved by Celestia: choose another, " + example)
	}
	return ns, nil
}
