package follower

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/order"
)

// MaxGroup bounds the rollups of a Group.
const MaxGroup = 4096

// GroupConfig configures a Group. Rollups, Endpoints and Trust are needed; the rest may
// be zero and is as in Config.
type GroupConfig struct {
	Rollups    []order.RollupID // at most MaxGroup, no two the same
	Endpoints  []string
	Trust      Trust
	Checkpoint Checkpoint
	Options    Options

	HTTPClient *http.Client
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Group reads the soft order of many rollups over one stream: each header is verified
// once for all of them.
type Group struct{ cfg GroupConfig }

// NewGroup checks the config and returns a Group. It opens no connection.
func NewGroup(cfg GroupConfig) (*Group, error) {
	if len(cfg.Rollups) == 0 || len(cfg.Rollups) > MaxGroup {
		return nil, errors.New("group: no rollups are given, or too many")
	}
	return &Group{cfg}, nil
}

// Run reads from the height on and hands over what each block holds for the rollups,
// blocks[i] for Rollups[i], in order of heights, without gap or repeat, one height at a time.
// It returns as Follower.Run does.
func (g *Group) Run(ctx context.Context, from uint64, handle func(ctx context.Context, blocks []*Block) error) error {
	return errors.New("group: not built yet")
}
