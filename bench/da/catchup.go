package da

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/ordo-network/ordo/bench/testnet"
	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/follower"
)

// CatchUp is how fast a rollup was rebuilt from the layer alone. MB are of transactions.
type CatchUp struct {
	What         string  `json:"what"` // "verified" by a reader, or "executed" too, by a node
	Kind         string  `json:"kind"`
	Blocks       uint64  `json:"blocks"` // of the sequencer chain
	Transactions int     `json:"transactions"`
	MB           float64 `json:"mb"`
	Seconds      float64 `json:"seconds"`
	MBps         float64 `json:"mb_per_second"`
	BlocksPerS   float64 `json:"blocks_per_second"`
}

func (c *CatchUp) took(d time.Duration) {
	c.Seconds = d.Seconds()
	c.MBps, c.BlocksPerS = c.MB/c.Seconds, float64(c.Blocks)/c.Seconds
}

// firmReader reads a rollup from the layer.
func (s *stage) firmReader(w *workload, l da.Layer) (*follower.FirmReader, error) {
	return follower.NewFirmReader(follower.FirmConfig{
		Rollup: w.id, Layers: []da.Layer{l}, Trust: s.trust, Logger: s.o.Logger,
		DAFrom: map[string]uint64{l.Name(): s.from},
	})
}

// verify has a new reader read a rollup from the layer, up to a height of the
// sequencer chain; nobody else reads meanwhile. It returns where the reader came to.
func (s *stage) verify(ctx context.Context, w *workload, height uint64) (c CatchUp, at follower.Cursor, err error) {
	l, err := s.open()
	if err != nil {
		return c, at, err
	}
	defer l.Close()
	reader, err := s.firmReader(w, l)
	if err != nil {
		return c, at, err
	}
	c = CatchUp{What: "verified", Kind: w.kind}
	done := errors.New("all are read")
	began := time.Now()
	err = reader.Run(ctx, follower.Cursor{}, func(_ context.Context, b follower.FirmBlock) error {
		c.Blocks++
		txs := b.Transactions()
		c.Transactions += len(txs)
		c.MB += float64(sizeOf(txs)) / 1e6
		at = b.Cursor
		if b.Height >= height {
			return done
		}
		return nil
	})
	if !errors.Is(err, done) {
		return c, at, fmt.Errorf("read %s from DA: %w", w.name, err)
	}
	c.took(time.Since(began))
	return c, at, nil
}

// rebuild has a new node rebuild a rollup by the command of an operator, with all that was
// made of its workload. It is on the layer up to a height of the sequencer chain.
func (s *stage) rebuild(ctx context.Context, w *workload, height uint64) (c CatchUp, err error) {
	genesis, err := json.Marshal(w.genesis)
	if err != nil {
		return c, fmt.Errorf("encode genesis: %w", err)
	}
	file := filepath.Join(s.network.Dir, w.name+"-genesis.json")
	if err := os.WriteFile(file, genesis, 0o600); err != nil {
		return c, fmt.Errorf("write genesis: %w", err)
	}
	home := filepath.Join(s.network.Dir, w.name)
	args := []string{"rollup", "init", "--home", home, "--name", w.name, "--genesis", file,
		"--sequencer", s.network.URLs[0], "--sequencer-genesis", s.network.Genesis,
		"--da", s.o.Layer, "--da-endpoint", s.layer.settings.Endpoint, "--da-start-height", strconv.FormatUint(s.from, 10)}
	if s.layer.settings.Token != "" {
		args = append(args, "--da-token", s.layer.settings.Token)
	}
	if err := testnet.Run(ctx, s.o.Binary, args...); err != nil {
		return c, err
	}
	c = CatchUp{What: "executed", Kind: w.kind, Blocks: height, Transactions: w.payments.Made, MB: float64(w.bytes) / 1e6}
	began := time.Now()
	if err := testnet.Run(ctx, s.o.Binary, "rollup", "sync", "--from-da", "--home", home); err != nil {
		return c, err
	}
	c.took(time.Since(began))
	return c, nil
}
