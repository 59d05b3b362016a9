package exec

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ordo-network/ordo/bench/figures"
	"github.com/ordo-network/ordo/execution"
)

// Report is what Run measured.
type Report struct {
	Machine    Machine  `json:"machine"`
	Validators int      `json:"validators"`
	BlockTime  float64  `json:"block_time_ms"`
	Kinds      []Kind   `json:"kinds"`
	Targets    []Target `json:"targets"`
	Took       float64  `json:"took_seconds"`
}

// Machine is where the report was made.
type Machine struct {
	Cores int    `json:"cores"`
	OS    string `json:"os"`
	Go    string `json:"go"`
}

// Kind is what was measured of one kind of transactions. A share is of the gas a second of
// the EVM alone; by processor time, it is how much of that the EVM alone takes for the same, of
// what a node takes. All are of medians over the rounds.
type Kind struct {
	Kind         string  `json:"kind"`
	Transactions int     `json:"transactions"`
	Blocks       int     `json:"blocks"` // of the rollup, in all runs the same
	GasEach      float64 `json:"gas_each"`

	Alone        []Rate  `json:"alone"`
	CatchUp      []Rate  `json:"catch_up"`
	CatchUpShare float64 `json:"catch_up_share"`
	CatchUpCPU   float64 `json:"catch_up_share_by_cpu"`
	Live         Live    `json:"live"`
}

// Rate is how fast blocks were executed.
type Rate struct {
	Seconds float64 `json:"seconds"`
	TPS     float64 `json:"transactions_per_second"`
	MgasPS  float64 `json:"mgas_per_second"`
	// CPUMicros is the processor time of the process for each transaction.
	CPUMicros float64 `json:"cpu_us_per_transaction"`
}

// Live is what a node executes while the load is on, with everything else on the same
// machine.
type Live struct {
	Rate
	Offered float64 `json:"offered_per_second"`
	Share   float64 `json:"share"`
	CPU     float64 `json:"share_by_cpu"`
	// Behind is how long after the last transaction was sent it was executed.
	Behind float64 `json:"behind_seconds"`
	// Processes are what the machine's processes used while the load was on.
	Processes []figures.Usage `json:"processes"`
}

// Target is an aim and what was measured.
type Target struct {
	What string  `json:"what"`
	Got  float64 `json:"got"`
	Want float64 `json:"want"` // at least
	Met  bool    `json:"met"`
}

// leastShare is the aim for what is left of the EVM's speed where a network feeds it.
const leastShare = 0.7

// Run measures kind by kind, on one network. With an error comes what was measured before
// it, if anything.
func Run(ctx context.Context, o Options) (*Report, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	began := time.Now()
	r := &Report{
		Machine:    Machine{Cores: runtime.GOMAXPROCS(0), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()},
		Validators: o.Validators, BlockTime: float64(o.BlockTime.Milliseconds()), Targets: []Target{},
	}
	s, err := newStage(ctx, o)
	if err != nil {
		return nil, err
	}
	o.say("%d validators run", o.Validators)
	for _, kind := range o.Kinds {
		var k *Kind
		if k, err = s.measure(ctx, kind); err != nil {
			err = fmt.Errorf("%s: %w", kind, err)
			break
		}
		r.Kinds = append(r.Kinds, *k)
		for _, t := range []Target{{What: kind + ", catching up", Got: k.CatchUpShare}, {What: kind + ", live", Got: k.Live.Share}} {
			t.Want, t.Met = leastShare, t.Got >= leastShare
			r.Targets = append(r.Targets, t)
		}
	}
	err = errors.Join(err, s.close())
	r.Took = time.Since(began).Seconds()
	if len(r.Kinds) == 0 {
		return nil, err
	}
	return r, err
}

// Of the blocks by which the load is set.
const (
	probeBlocks       = 4
	probeTransactions = 2000 // about what a block of the network holds
	probes            = 3    // the best counts: nothing makes the EVM faster than it is
)

// measure takes one kind. What the EVM alone and the nodes that catch up execute is what a live
// node was given, block by block.
func (s *stage) measure(ctx context.Context, kind string) (*Kind, error) {
	w, err := newWorkload(kind, slices.Index(Kinds, kind))
	if err != nil {
		return nil, err
	}
	rollup := filepath.Join(s.network.Dir, w.name)
	if err := os.Mkdir(rollup, 0o700); err != nil {
		return nil, fmt.Errorf("make a directory for %s: %w", w.name, err)
	}
	txs, rate, err := s.load(ctx, w, rollup)
	if err != nil {
		return nil, err
	}
	k := &Kind{Kind: kind, Transactions: len(txs)}
	from, err := s.height(ctx)
	if err != nil {
		return nil, err
	}
	from++ // what is ordered up to now is not ours
	first, last, err := s.live(ctx, w, rollup, from, txs, rate, &k.Live)
	if err != nil {
		return nil, err
	}
	blocks, err := s.ordered(ctx, w, from, len(txs))
	if err != nil {
		return nil, err
	}
	if err := writeRollup(rollup, w, blocks); err != nil {
		return nil, err
	}
	for round := range s.o.Rounds {
		done, err := s.alone(ctx, rollup)
		if err != nil {
			return nil, err
		}
		all := over(done.Blocks, 0, uint64(len(done.Blocks)))
		k.Alone = append(k.Alone, all.in(done.Seconds, done.CPU))
		if round == 0 {
			k.Blocks, k.GasEach = len(done.Blocks), float64(all.Gas)/float64(all.Transactions)
			k.Live.Rate = over(done.Blocks, first.block, last.block).between(first, last)
		}
		caught, err := s.catchUp(ctx, w, rollup, from, done)
		if err != nil {
			return nil, err
		}
		k.CatchUp = append(k.CatchUp, caught)
		s.o.say("%s, round %d: alone %.1f Mgas/s, catching up %.1f", kind, round+1, k.Alone[round].MgasPS, caught.MgasPS)
	}
	k.share()
	return k, nil
}

func (k *Kind) share() {
	gas, cpu := func(r Rate) float64 { return r.MgasPS }, func(r Rate) float64 { return r.CPUMicros }
	k.CatchUpShare, k.Live.Share = median(k.CatchUp, gas)/median(k.Alone, gas), k.Live.MgasPS/median(k.Alone, gas)
	if used := median(k.Alone, cpu); used > 0 { // what the system told
		k.CatchUpCPU, k.Live.CPU = used/median(k.CatchUp, cpu), used/k.Live.CPUMicros
	}
}

// load makes the transactions that the live node is given, and says at what rate: what the
// EVM alone makes of the first of them.
func (s *stage) load(ctx context.Context, w *workload, rollup string) (txs [][]byte, rate float64, err error) {
	if txs, err = w.next(probeBlocks * probeTransactions); err != nil {
		return nil, 0, err
	}
	var blocks []execution.Block
	for i, part := range slices.Collect(slices.Chunk(txs, probeTransactions)) {
		height := uint64(i + 1)
		blocks = append(blocks, execution.Block{Height: height, Hash: [32]byte{byte(height)}, Time: time.Unix(1_900_000_000+int64(i), 0), Transactions: part})
	}
	if err := writeRollup(rollup, w, blocks); err != nil {
		return nil, 0, err
	}
	for range probes {
		done, err := s.alone(ctx, rollup)
		if err != nil {
			return nil, 0, err
		}
		rate = max(rate, float64(len(txs))/done.Seconds*s.o.Load)
	}
	more, err := w.next(max(int(rate*s.o.Duration.Seconds())-len(txs), 0))
	txs = append(txs, more...)
	s.o.say("%s: %d transactions are signed, for %.0f a second", w.kind, len(txs), rate)
	return txs, rate, err
}

// alone runs Execute in a process of its own.
func (s *stage) alone(ctx context.Context, rollup string) (*Executed, error) {
	data, err := os.MkdirTemp(s.network.Dir, "alone-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the EVM: %w", err)
	}
	cmd := exec.CommandContext(ctx, s.o.Binary, "bench", "evm", "--rollup", rollup, "--data", data, "--log-level", "warn")
	cmd.Stderr = os.Stderr
	raw, err := cmd.Output()
	if !s.o.Keep {
		err = errors.Join(err, os.RemoveAll(data))
	}
	if err != nil {
		return nil, fmt.Errorf("run the EVM alone: %w", err)
	}
	out := new(Executed)
	if err := json.Unmarshal(raw, out); err != nil {
		return nil, fmt.Errorf("run the EVM alone: %w", err)
	}
	return out, nil
}

// live has a node follow while the load is on.
func (s *stage) live(ctx context.Context, w *workload, rollup string, from uint64, txs [][]byte, rate float64, out *Live) (first, last moment, err error) {
	n, err := s.startNode(ctx, w, rollup, w.name+"-live", from)
	if err != nil {
		return first, last, err
	}
	defer func() { err = errors.Join(err, n.end(s.o.Keep)) }()
	if err := n.up(ctx); err != nil {
		return first, last, err
	}
	pids := map[string]int{"driver": os.Getpid(), n.Label: n.PID}
	for _, p := range s.network.All[:s.network.Validators] {
		pids[p.Label] = p.PID
	}
	meter := figures.NewMeter(pids)
	sent := make(chan struct{})
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(sent)
		if err := s.send(ctx, w, txs, rate); err != nil {
			return fmt.Errorf("send the load: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		count := n.transactions(len(txs))
		var end moment
		var err error
		first, end, err = n.watch(ctx, func(ctx context.Context, now moment) (bool, error) {
			select {
			case <-sent:
				if out.Processes == nil { // the load is over
					last, out.Processes = now, meter.Read()
				}
			default:
			}
			return count(ctx, now.block)
		})
		if err == nil && last.block <= first.block {
			return errTooShort
		}
		out.Offered, out.Behind = rate, end.at.Sub(last.at).Seconds()
		return err
	})
	if err := group.Wait(); err != nil {
		return first, last, err
	}
	s.o.say("%s: the live node had the last %.1f s after it was sent", w.kind, out.Behind)
	return first, last, nil
}

// catchUp has a new node execute what is ordered already.
func (s *stage) catchUp(ctx context.Context, w *workload, rollup string, from uint64, want *Executed) (r Rate, err error) {
	n, err := s.startNode(ctx, w, rollup, w.name+"-late", from)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, n.end(s.o.Keep)) }()
	if err := n.up(ctx); err != nil {
		return r, err
	}
	end := uint64(len(want.Blocks))
	first, last, err := n.watch(ctx, func(_ context.Context, now moment) (bool, error) { return now.block >= end, nil })
	if err == nil && last.block <= first.block {
		err = errTooShort
	}
	if err != nil {
		return r, err
	}
	return over(want.Blocks, first.block, last.block).between(first, last), n.agrees(ctx, want)
}

var errTooShort = errors.New("all was executed at once: give a longer --duration")

// over sums up the blocks behind the one of a number, up to another.
func over(blocks []Block, after, last uint64) (sum Block) {
	for _, b := range blocks[min(after, uint64(len(blocks))):min(last, uint64(len(blocks)))] {
		sum.Transactions += b.Transactions
		sum.Gas += b.Gas
	}
	return sum
}

// in returns the rate of what was executed in so many seconds.
func (b Block) in(seconds, cpu float64) Rate {
	n := float64(b.Transactions)
	return Rate{Seconds: seconds, TPS: n / seconds, MgasPS: float64(b.Gas) / 1e6 / seconds, CPUMicros: cpu * 1e6 / n}
}

func (b Block) between(first, last moment) Rate {
	return b.in(last.at.Sub(first.at).Seconds(), (last.cpu - first.cpu).Seconds())
}

func median(rates []Rate, of func(Rate) float64) float64 {
	all := make([]float64, len(rates))
	for i, r := range rates {
		all[i] = of(r)
	}
	slices.Sort(all)
	return (all[len(all)/2] + all[(len(all)-1)/2]) / 2
}
