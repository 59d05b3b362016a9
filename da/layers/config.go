package layers

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strings"

	"github.com/ordo-network/ordo/da/eigenda"
)

// Config is how to reach one layer. Each layer takes what concerns it and leaves
// the rest.
type Config struct {
	Endpoint     string  `toml:"endpoint" comment:"URL of the layer's node: local http://127.0.0.1:26700, celestia-node http://127.0.0.1:26658,\nEigenDA proxy http://127.0.0.1:3100, Avail light client http://127.0.0.1:7007"`
	Token        string  `toml:"token" comment:"what the node, or a proxy before it, asks for as \"Authorization: Bearer <token>\"; empty: nothing"`
	GasPrice     float64 `toml:"gas_price" comment:"celestia: utia for one unit of gas; 0: what the node estimates"`
	ChainID      string  `toml:"chain_id" comment:"celestia: the network, such as \"mocha-4\"; a node of another one is refused; empty: any"`
	Namespace    string  `toml:"namespace" comment:"celestia: the ten free bytes of a version 0 namespace, in hex; empty: made from the rollup's ID"`
	AppID        uint32  `toml:"app_id" comment:"avail: the app ID that all rollups of this deployment share"`
	MaxBlobBytes int     `toml:"max_blob_bytes" comment:"eigenda: the proxy's limit of an encoded blob, its max-blob-length; 0: 16 MiB"`
	PricePerMB   float64 `toml:"price_per_mb" comment:"eigenda: ETH for 1,000,000 bytes by your contract, for reports alone: the proxy does not tell"`
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
	case strings.ContainsFunc(c.Token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return fmt.Errorf("%s.token holds a blank, a line break or another character that no token has: write the token alone, on one line", field)
	}
	switch name {
	case "celestia":
		return c.validateCelestia(field)
	case "eigenda":
		return c.validateEigenDA(field)
	case "avail":
		if c.AppID == 0 {
			return fmt.Errorf("%s.app_id is 0: give the number of the application that the light client runs with, such as 42", field)
		}
	}
	return nil
}

func (c Config) validateCelestia(field string) error {
	if !isAmount(c.GasPrice) {
		return fmt.Errorf("%s.gas_price is %v, want 0 for the node's estimate, or utia for one unit of gas such as 0.004", field, c.GasPrice)
	}
	if c.Namespace == "" {
		return nil
	}
	if _, err := ParseNamespace(c.Namespace); err != nil {
		return fmt.Errorf("%s.namespace: %w", field, err)
	}
	return nil
}

func (c Config) validateEigenDA(field string) error {
	if c.MaxBlobBytes != 0 && (c.MaxBlobBytes < minEncodedBytes || c.MaxBlobBytes > eigenda.DefaultMaxBlobBytes) {
		return fmt.Errorf("%s.max_blob_bytes is %d, want 0 for the default, or %d to %d as the proxy's max-blob-length says",
			field, c.MaxBlobBytes, minEncodedBytes, eigenda.DefaultMaxBlobBytes)
	}
	if !isAmount(c.PricePerMB) {
		return fmt.Errorf("%s.price_per_mb is %v, want 0 or more, such as 0.0001", field, c.PricePerMB)
	}
	return nil
}

// minEncodedBytes is the least that max_blob_bytes may say.
const minEncodedBytes = 64 << 10

func isAmount(v float64) bool { return v >= 0 && !math.IsInf(v, 0) }

// reserved is how many leading zeros of the free bytes make a namespace Celestia's own.
const reserved = 9

// ParseNamespace returns the Celestia namespace, version 0, of ten free bytes in hex.
func ParseNamespace(text string) (ns [29]byte, err error) {
	const example = "such as 6f72646f2d7465737431"
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != 10 {
		return ns, fmt.Errorf("%q is not ten bytes in hex, %s", text, example)
	}
	if strings.HasPrefix(string(raw), strings.Repeat("\x00", reserved)) {
		return ns, errors.New("a namespace of nine zero bytes and one more is reserved by Celestia: choose another, " + example)
	}
	copy(ns[len(ns)-len(raw):], raw)
	return ns, nil
}
