package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/evm"
)

// OPConfig is what an OP needs.
type OPConfig struct {
	API *API
	Dir string // of the journal of blocks, of this chain alone; made if missing
	// Genesis is the JSON that the client's chain was made from.
	Genesis []byte
	// Start is the height of the sequencer block below the first that the rollup takes.
	Start  uint64
	Logger *slog.Logger // default: slog.Default()
}

// OP is an execution.Client whose blocks an OP Stack client builds: op-geth, or another
// that takes payload attributes with transactions and noTxPool. Reverting transactions
// are applied; those that the client refuses are skipped, see draft; deposits that are
// ordered are never passed on. Legs with terms are skipped whole, for the client cannot undo them.
//
// The hash of the sequencer block is the beacon root of the block (EIP-4788), as in the
// embedded EVM's blocks; with a plain Ethereum genesis the blocks are the same.
type OP struct {
	api     *API
	forks   *forks
	journal *journal
	feeder  feeder
	log     *slog.Logger
	start   uint64

	mu     sync.Mutex // one call at a time; guards what follows
	closed bool
	joined bool // the client has what the journal has
	zero   *header
}

var (
	_ execution.Client   = (*OP)(nil)
	_ execution.Recaller = (*OP)(nil)
)

// NewOP opens the journal. The client is asked nothing yet.
func NewOP(c OPConfig) (*OP, error) {
	if c.API == nil || c.Dir == "" {
		return nil, errors.New("drive an OP client: needs its Engine API and a folder")
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	forks, err := readForks(c.Genesis)
	if err != nil {
		return nil, err
	}
	j, err := openJournal(c.Dir, c.Logger)
	if err != nil {
		return nil, err
	}
	o := &OP{api: c.API, forks: forks, journal: j, log: c.Logger, start: c.Start}
	o.feeder = feeder{api: c.API, chain: journaled{j}, log: c.Logger}
	return o, nil
}

// Open implements execution.Client. It waits for the client and gives it what it lacks.
// Errors: ErrGenesis, execution.ErrDisagree.
func (o *OP) Open(ctx context.Context) (execution.Session, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.join(ctx); err != nil {
		return execution.Session{}, err
	}
	return o.session()
}

// join brings the client to where the journal stands.
func (o *OP) join(ctx context.Context) error {
	if o.closed {
		return evm.ErrClosed
	}
	return o.api.until(ctx, func() error { return o.tryJoin(ctx) })
}

func (o *OP) tryJoin(ctx context.Context) error {
	if o.joined {
		return nil
	}
	if err := o.meet(ctx); err != nil {
		return err
	}
	s, err := o.session()
	if err != nil {
		return err
	}
	if err := o.feeder.catchUp(ctx, s.Soft, s.Firm); err != nil {
		return err
	}
	o.joined = true
	return nil
}

// meet learns the client's genesis. Of a plain Ethereum chain it is known beforehand; of
// an OP Stack chain the one that was met first counts.
func (o *OP) meet(ctx context.Context) error {
	zero, err := o.api.header(ctx, 0)
	if err != nil {
		return err
	}
	o.zero = zero
	known, err := o.journal.genesis()
	if err != nil || known != (execution.Hash{}) {
		return err // that it is the same, the feeder sees
	}
	if want := o.forks.genesis.ToBlock().Hash(); !o.forks.optimism && zero.Hash != want {
		return fmt.Errorf("%w: its block 0 is %s, that of genesis.json %s: begin it anew with the rollup's genesis.json (geth init)", ErrGenesis, zero.Hash, want)
	}
	if err := o.journal.setGenesis(execution.Hash(zero.Hash)); err != nil {
		return fmt.Errorf("write the genesis to the journal: %w", err)
	}
	return nil
}

// session is where the journal stands.
func (o *OP) session() (execution.Session, error) {
	tip, err := o.journal.tip()
	if err != nil {
		return execution.Session{}, err
	}
	firm, err := o.journal.firm()
	if err != nil {
		return execution.Session{}, err
	}
	var s execution.Session
	if s.Soft, err = o.head(tip); err != nil {
		return s, err
	}
	s.Firm, err = o.head(firm)
	return s, err
}

func (o *OP) head(number uint64) (execution.Head, error) {
	if number == 0 {
		hash, err := o.journal.genesis()
		return execution.Head{Hash: hash, Height: o.start, Time: time.Unix(int64(o.forks.genesis.Timestamp), 0).UTC()}, err
	}
	r, err := o.journal.block(number)
	if err != nil {
		return execution.Head{}, err
	}
	return headOf(number, r), nil
}

func headOf(number uint64, r *record) execution.Head {
	return execution.Head{Number: number, Hash: execution.Hash(r.Hash), Height: r.Height, Time: time.Unix(int64(r.Time), 0).UTC()}
}

// Execute implements execution.Client.
func (o *OP) Execute(ctx context.Context, parent execution.Hash, b execution.Block) (execution.Result, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.join(ctx); err != nil {
		return execution.Result{}, err
	}
	s, err := o.session()
	if err != nil {
		return execution.Result{}, err
	}
	switch {
	case s.Soft.Hash != parent:
		return execution.Result{}, fmt.Errorf("execute sequencer block %d on %x, soft head is %x: %w", b.Height, parent, s.Soft.Hash, execution.ErrParent)
	case b.Height <= s.Soft.Height:
		return execution.Result{}, fmt.Errorf("execute sequencer block %d, soft head was made from %d: %w", b.Height, s.Soft.Height, execution.ErrHeight)
	}
	if err := rises(s.Soft, b); err != nil {
		return execution.Result{}, err
	}
	result, err := o.execute(ctx, s, b)
	if err != nil {
		return execution.Result{}, fmt.Errorf("execute sequencer block %d: %w", b.Height, err)
	}
	return result, nil
}

// execute makes the block. The client has checked it before the journal gets it, and makes
// it its head after. A crash before leaves the client with a block that belongs to no
// chain yet and will be made again, the same; a crash after it a client that is told its
// head when the session is opened again.
func (o *OP) execute(ctx context.Context, s execution.Session, b execution.Block) (execution.Result, error) {
	at, err := o.site(s, b)
	if err != nil {
		return execution.Result{}, err
	}
	all, never := candidates(o.forks, b, at.number, uint64(at.attributes.Time))
	var block *made
	var skipped []execution.Skipped
	err = o.api.until(ctx, func() (err error) {
		block, skipped, err = o.tryMake(ctx, at, all)
		if errors.Is(err, ErrUnreachable) {
			o.joined = false // it may have fallen back
		}
		return err
	})
	if err != nil {
		return execution.Result{}, err
	}
	skipped = merge(never, skipped)
	if err := o.journal.add(at.number, &block.record, len(b.Transactions), skipped); err != nil {
		return execution.Result{}, err
	}
	head := headOf(at.number, &block.record)
	if err := o.adopt(ctx, execution.Session{Soft: head, Firm: s.Firm}); err != nil {
		return execution.Result{}, err
	}
	return execution.Result{Head: head, Skipped: skipped}, nil
}

// Recall implements execution.Recaller, for the soft head.
func (o *OP) Recall(_ context.Context, b execution.Block) (execution.Result, bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return execution.Result{}, false, evm.ErrClosed
	}
	s, err := o.session()
	if err != nil || s.Soft.Number == 0 || s.Soft.Height != b.Height {
		return execution.Result{}, false, err
	}
	t, err := o.journal.told()
	if err != nil || t.Number != s.Soft.Number || t.Of != len(b.Transactions) {
		return execution.Result{}, false, err
	}
	return execution.Result{Head: s.Soft, Skipped: t.Skipped}, true, nil
}

// tryMake makes the client build the block and check it as any other.
func (o *OP) tryMake(ctx context.Context, at site, all []candidate) (*made, []execution.Skipped, error) {
	if err := o.tryJoin(ctx); err != nil {
		return nil, nil, err
	}
	block, skipped, err := o.make(ctx, at, all)
	if err != nil {
		return nil, nil, err
	}
	r := &block.record
	known, err := o.api.newPayload(ctx, execution.Hash(r.Hash), r.Payload, r.BeaconRoot, r.Requests)
	if err == nil && known != valid {
		err = fmt.Errorf("%w: it fell back behind block %d", ErrUnreachable, at.number-1)
	}
	return block, skipped, err
}

// adopt makes the last block of the journal the client's head.
func (o *OP) adopt(ctx context.Context, s execution.Session) error {
	err := o.feeder.adopt(ctx, s.Soft, s.Firm)
	o.joined = err == nil
	return err
}

// merge puts two lists in the order of the transactions.
func merge(a, b []execution.Skipped) []execution.Skipped {
	var out []execution.Skipped
	for len(a) > 0 && len(b) > 0 {
		if a[0].Index < b[0].Index {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}

const randomDomain = "ordo/evm/prevrandao/v1\x00" // that of the embedded EVM

// site is where the next block is built.
func (o *OP) site(s execution.Session, b execution.Block) (site, error) {
	at := site{
		parent: s.Soft.Hash, firm: s.Firm.Hash, number: s.Soft.Number + 1, height: b.Height,
		attributes: attributes{
			Time:         hexutil.Uint64(b.Time.Unix()), // after the soft head, so positive
			Random:       sha256.Sum256(append([]byte(randomDomain), b.Hash[:]...)),
			FeeRecipient: o.zero.FeeRecipient, // of the genesis, as the gas limit: settings that all nodes share
			Withdrawals:  []struct{}{},
			BeaconRoot:   common.Hash(b.Hash),
			NoTxPool:     true,
			GasLimit:     o.zero.GasLimit,
		},
	}
	if o.forks.holocene {
		at.attributes.EIP1559Params = make(hexutil.Bytes, 8) // those of the genesis
	}
	if !o.forks.optimism {
		return at, nil
	}
	deposit, err := attributesDeposit(o.forks, b)
	if err != nil {
		return at, fmt.Errorf("encode the deposit with the attributes: %w", err)
	}
	at.attributes.Transactions, at.reserved = []hexutil.Bytes{deposit}, depositGas
	return at, nil
}

// SetFirm implements execution.Client: the client's safe and finalized block is then the
// firm head.
func (o *OP) SetFirm(ctx context.Context, firm execution.Hash) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.join(ctx); err != nil {
		return err
	}
	s, err := o.session()
	if err != nil {
		return err
	}
	number, known, err := o.journal.number(firm)
	if err != nil {
		return err
	}
	if zero, _ := o.journal.genesis(); firm == zero {
		number, known = 0, true
	}
	switch {
	case !known:
		return fmt.Errorf("set firm head %x: no such block: %w", firm, execution.ErrFirm)
	case number < s.Firm.Number:
		return fmt.Errorf("set firm head %x: block %d is below the firm head %d: %w", firm, number, s.Firm.Number, execution.ErrFirm)
	case number == s.Firm.Number:
		return nil
	}
	if err := o.journal.setFirm(number); err != nil {
		return err
	}
	if s.Firm, err = o.head(number); err != nil {
		return err
	}
	if err := o.adopt(ctx, s); err != nil {
		return fmt.Errorf("tell the execution client that block %d is firm: %w", number, err)
	}
	return nil
}

// Close implements execution.Client. The client goes on by itself.
func (o *OP) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return nil
	}
	o.closed = true
	o.api.close()
	return o.journal.close()
}

// journaled is the journal as a feeder reads it.
type journaled struct{ *journal }

func (j journaled) hash(number uint64) (execution.Hash, error) {
	if number == 0 {
		return j.genesis()
	}
	r, err := j.journal.block(number)
	if err != nil {
		return execution.Hash{}, err
	}
	return execution.Hash(r.Hash), nil
}

func (j journaled) block(number uint64) (*block, error) {
	r, err := j.journal.block(number)
	if err != nil {
		return nil, err
	}
	return &block{hash: execution.Hash(r.Hash), time: r.Time, payload: r.Payload, beaconRoot: r.BeaconRoot, requests: r.Requests}, nil
}
