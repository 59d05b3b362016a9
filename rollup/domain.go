package rollup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/domain"
	"github.com/ordo-network/ordo/order"
)

// ErrDomain is returned where the homes given are not those of one whole domain.
var ErrDomain = errors.New("rollups of a domain are executed together")

// Commands that take the homes of a domain.
const (
	startCommand = "ordo rollup start"
	syncCommand  = "ordo rollup sync --from-da"
)

// RunDomain runs the nodes of a domain, one for each home, until ctx ends, which is no
// error. Where one fails, all end.
func RunDomain(ctx context.Context, homes []string, o Options) (err error) {
	homes, cfgs, err := loadDomain(startCommand, homes)
	if err != nil {
		return err
	}
	if o.Client != nil || o.Execution != (Execution{}) {
		return fmt.Errorf("what executes the rollups is said for each of them, in [execution] of its config.toml: %w", ErrDomain)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	unlock, err := lockHomes(homes...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	for {
		err := runDomain(ctx, homes, cfgs, o)
		if ctx.Err() != nil || !errors.Is(err, errAgain) {
			return err
		}
		o.Logger.Warn("the domain starts again, from where its rollups stand", "rollups", cfgs[0].Domain.Rollups, "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pauseBeforeAgain):
		}
	}
}

func runDomain(ctx context.Context, homes []string, cfgs []Config, o Options) (err error) {
	t := newTable(cfgs)
	if t.journal, err = domain.OpenStore(within(homes[0])("data/domain")); err != nil {
		return err
	}
	g, nodes := errgroup.WithContext(ctx)
	for i, home := range homes {
		at := o
		at.join = t.seat(i)
		g.Go(func() error {
			if err := runOnce(nodes, home, cfgs[i], at); err != nil {
				return fmt.Errorf("rollup %s: %w", cfgs[i].Name, err)
			}
			return nil
		})
	}
	return errors.Join(wholeDomain(g.Wait()), t.journal.Close())
}

// wholeDomain says what else is to be removed where a rollup's data is.
func wholeDomain(err error) error {
	if errors.Is(err, ErrVoidExecuted) {
		return fmt.Errorf("%w (of all rollups of the domain, and data/domain of the first)", err)
	}
	return err
}

// loadDomain returns homes and settings of a whole domain, in the domain's order, for the
// command that takes them.
func loadDomain(command string, homes []string) (sorted []string, cfgs []Config, err error) {
	found := make(map[string]int)
	var all []Config
	for i, home := range homes {
		cfg, err := LoadConfig(home)
		if err != nil {
			return nil, nil, err
		}
		if j, twice := found[cfg.Name]; twice {
			return nil, nil, fmt.Errorf("%s and %s are both homes of %s: %w", homes[j], home, cfg.Name, ErrDomain)
		}
		found[cfg.Name], all = i, append(all, cfg)
	}
	first := all[0]
	for i, cfg := range all {
		if len(cfg.Domain.Rollups) == 0 {
			return nil, nil, fmt.Errorf("rollup %s in %s is of no domain: name the rollups in [domain] of its config.toml, or start it by itself", cfg.Name, homes[i])
		}
		if err := sameDomain(first, cfg); err != nil {
			return nil, nil, fmt.Errorf("%s and %s: %w", homes[0], homes[i], err)
		}
		if a, b := first.Domain.StartHeight, cfg.Domain.StartHeight; a != b {
			at := homes[0]
			if b < a {
				at = homes[i]
			}
			return nil, nil, fmt.Errorf("domain.start_height is %d in %s and %d in %s, must be the same: in %s, below [domain], set start_height = %d (where nodes of the domain run already, set both to what they have): %w",
				a, homes[0], b, homes[i], filepath.Join(at, "config.toml"), max(a, b), ErrDomain)
		}
	}
	for _, name := range first.Domain.Rollups {
		i, ok := found[name]
		if !ok {
			return nil, nil, first.notAlone(command, homes[0])
		}
		sorted, cfgs = append(sorted, homes[i]), append(cfgs, all[i])
	}
	if len(cfgs) < len(all) {
		return nil, nil, fmt.Errorf("homes of %d rollups for a domain of %s: %w", len(all), strings.Join(first.Domain.Rollups, ", "), ErrDomain)
	}
	return sorted, cfgs, nil
}

// sameDomain says by which setting two rollups could not be executed together.
func sameDomain(a, b Config) error {
	differs := func(setting string, x, y any) error {
		return fmt.Errorf("%s is %v for %s and %v for %s, must be the same: %w", setting, x, a.Name, y, b.Name, ErrDomain)
	}
	switch {
	case !slices.Equal(a.Domain.Rollups, b.Domain.Rollups):
		return differs("domain.rollups", a.Domain.Rollups, b.Domain.Rollups)
	case a.pace() != b.pace():
		return differs("execution.block_time", a.pace().BlockTime, b.pace().BlockTime)
	}
	return nil
}

// table is where the nodes of a domain meet to make their blocks: a block of the sequencer
// chain waits until each of them has come to it.
type table struct {
	pace    execution.Pace
	start   uint64
	rollups []execution.Hash
	journal *domain.Store
	opened  chan struct{} // closed when all have joined, and domain or err is set

	mu      sync.Mutex
	clients []domain.Client // nil where a node has not joined yet
	offers  []*offer        // nil where a node has not come
	domain  *domain.Domain
	err     error
}

// offer is what a node brings.
type offer struct {
	soft  execution.Head
	block execution.Block
	made  chan answer // of one
}

type answer struct {
	res  execution.Result
	made bool
	err  error
}

func newTable(cfgs []Config) *table {
	t := &table{
		pace: cfgs[0].pace(), start: cfgs[0].Domain.StartHeight, opened: make(chan struct{}),
		clients: make([]domain.Client, len(cfgs)), offers: make([]*offer, len(cfgs)),
	}
	for _, cfg := range cfgs {
		t.rollups = append(t.rollups, execution.Hash(order.NewRollupID(cfg.Name)))
	}
	return t
}

// seat returns how the i-th node joins. It blocks until all have: what a crash left half
// done is ended before any of them looks where it stands.
func (t *table) seat(i int) joiner {
	return func(ctx context.Context, client execution.Client) (executor, error) {
		able, ok := client.(domain.Client)
		if !ok {
			return nil, fmt.Errorf("what executes it makes no block in steps: %w", ErrDomain)
		}
		t.mu.Lock()
		t.clients[i] = able
		if !slices.Contains(t.clients, nil) {
			t.err = t.open(ctx)
			close(t.opened)
		}
		t.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-t.opened:
			return seated{t, i, alone{client, t.pace}}, t.err
		}
	}
}

func (t *table) open(ctx context.Context) (err error) {
	var members []domain.Member
	for i, client := range t.clients {
		members = append(members, domain.Member{Rollup: t.rollups[i], Client: client})
	}
	if t.domain, err = domain.New(t.start, members, t.journal); err != nil {
		return err
	}
	return t.domain.Recover(ctx)
}

// seated is the executor of one node.
type seated struct {
	*table
	index int
	alone alone // before the domain begins
}

// offer implements executor.
func (s seated) offer(ctx context.Context, soft execution.Head, b execution.Block) (execution.Result, bool, error) {
	if b.Height < s.start {
		return s.alone.offer(ctx, soft, b)
	}
	mine := &offer{soft, b, make(chan answer, 1)}
	s.mu.Lock()
	s.offers[s.index] = mine
	s.decide(ctx)
	s.mu.Unlock()
	select {
	case a := <-mine.made:
		return a.res, a.made, a.err
	case <-ctx.Done():
		// Not while the others execute with this one's client.
		s.mu.Lock()
		defer s.mu.Unlock()
		s.offers[s.index] = nil
		return execution.Result{}, false, ctx.Err()
	}
}

// decide answers what can be. Called with mu held.
func (t *table) decide(ctx context.Context) {
	if slices.Contains(t.offers, nil) {
		return
	}
	least := t.offers[0].block.Height
	for _, o := range t.offers {
		least = min(least, o.block.Height)
	}
	passed := false
	for _, o := range t.offers {
		passed = passed || o.block.Height > least
	}
	switch answers, err := t.execute(ctx, passed); {
	case err != nil:
		t.answer(least, func(int) answer { return answer{err: err} })
	case answers == nil:
		t.answer(least, func(int) answer { return answer{} })
	default:
		t.answer(least, func(i int) answer { return answer{res: answers[i], made: true} })
	}
}

// execute makes the blocks, where they are due. One that another node has passed before a
// crash was not: had it been, their heads would be of it.
func (t *table) execute(ctx context.Context, passed bool) ([]execution.Result, error) {
	var parents []execution.Hash
	var soft []execution.Head
	var blocks []execution.Block
	for _, o := range t.offers {
		parents, soft, blocks = append(parents, o.soft.Hash), append(soft, o.soft), append(blocks, o.block)
	}
	if passed || !domain.Due(t.pace, soft, blocks) {
		return nil, nil
	}
	return t.domain.Execute(ctx, parents, blocks)
}

// answer answers those who offer that height.
func (t *table) answer(height uint64, what func(i int) answer) {
	for i, o := range t.offers {
		if o.block.Height == height {
			o.made <- what(i)
			t.offers[i] = nil
		}
	}
}
