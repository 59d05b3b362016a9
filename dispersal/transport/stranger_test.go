package transport

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/test/await"
)

// strangerDial shakes hands by whatever key and waits for the verdict.
func strangerDial(t *testing.T, address string, key ed25519.PrivateKey, change func(*tls.Config)) error {
	t.Helper()
	cert, err := certify(key)
	if err != nil {
		t.Fatal(err)
	}
	c := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12, NextProtos: []string{protocol(chainID)}, Certificates: []tls.Certificate{cert}}
	change(c)
	conn, err := tls.Dial("tcp", address, c)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(await.Limit)); err != nil {
		t.Fatal(err)
	}
	var ping [headBytes]byte
	_, err = io.ReadFull(conn, ping[:])
	return err
}

func TestStrangersAreRefused(t *testing.T) {
	t.Parallel()
	a, b := start(t, 1, quick), start(t, 2, quick)
	join(t, a, b)
	for _, c := range []struct {
		name   string
		key    ed25519.PrivateKey
		change func(*tls.Config)
		ok     bool
	}{
		{"a member", b.key, func(*tls.Config) {}, true},
		{"another key", testKey(9), func(*tls.Config) {}, false},
		{"the node's own key", a.key, func(*tls.Config) {}, false},
		{"no certificate", b.key, func(c *tls.Config) { c.Certificates = nil }, false},
		{"another chain", b.key, func(c *tls.Config) { c.NextProtos = []string{protocol("other")} }, false},
		{"no protocol", b.key, func(c *tls.Config) { c.NextProtos = nil }, false},
		{"TLS 1.2", b.key, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, false},
	} {
		err := strangerDial(t, a.address, c.key, c.change)
		if c.ok != (err == nil) {
			t.Errorf("%s: %v", c.name, err)
		}
		if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("%s: left waiting: %v", c.name, err)
		}
	}
	await.Until(t, "the member is connected", func() bool { return a.Peer(b.owner) != nil && b.Peer(a.owner) != nil })
}

// A client must not take itself for connected to whom has another key than listed.
func TestServerOfAnotherKey(t *testing.T) {
	t.Parallel()
	a, b, c := start(t, 1, quick), start(t, 2, quick), start(t, 3, quick)
	ma := members(a, a, b, c)
	delete(ma.Addresses, b.owner)
	ma.Addresses[c.owner] = b.address // b answers where c is listed
	mb := members(b, a, b, c)
	mb.Addresses = nil
	if err := errors.Join(a.SetMembers(ma), b.SetMembers(mb)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.shake(t.Context(), dialTo(t, b.address), false, c.owner); !errors.Is(err, ErrStranger) {
		t.Errorf("connected to another than listed: %v", err)
	}
	if p := a.Peer(c.owner); p != nil {
		t.Errorf("connected as %v", p.Owner)
	}
}

func dialTo(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestStrangersDoNotKeepMembersOut(t *testing.T) {
	t.Parallel()
	limits := quick
	limits.Handshakes = 4
	a := start(t, 1, limits)
	var silent []net.Conn
	for range 20 { // they connect and say nothing
		c := dialTo(t, a.address)
		silent = append(silent, c)
		defer func() { _ = c.Close() }()
	}
	b := start(t, 2, quick)
	ma, mb := members(a, a, b), members(b, a, b)
	ma.Addresses = nil
	if err := errors.Join(a.SetMembers(ma), b.SetMembers(mb)); err != nil {
		t.Fatal(err)
	}
	await.Until(t, "the member is in", func() bool { return a.Peer(b.owner) != nil })
	if err := silent[0].SetReadDeadline(time.Now().Add(await.Limit)); err != nil {
		t.Fatal(err)
	}
	if _, err := silent[0].Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the oldest stranger was not pushed out: %v", err)
	}
}

func TestSilentPeerIsGivenUp(t *testing.T) {
	t.Parallel()
	limits := quick
	limits.IdleTimeout, limits.PingInterval = time.Second, 20*time.Millisecond
	a, b := start(t, 1, limits), start(t, 2, limits)
	mb := members(b, a, b)
	mb.Addresses = nil // so that there is one connection from the start
	if err := errors.Join(a.SetMembers(members(a, a, b)), b.SetMembers(mb)); err != nil {
		t.Fatal(err)
	}
	await.Until(t, "they are connected", func() bool { return a.Peer(b.owner) != nil })
	kept := a.Peer(b.owner)
	start := time.Now()
	await.Until(t, "more time has passed than a peer may be silent", func() bool { return time.Since(start) > 2*limits.IdleTimeout })
	if kept != a.Peer(b.owner) {
		t.Errorf("a connection kept alive by pings was given up: %v", context.Cause(kept.ctx))
	}

	// One that shakes hands and falls silent.
	mute := testKey(5)
	m := members(a, a, b)
	m.Allowed[public(mute)] = order.Owner{5}
	if err := a.SetMembers(m); err != nil {
		t.Fatal(err)
	}
	cert, err := certify(mute)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", a.address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol(chainID)}, Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	await.Until(t, "it is connected", func() bool { return a.Peer(order.Owner{5}) != nil })
	p := a.Peer(order.Owner{5})
	await.Receive(t, "a silent peer is given up", p.Context().Done())
}

// What breaks the protocol ends the connection, before memory is taken for it.
func TestFramesOutOfBounds(t *testing.T) {
	t.Parallel()
	a := start(t, 1, quick)
	b := start(t, 2, quick)
	ma := members(a, a, b)
	ma.Addresses = nil
	if err := a.SetMembers(ma); err != nil {
		t.Fatal(err)
	}
	cert, err := certify(b.key)
	if err != nil {
		t.Fatal(err)
	}
	for _, head := range [][]byte{
		{0, 0, 0, 0, 0}, {byte(typeEnd), 0, 0, 0, 0}, appendHead(nil, TypePing, 1), appendHead(nil, TypeDisperse, 4+maxSignedBatchBytes+ma.MaxShare+1),
		{byte(TypeAttest), 0xff, 0xff, 0xff, 0xff}, append(appendHead(nil, TypeShare, 4), 1, 2, 3, 4),
	} {
		conn, err := tls.Dial("tcp", a.address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol(chainID)}, Certificates: []tls.Certificate{cert}})
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(await.Limit)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(head); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); err != nil {
			if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
				t.Errorf("after the frame %x the connection stays", head)
			}
		}
		_ = conn.Close()
	}
	if a.count() != 0 {
		t.Errorf("%d frames were handed on", a.count())
	}
}
