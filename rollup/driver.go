package rollup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
)

// ErrFork is returned where the DA layer and the sequencers give two different
// blocks for one height, both signed by the validators. The node stops: it
// cannot tell which one the others follow.
var ErrFork = errors.New("two signed blocks for one height")

// ErrVoidExecuted is returned where a leg that this node executed is proven to be void.
// Those who read the order as it was made, with the proof, did not execute it.
var ErrVoidExecuted = errors.New("this node executed a leg of a batch that is void, and its state is not the rollup's: " +
	"remove data/evm from its home and start it again, to execute the order anew without that leg")

// maxAhead is by how much a genesis may lie ahead of the order where blocks are gathered.
const maxAhead = time.Minute

// errAgain ends a node that must be opened again to go on: what it goes on from lies
// lower than what it had.
var errAgain = errors.New("the node must start again")

// outcome is what the driver made of the order since the last one.
type outcome struct {
	Blocks   []block // of the order, rising; at least one
	Executed bool    // whether they became a rollup block
	// Forgotten says that they were executed before a crash, and that nobody knows any
	// more what became of each transaction.
	Forgotten bool
	Result    execution.Result
	Head      execution.Head // the rollup's head after them
	Soft      execution.Head // the soft head: Head, or above it where a crash lost several notes
	Took      time.Duration  // to execute them
}

// executor makes rollup blocks.
type executor interface {
	// offer takes the block that is next on soft, and makes it where it is due.
	offer(ctx context.Context, soft execution.Head, b execution.Block) (res execution.Result, made bool, err error)
	// recall tells what offer told of a block that was made before a crash, where ok.
	recall(ctx context.Context, b execution.Block) (res execution.Result, ok bool, err error)
}

// alone executes a rollup by itself.
type alone struct {
	client execution.Client
	pace   execution.Pace
}

func (a alone) offer(ctx context.Context, soft execution.Head, b execution.Block) (res execution.Result, made bool, err error) {
	if !a.pace.Due(soft, b) {
		return res, false, nil
	}
	res, err = a.client.Execute(ctx, soft.Hash, b)
	return res, err == nil, err
}

// position is how far a driver has come.
type position struct {
	soft   execution.Head
	height uint64 // last sequencer height that was taken in
	firm   uint64 // last sequencer height known firm
	final  uint64 // last block of the rollup known firm
}

// driver turns blocks of the order into rollup blocks. Soft blocks and firm
// blocks come from two sources, each in order and already verified; whichever is
// ahead is executed, and the firm one must then equal the soft one.
type driver struct {
	rollup   order.RollupID
	client   execution.Client
	executor executor
	store    *store
	metrics  *metrics
	now      func() time.Time
	first    uint64 // first sequencer height that counts for the rollup
	// hash, where set, names transactions: where they are executed is kept in the store.
	hash func(tx []byte) [32]byte
	// gather, where set, is called in order with what waits for its rollup block, once it is on disk.
	gather func(block)
	// observe is called in order, once the block is on disk. After a crash it may be called again for the same block.
	observe func(context.Context, outcome) error

	mu       sync.Mutex     // of the sources: one block at a time
	gathered []block        // what waits for its rollup block, without a gap, up to at.height
	below    execution.Head // while what a crash kept from being noted is taken in again: the rollup's head there; zero where it is not known
	firmed   chan struct{}  // closed when the firm head has moved

	view    sync.Mutex // guards changes of what follows, for those who do not wait for a block
	at      position
	waiting map[[32]byte]bool // transactions that wait for their rollup block, where there is a hash
}

// open resumes where the execution client stands. Sequencer blocks above its
// head that made no rollup block were noted in the store.
func (d *driver) open(ctx context.Context) error {
	session, err := d.client.Open(ctx)
	if err != nil {
		return fmt.Errorf("open execution client: %w", err)
	}
	d.firmed = make(chan struct{})
	d.at = position{session.Soft, session.Soft.Height, session.Firm.Height, session.Firm.Number}
	if d.at.soft.Number == 0 {
		d.at.height = d.first - 1
	}
	// What comes after the chain's data was removed executes the void leg no more: the
	// store knows the batch.
	switch wrong, ok, err := d.store.resync(); {
	case err != nil:
		return err
	case ok && d.at.height >= wrong:
		return fmt.Errorf("sequencer block %d: %w", wrong, ErrVoidExecuted)
	case ok:
		if err := d.store.resynced(); err != nil {
			return err
		}
	}
	if err := d.recover(); err != nil {
		return err
	}
	d.metrics.gathered.Set(float64(len(d.gathered)))
	d.metrics.softHeight.Set(float64(d.at.height))
	d.metrics.firmHeight.Set(float64(d.at.firm))
	return nil
}

// state returns the last sequencer heights taken in and known firm.
func (d *driver) state() (soft execution.Head, height, firm uint64) {
	d.view.Lock()
	defer d.view.Unlock()
	return d.at.soft, d.at.height, d.at.firm
}

// moved changes the position, of which the caller is the only one to do so.
func (d *driver) moved(at position) {
	d.view.Lock()
	d.at = at
	d.view.Unlock()
	d.metrics.softHeight.Set(float64(at.height))
	d.metrics.firmHeight.Set(float64(at.firm))
}

// await notes transactions that wait, beside those that do, or that none does.
func (d *driver) await(txs [][]byte) {
	if d.hash == nil {
		return
	}
	d.view.Lock()
	defer d.view.Unlock()
	if txs == nil || d.waiting == nil {
		d.waiting = make(map[[32]byte]bool)
	}
	for _, tx := range txs {
		d.waiting[d.hash(tx)] = true
	}
}

// waits reports whether a transaction is ordered, and waits for its rollup block.
func (d *driver) waits(hash [32]byte) bool {
	d.view.Lock()
	defer d.view.Unlock()
	return d.waiting[hash]
}

// heads returns the rollup's last block, and the last that is firm.
func (d *driver) heads() (soft, final uint64) {
	d.view.Lock()
	defer d.view.Unlock()
	return d.at.soft.Number, d.at.final
}

// onSoft takes in a block of the order. A block that was taken in before is
// compared with what was taken. Errors: ErrFork, follower.ErrVoidData, ErrVoidExecuted.
//
// Where soft leads firm by all that the client allows, it waits: what comes from DA gets
// in between.
func (d *driver) onSoft(ctx context.Context, b *follower.Block) error {
	for {
		d.mu.Lock()
		firmed := d.firmed
		err := d.take(ctx, b)
		d.mu.Unlock()
		if !errors.Is(err, execution.ErrAhead) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-firmed:
		}
	}
}

func (d *driver) take(ctx context.Context, b *follower.Block) error {
	known, err := d.store.void(b.Height)
	if err != nil {
		return err
	}
	// Data is known by its digest, and void by proof: a block that lacks the proof of a
	// batch may have data for what the batch does not hold.
	for _, leg := range b.Legs {
		if !leg.Void && slices.Contains(known, leg.Batch) && !slices.Contains(b.Void, leg.Batch) {
			return fmt.Errorf("block %d, bundle %s of batch %s: %w", b.Height, leg.BundleID, leg.Batch, follower.ErrVoidData)
		}
	}
	if b.Height <= d.at.height {
		return d.compare(b, known)
	}
	if b.Height != d.at.height+1 {
		return fmt.Errorf("sequencer block %d came after %d: the source left a gap", b.Height, d.at.height)
	}
	// Before it is executed: after a crash the proof does not come again.
	if err := d.store.putVoid(b.Height, b.Void); err != nil {
		return fmt.Errorf("note void batches of sequencer block %d: %w", b.Height, err)
	}
	return d.execute(ctx, newBlock(d.rollup, b))
}

// execute makes a rollup block of what was gathered and the next block of the order, or
// gathers that too.
func (d *driver) execute(ctx context.Context, b block) error {
	next := b.behind(d.gathered)
	start := time.Now()
	at := d.at
	at.height = b.Height
	again := b.Height <= at.soft.Height
	var res execution.Result
	var made bool
	var err error
	if again {
		res, made, err = d.again(ctx, next)
	} else {
		res, made, err = d.executor.offer(ctx, at.soft, next)
	}
	if err != nil {
		return fmt.Errorf("execute sequencer block %d: %w", b.Height, err)
	}
	res.Skipped = inOrder(res.Skipped, len(next.Transactions))
	if made {
		if d.below = res.Head; !again {
			at.soft = res.Head
			d.metrics.executeSeconds.Observe(time.Since(start).Seconds())
		}
		d.metrics.transactions.WithLabelValues("executed").Add(float64(len(next.Transactions) - len(res.Skipped)))
		d.metrics.transactions.WithLabelValues("skipped").Add(float64(len(res.Skipped)))
	}
	head := at.soft
	switch {
	case made:
		head = res.Head
	case b.Height < at.soft.Height:
		head = d.below
	}
	r := record{Hash: b.Hash, SeenAt: d.now(), Number: head.Number, Head: head.Hash}
	forgotten := !made && b.Height == at.soft.Height
	if !made && !forgotten && len(next.Transactions) > 0 {
		return d.wait(b, r, at)
	}
	out := outcome{Blocks: append(d.gathered, b), Executed: made, Forgotten: forgotten, Result: res, Head: head, Soft: at.soft, Took: time.Since(start)}
	// A crash before this line: the client's head is one block ahead of the records, and
	// what that block was made from is gathered or read again. recover goes back there, and
	// the client tells again what it made of it.
	if err := d.store.putOutcome(r, out, d.hash); err != nil {
		return fmt.Errorf("note sequencer block %d: %w", b.Height, err)
	}
	d.gathered = nil
	d.metrics.gathered.Set(0)
	d.await(nil)
	d.moved(at)
	return d.observe(ctx, out)
}

// inOrder returns what was skipped of that many transactions by rising index, each once:
// a client may say it in any way.
func inOrder(skipped []execution.Skipped, transactions int) []execution.Skipped {
	skipped = slices.DeleteFunc(slices.Clone(skipped), func(s execution.Skipped) bool { return s.Index < 0 || s.Index >= transactions })
	slices.SortStableFunc(skipped, func(a, b execution.Skipped) int { return cmp.Compare(a.Index, b.Index) })
	return slices.CompactFunc(skipped, func(a, b execution.Skipped) bool { return a.Index == b.Index })
}

// wait gathers a block.
func (d *driver) wait(b block, r record, at position) error {
	if at.soft.Number == 0 && b.Time.Add(maxAhead).Before(at.soft.Time) {
		return fmt.Errorf("sequencer block %d is of %s, and the rollup's genesis is of %s, after which its blocks begin: give it an earlier timestamp, or a start_height beyond it: %w",
			b.Height, b.Time.UTC().Format(time.RFC3339), at.soft.Time.UTC().Format(time.RFC3339), execution.ErrTime)
	}
	r.Waits = true
	// A crash before this line: the block is taken in again.
	if err := d.store.putGathered(b, r); err != nil {
		return fmt.Errorf("gather sequencer block %d: %w", b.Height, err)
	}
	d.gathered = append(d.gathered, b)
	d.metrics.gathered.Set(float64(len(d.gathered)))
	d.await(b.transactions())
	d.moved(at)
	if d.gather != nil {
		d.gather(b)
	}
	return nil
}

// compare checks a block against the one that was taken in at its height, when those
// batches were known to be void.
func (d *driver) compare(b *follower.Block, known []order.BatchID) error {
	r, ok, err := d.store.record(b.Height)
	if err != nil || !ok {
		return err
	}
	if r.Hash != b.Hash {
		return fmt.Errorf("height %d: %x was executed, %x comes from the other source: %w", b.Height, r.Hash, b.Hash, ErrFork)
	}
	return d.wrong(b.Unknown(known))
}

// wrong notes that legs which were executed are void, where that is the error.
func (d *driver) wrong(err error) error {
	var void *follower.VoidError
	if !errors.As(err, &void) || errors.Is(err, ErrVoidExecuted) {
		return err
	}
	soft, _, _ := d.state()
	executed := void.Height <= soft.Height
	// A crash before this line executes the leg, and finds its proof again.
	stored := d.store.putWrong(void.Height, void.Batches, executed)
	if !executed {
		return errors.Join(fmt.Errorf("%w, before it was executed: %w", err, errAgain), stored)
	}
	return errors.Join(fmt.Errorf("%w: %w", err, ErrVoidExecuted), stored)
}

// taken tells the reader of the DA layer what was made of a block.
func (d *driver) taken(height uint64) (follower.Taken, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if height > d.at.height {
		return follower.Taken{}, false, nil
	}
	r, ok, err := d.store.record(height)
	if err != nil || !ok {
		return follower.Taken{}, false, err
	}
	void, err := d.store.void(height)
	return follower.Taken{Hash: r.Hash, Void: void}, true, err
}

// onFirm takes in a block that was read back from DA, with the reader's cursor
// behind it. Errors: ErrFork, follower.ErrVoidData, ErrVoidExecuted.
func (d *driver) onFirm(ctx context.Context, b *follower.Block, cursor []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if b.Height <= d.at.firm {
		return d.take(ctx, b)
	}
	// DA may be ahead where no sequencer answers: then it feeds the rollup alone.
	if err := d.take(ctx, b); err != nil {
		return fmt.Errorf("firm block: %w", err)
	}
	r, ok, err := d.store.record(b.Height)
	if err != nil {
		return err
	}
	ok = ok && r.Head != (execution.Hash{})
	if ok {
		if err := d.client.SetFirm(ctx, r.Head); err != nil {
			return fmt.Errorf("set firm head for sequencer block %d: %w", b.Height, err)
		}
	}
	// A crash before this line reads the same DA blocks again, with the same outcome.
	if err := d.store.putFirm(b.Height, d.now(), cursor); err != nil {
		return fmt.Errorf("note firm block %d: %w", b.Height, err)
	}
	at := d.at
	at.firm = b.Height
	if ok {
		at.final = r.Number
	}
	d.moved(at)
	close(d.firmed)
	d.firmed = make(chan struct{})
	return nil
}
