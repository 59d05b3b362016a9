package rollup

import (
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

// outcome is what the driver made of one block of the order.
type outcome struct {
	Block    *follower.Block
	Executed bool // whether it became a rollup block
	Result   execution.Result
	Head     execution.Head // the rollup's soft head after it
}

// driver turns blocks of the order into rollup blocks. Soft blocks and firm
// blocks come from two sources, each in order and already verified; whichever is
// ahead is executed, and the firm one must then equal the soft one.
type driver struct {
	client  execution.Client
	store   *store
	metrics *metrics
	now     func() time.Time
	first   uint64 // first sequencer height that counts for the rollup
	// observe is called in order, once the block is on disk. After a crash it may be called again for the same block.
	observe func(context.Context, outcome) error

	mu     sync.Mutex
	soft   execution.Head
	height uint64 // last sequencer height that was taken in
	firm   uint64 // last sequencer height known firm
}

// open resumes where the execution client stands. Sequencer blocks above its
// head that made no rollup block were noted in the store.
func (d *driver) open(ctx context.Context) error {
	session, err := d.client.Open(ctx)
	if err != nil {
		return fmt.Errorf("open execution client: %w", err)
	}
	d.soft, d.height, d.firm = session.Soft, session.Soft.Height, session.Firm.Height
	if d.soft.Number == 0 {
		d.height = d.first - 1
	}
	// What comes after the chain's data was removed executes the void leg no more: the
	// store knows the batch.
	switch wrong, ok, err := d.store.resync(); {
	case err != nil:
		return err
	case ok && d.height >= wrong:
		return fmt.Errorf("sequencer block %d: %w", wrong, ErrVoidExecuted)
	case ok:
		if err := d.store.resynced(); err != nil {
			return err
		}
	}
	for {
		r, ok, err := d.store.record(d.height + 1)
		if err != nil {
			return err
		}
		if !ok || r.Head != d.soft.Hash {
			break
		}
		d.height++
	}
	d.metrics.softHeight.Set(float64(d.height))
	d.metrics.firmHeight.Set(float64(d.firm))
	return nil
}

// state returns the last sequencer heights taken in and known firm.
func (d *driver) state() (soft execution.Head, height, firm uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.soft, d.height, d.firm
}

// onSoft takes in a block of the order. A block that was taken in before is
// compared with what was taken. Errors: ErrFork, follower.ErrVoidData, ErrVoidExecuted.
func (d *driver) onSoft(ctx context.Context, b *follower.Block) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.take(ctx, b)
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
	if b.Height <= d.height {
		return d.compare(b, known)
	}
	if b.Height != d.height+1 {
		return fmt.Errorf("sequencer block %d came after %d: the source left a gap", b.Height, d.height)
	}
	// Before it is executed: after a crash the proof does not come again.
	if err := d.store.putVoid(b.Height, b.Void); err != nil {
		return fmt.Errorf("note void batches of sequencer block %d: %w", b.Height, err)
	}
	block := execution.Block{Height: b.Height, Hash: b.Hash, Time: b.Time, Transactions: b.Transactions()}
	out := outcome{Block: b}
	if (execution.Pace{}).Due(d.soft, block) {
		start := time.Now()
		res, err := d.client.Execute(ctx, d.soft.Hash, block)
		if err != nil {
			return fmt.Errorf("execute sequencer block %d: %w", b.Height, err)
		}
		d.metrics.executeSeconds.Observe(time.Since(start).Seconds())
		d.metrics.transactions.WithLabelValues("executed").Add(float64(len(block.Transactions) - len(res.Skipped)))
		d.metrics.transactions.WithLabelValues("skipped").Add(float64(len(res.Skipped)))
		out.Executed, out.Result = true, res
		d.soft = res.Head
	}
	// A crash before this line: the client's head is one block ahead of the records,
	// and open goes on from the head.
	if err := d.store.putRecord(b.Height, record{Hash: b.Hash, SeenAt: d.now(), Number: d.soft.Number, Head: d.soft.Hash}); err != nil {
		return fmt.Errorf("note sequencer block %d: %w", b.Height, err)
	}
	d.height, out.Head = b.Height, d.soft
	d.metrics.softHeight.Set(float64(d.height))
	return d.observe(ctx, out)
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
	return errors.Join(fmt.Errorf("%w: %w", err, ErrVoidExecuted), d.store.putResync(void.Height, void.Batches))
}

// taken tells the reader of the DA layer what was made of a block.
func (d *driver) taken(height uint64) (follower.Taken, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if height > d.height {
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
	if b.Height <= d.firm {
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
	if ok {
		if err := d.client.SetFirm(ctx, r.Head); err != nil {
			return fmt.Errorf("set firm head for sequencer block %d: %w", b.Height, err)
		}
	}
	// A crash before this line reads the same DA blocks again, with the same outcome.
	if err := d.store.putFirm(b.Height, d.now(), cursor); err != nil {
		return fmt.Errorf("note firm block %d: %w", b.Height, err)
	}
	d.firm = b.Height
	d.metrics.firmHeight.Set(float64(d.firm))
	return nil
}
