package rollup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/ordo-network/ordo/execution/domain"
)

// SyncDomain brings the nodes of a domain, one for each home, as far as their DA layers go, as
// Sync does one: what they execute together they make together, and so a node of which
// more is on the layer than of another waits where that one ends. It returns how far each is, in
// the domain's order.
func SyncDomain(ctx context.Context, homes []string, version string, log *slog.Logger, o SyncOptions, report func(SyncProgress)) (last []SyncProgress, err error) {
	homes, cfgs, err := loadDomain(syncCommand, homes)
	if err != nil {
		return nil, err
	}
	if o.Client != nil {
		return nil, fmt.Errorf("a client of its own is given: %w", ErrDomain)
	}
	unlock, err := lockHomes(homes...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	t := newTable(cfgs)
	if t.journal, err = domain.OpenStore(within(homes[0])("data/domain")); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(wholeDomain(err), t.journal.Close()) }()
	// They open at the same time: each waits for all others at the table.
	all := make([]*syncing, len(homes))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var opening sync.WaitGroup
	for i, home := range homes {
		s := newSyncing(home, cfgs[i], version, log, o)
		s.given.join, s.waits = t.seat(i), func() bool { return t.waits(i) }
		defer func() { err = errors.Join(err, s.close()) }()
		all[i] = s
		opening.Go(func() {
			if err := s.open(ctx); err != nil {
				cancel(fmt.Errorf("rollup %s: %w", s.cfg.Name, expired(home, err)))
			}
		})
	}
	opening.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return syncAll(ctx, all, report)
}

// waits reports whether the i-th node has brought a block and waits for the others.
func (t *table) waits(i int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.offers[i] != nil
}
