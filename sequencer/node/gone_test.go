package node_test

import (
	"fmt"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/cometbft/cometbft/libs/protoio"
	"github.com/cometbft/cometbft/p2p"
	cmtconn "github.com/cometbft/cometbft/p2p/conn"
	p2pproto "github.com/cometbft/cometbft/proto/tendermint/p2p"

	"github.com/ordo-network/ordo/sequencer/node"
	"github.com/ordo-network/ordo/test/await"
)

// A machine that loses its power closes no connection: for the others its validator is
// still there. When it is back, they take it in although they have not yet noticed.
func TestBackBeforeItsConnectionsEnd(t *testing.T) {
	n := newNetwork(t, 4)
	for i := range 3 {
		n.start(i)
	}
	n.reach(0, 2)
	begin := time.Now()
	for i := range 3 {
		n.hang(3, i)
	}
	n.start(3)
	behind := n.height(0)
	await.Until(t, "the validator that was away is with the others", func() bool { return n.height(3) > behind })
	took := time.Since(begin)
	t.Logf("it was taken in after %v", took.Round(time.Second))
	if took > 100*time.Second { // CometBFT needs 105 to notice
		t.Errorf("it was taken in after %v", took)
	}
}

// hang makes validator to believe that it is connected with validator from. Nothing ever
// comes by the connection, and nothing is read from it.
func (n *network) hang(from, to int) {
	n.t.Helper()
	key, err := p2p.LoadNodeKey(filepath.Join(node.ValidatorHome(n.dir, from), "config", "node_key.json"))
	if err != nil {
		n.t.Fatal(err)
	}
	await.Until(n.t, fmt.Sprintf("validator %d takes validator %d for connected", to, from), func() bool {
		raw, err := net.Dial("tcp", address(n.ports[to].P2P))
		if err != nil {
			return false
		}
		if err := greet(raw, key, address(n.ports[from].P2P)); err != nil {
			_ = raw.Close()
			return false
		}
		n.t.Cleanup(func() { _ = raw.Close() }) // the other side may have
		return true
	})
}

// greet goes through CometBFT's handshake as the node with that key.
func greet(raw net.Conn, key *p2p.NodeKey, listens string) error {
	if err := raw.SetDeadline(time.Now().Add(await.Limit)); err != nil {
		return err
	}
	c, err := cmtconn.MakeSecretConnection(raw, key.PrivKey)
	if err != nil {
		return err
	}
	var info p2pproto.DefaultNodeInfo // of the other one: this node is like it
	if _, err := protoio.NewDelimitedReader(c, p2p.MaxNodeInfoSize()).ReadMsg(&info); err != nil {
		return err
	}
	info.DefaultNodeID, info.ListenAddr = string(key.ID()), listens
	_, err = protoio.NewDelimitedWriter(c).WriteMsg(&info)
	return err
}
