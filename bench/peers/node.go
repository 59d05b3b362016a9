package peers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	cmtcfg "github.com/cometbft/cometbft/config"
	cmtlog "github.com/cometbft/cometbft/libs/log"
	"github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/privval"
	"github.com/cometbft/cometbft/proxy"
)

// Run runs the validator of a home until the context ends. CometBFT's errors go to log.
func Run(ctx context.Context, dir string, log io.Writer) error {
	h, err := loadHome(dir)
	if err != nil {
		return err
	}
	c := cometConfig(dir, h)
	if err := c.ValidateBasic(); err != nil {
		return fmt.Errorf("settings of %s: %w", dir, err)
	}
	key, err := p2p.LoadNodeKey(c.NodeKeyFile())
	if err != nil {
		return fmt.Errorf("read node key: %w", err)
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", loopback(h.Ports.Door))
	if err != nil {
		return fmt.Errorf("listen for clients: %w", err)
	}
	defer func() { _ = ln.Close() }() // closed already where it was served
	// One error is worth reading; CometBFT's info lines cost as much as small blocks.
	logger := cmtlog.NewFilter(cmtlog.NewTMLogger(cmtlog.NewSyncWriter(log)), cmtlog.AllowError())
	n, err := node.NewNodeWithContext(ctx, c, privval.LoadFilePV(c.PrivValidatorKeyFile(), c.PrivValidatorStateFile()), key,
		proxy.NewConnSyncLocalClientCreator(app{}), node.DefaultGenesisDocProviderFunc(c),
		cmtcfg.DefaultDBProvider, node.DefaultMetricsProvider(c.Instrumentation), logger)
	if err != nil {
		return fmt.Errorf("open CometBFT: %w", err)
	}
	if err := n.Start(); err != nil {
		return fmt.Errorf("start CometBFT: %w", err)
	}
	err = serve(ctx, ln, n)
	if stop := n.Stop(); stop != nil {
		return errors.Join(err, fmt.Errorf("stop CometBFT: %w", stop))
	}
	n.Wait()
	return err
}

func serve(ctx context.Context, ln net.Listener, n *node.Node) error {
	srv := &http.Server{
		Handler: (&door{node: n}).handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	defer context.AfterFunc(ctx, func() { _ = srv.Close() })()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve clients: %w", err)
	}
	return nil
}
