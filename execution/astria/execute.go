package astria

import (
	"context"
	"errors"
	"fmt"

	"connectrpc.com/connect"

	"github.com/ordo-network/ordo/execution"
	executionv2 "github.com/ordo-network/ordo/execution/astria/proto/astria/execution/v2"
)

// Execute implements execution.Client. Skipped are the transactions that the service says
// it skipped, where it says so, and legs with terms where it does not keep them. What it
// said is lost where its answer is, and the block was made all the same.
// Errors: execution.ErrParent, ErrHeight (for heights that are left out, too), ErrTime,
// ErrAhead and ErrDisagree; ErrEnded, ErrProtocol.
func (c *Client) Execute(ctx context.Context, parent execution.Hash, b execution.Block) (execution.Result, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return execution.Result{}, ErrClosed
	}
	x := &executing{Client: c, parent: parent, block: b}
	if err := c.persist(ctx, "execute a block", x.step); err != nil {
		return execution.Result{}, fmt.Errorf("execute sequencer block %d: %w", b.Height, x.explain(err))
	}
	c.told = c.now.soft.head.Number
	return execution.Result{Head: c.now.soft.head, Skipped: x.skipped}, nil
}

// executing is one block on its way into the service, over as many sessions as it takes.
type executing struct {
	*Client
	parent  execution.Hash
	block   execution.Block
	skipped []execution.Skipped

	on   block  // the parent, once it was the soft block
	made *block // what the service made of it, once it said so
	sent bool   // the service may have executed the block
	over bool   // a session was opened because the one before had ended
}

func (x *executing) step(ctx context.Context) error {
	switch soft := x.now.soft; {
	case soft.head.Hash == x.parent:
		x.on = soft
	case x.sent && x.isOurs(soft):
		// The answer was lost, and the service, which had the block, began its new
		// session from there.
		return x.same(soft)
	default:
		return fmt.Errorf("on %x, the soft block is %d, %s: %w", x.parent, soft.head.Number, clip(soft.meta.GetHash()), execution.ErrParent)
	}
	if err := x.admit(); err != nil {
		return err
	}
	out, err := pack(x.block, x.now.terms)
	if err != nil {
		return err
	}
	out.request.SessionId, out.request.ParentHash = x.now.id, x.on.meta.GetHash()
	if x.heights != nil {
		if err := x.heights.put(x.on.head.Number+1, x.block.Height); err != nil {
			return err
		}
	}
	x.sent, x.skipped = true, out.kept
	answer, err := x.rpc.execute(ctx, out.request)
	if err != nil {
		return err
	}
	made, err := x.check(answer.GetExecutedBlockMetadata())
	if err != nil {
		return err
	}
	if x.skipped, err = out.skipped(answer.GetOrdoSkipped()); err != nil {
		return err
	}
	if err := x.same(made); err != nil {
		return err
	}
	// A crash before this line leaves a block that is executed again; one behind it a block
	// that is, too, or that is the soft one and noted.
	if x.cfg.Executed != nil {
		if err := x.cfg.Executed(x.block, execution.Result{Head: made.head, Skipped: x.skipped}); err != nil {
			return fmt.Errorf("note rollup block %d: %w", made.head.Number, err)
		}
	}
	return x.commit(ctx, made, x.now.firm)
}

// Kept is what execution.Recaller has, for the soft head, of a result that nobody noted: what
// was kept from the service. What the service itself skipped it says once, to Config.Executed.
func (c *Client) Kept(b execution.Block) (execution.Result, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return execution.Result{}, false, ErrClosed
	}
	soft := c.now.soft
	if soft.head.Number < c.now.parameters.StartNumber || soft.head.Height != b.Height || !madeFrom(soft.meta, b.Hash) {
		return execution.Result{}, false, nil
	}
	out, err := pack(b, c.now.terms)
	if err != nil {
		return execution.Result{}, false, fmt.Errorf("tell what was kept of sequencer block %d: %w", b.Height, err)
	}
	return execution.Result{Head: soft.head, Skipped: out.kept}, true, nil
}

// isOurs reports whether the service stands one block on, where this one has led it.
func (x *executing) isOurs(soft block) bool {
	return soft.head.Number == x.on.head.Number+1 && hashOf(soft.meta.GetParentHash()) == x.parent && madeFrom(soft.meta, x.block.Hash)
}

// same holds a block that was executed again against what came of it before.
func (x *executing) same(b block) error {
	if x.made != nil && x.made.head.Hash != b.head.Hash {
		return fmt.Errorf("the same block was %s at first, and %s when it was executed again: %w", clip(x.made.meta.GetHash()), clip(b.meta.GetHash()), execution.ErrDisagree)
	}
	x.made = &b
	return nil
}

// admit checks that the session takes the block.
func (x *executing) admit() error {
	p, soft, firm := x.now.parameters, x.now.soft.head, x.now.firm.head
	number := soft.Number + 1
	if p.EndNumber != 0 && number > p.EndNumber {
		if !x.over {
			x.over = true
			return connect.NewError(connect.CodeOutOfRange, fmt.Errorf("the session ends with rollup block %d", p.EndNumber))
		}
		// The next session may hang on the firm block.
		if x.cfg.Firm && firm.Number < soft.Number {
			return fmt.Errorf("the session ends with rollup block %d, and firm is %d: %w", p.EndNumber, firm.Number, execution.ErrAhead)
		}
		return fmt.Errorf("its sessions end with rollup block %d: %w", p.EndNumber, ErrEnded)
	}
	switch want := p.Height(number); {
	case x.heights == nil && x.block.Height != want:
		return fmt.Errorf("rollup block %d is made from sequencer block %d, no other: %w", number, want, execution.ErrHeight)
	case x.block.Height <= soft.Height, x.block.Height < p.StartHeight:
		return fmt.Errorf("the soft block was made from %d, the session begins with %d: %w", soft.Height, p.StartHeight, execution.ErrHeight)
	case x.cfg.Firm && p.LookAhead != 0 && soft.Number-firm.Number >= p.LookAhead:
		return fmt.Errorf("soft is %d, firm %d, and may lead by %d: %w", soft.Number, firm.Number, p.LookAhead, execution.ErrAhead)
	}
	return nil
}

// check holds what the service says that it made against what it was to make.
func (x *executing) check(m *executionv2.ExecutedBlockMetadata) (block, error) {
	b, err := x.decodeBlock(x.now.parameters, m)
	switch {
	case err != nil:
		return block{}, fmt.Errorf("the block: %w", err)
	case b.head.Number != x.on.head.Number+1 || hashOf(m.GetParentHash()) != x.parent:
		return block{}, fmt.Errorf("the service made rollup block %d on %s, want %d on %s: %w", b.head.Number, clip(m.GetParentHash()),
			x.on.head.Number+1, clip(x.on.meta.GetHash()), ErrProtocol)
	case b.head.Hash == x.parent:
		return block{}, fmt.Errorf("rollup block %d has its parent's hash, %s: %w", b.head.Number, clip(m.GetHash()), ErrProtocol)
	case !madeFrom(m, x.block.Hash):
		return block{}, fmt.Errorf("the service made it from sequencer block %s, want %x: %w", clip(m.GetSequencerBlockHash()), x.block.Hash, ErrProtocol)
	case b.head.Time.Before(x.on.head.Time):
		return block{}, fmt.Errorf("rollup block %d is of %s, before its parent's %s: %w", b.head.Number, b.head.Time, x.on.head.Time, ErrProtocol)
	}
	return b, nil
}

// explain says in Ordo's words why the service did not take the block.
func (x *executing) explain(err error) error {
	var call *connect.Error
	if !errors.As(err, &call) {
		return err
	}
	switch call.Code() {
	case connect.CodeFailedPrecondition:
		return fmt.Errorf("%w: %w", execution.ErrParent, err)
	case connect.CodePermissionDenied:
		return fmt.Errorf("%w: does another node open sessions on the same service? Each needs its own", err)
	case connect.CodeInvalidArgument:
		if connect.IsWireError(call) && x.block.Time.Unix() <= x.on.head.Time.Unix() {
			return fmt.Errorf("%w: the service may want blocks of different seconds, and the order's come faster: its rollup needs a block_time of 1s from its beginning: %w", execution.ErrTime, err)
		}
	case connect.CodeResourceExhausted:
		return fmt.Errorf("%w: raise the size of a message that the execution service takes", err)
	}
	return err
}
