package transport

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/ordo-network/ordo/order"
)

// ErrStranger is returned where the other end's key is not one of those allowed now.
var ErrStranger = errors.New("the peer's key is not that of a committee member")

// Key is an ed25519 public key by which a validator attests and connects.
type Key [ed25519.PublicKeySize]byte

// protocol is what both ends must name. The chain ID keeps a validator of two networks
// with one key, a test network say, from mixing them up.
func protocol(chainID string) string { return "ordo/lanes/1/" + chainID }

// certify makes a certificate that says nothing but the key. Names and dates are not
// looked at: the list of allowed keys is all that counts.
func certify(key ed25519.PrivateKey) (tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280, 4.1.2.5: no expiry
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make certificate of attestation key: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, nil
}

// identify returns whose key the other end has shown.
func (m *Members) identify(chainID string, state tls.ConnectionState) (order.Owner, Key, error) {
	var key Key
	switch {
	case state.Version != tls.VersionTLS13:
		return order.Owner{}, key, fmt.Errorf("TLS version %#x, want 1.3: %w", state.Version, ErrStranger)
	case state.NegotiatedProtocol != protocol(chainID):
		return order.Owner{}, key, fmt.Errorf("protocol %q, want %q: %w", state.NegotiatedProtocol, protocol(chainID), ErrStranger)
	case len(state.PeerCertificates) != 1:
		return order.Owner{}, key, fmt.Errorf("%d certificates, want 1: %w", len(state.PeerCertificates), ErrStranger)
	}
	public, ok := state.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok {
		return order.Owner{}, key, fmt.Errorf("key of type %T, want ed25519: %w", state.PeerCertificates[0].PublicKey, ErrStranger)
	}
	copy(key[:], public)
	owner, ok := m.Allowed[key]
	if !ok || key == (Key{}) {
		return order.Owner{}, key, fmt.Errorf("key %x: %w", key[:], ErrStranger)
	}
	return owner, key, nil
}

// config serves both ends. Which certificate is shown and whose key is allowed is
// looked up when a connection is made.
func (m *Mesh) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{protocol(m.opts.ChainID)},
		// Instead of a chain of certificates, VerifyConnection looks at the key; that the
		// other end holds it TLS has verified by then.
		InsecureSkipVerify: true,
		ClientAuth:         tls.RequireAnyClientCert,
		VerifyConnection: func(state tls.ConnectionState) error {
			_, _, err := m.current().identify(m.opts.ChainID, state)
			return err
		},
		GetCertificate:       func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return m.certificate() },
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return m.certificate() },
		// A resumed session would be one that was let in by an older list of keys.
		SessionTicketsDisabled: true,
		// Records are of full size from the first: what counts here is throughput.
		DynamicRecordSizingDisabled: true,
	}
}
