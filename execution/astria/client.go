package astria

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/execution"
	executionv2 "github.com/ordo-network/ordo/execution/astria/proto/astria/execution/v2"
)

// Errors beside those of package execution.
var (
	// ErrClosed is returned by every call after Close.
	ErrClosed = errors.New("execution client is closed")
	// ErrProtocol is returned where the service says what cannot be. Nothing of it was
	// taken over.
	ErrProtocol = errors.New("the execution service breaks the protocol")
	// ErrOther is returned where the service executes another rollup, or one of another
	// sequencer chain.
	ErrOther = errors.New("the execution service is of another rollup")
	// ErrEnded is returned by Execute where the session is over and no other begins.
	ErrEnded = errors.New("the execution service executes no further block")
)

// DefaultTimeout is how long one call may take. It has to suffice for the largest
// block: one that takes longer is executed again and again.
const DefaultTimeout = 2 * time.Minute

// Config is what a Client needs.
type Config struct {
	// Endpoint of the service: grpc://host:port, or grpcs://host:port with TLS.
	Endpoint string
	RollupID execution.Hash
	ChainID  string // of the sequencer chain
	// Firm says that SetFirm will be called: only then does it make sense to wait for it
	// where soft leads by the session's look-ahead.
	Firm bool
	// Dir, where set, lets blocks of the order be gathered (execution.Pace.BlockTime): it is
	// where the client keeps which sequencer block each rollup block was made from, which
	// the API has no room for. It goes with the service's data. Where it is empty each
	// sequencer block makes one rollup block (execution.Pace.Every).
	Dir string
	// Executed, where set, is told of each block before it becomes the soft one: what the
	// service says that it skipped, it never says again. An error ends Execute.
	Executed func(execution.Block, execution.Result) error
	Timeout  time.Duration // of one call; zero means DefaultTimeout
	Logger   *slog.Logger  // nil means slog.Default
	// Registerer takes the metrics; nil for none.
	Registerer prometheus.Registerer
}

// Client is an execution.Client for a service somewhere else. Where the service does
// not answer, calls wait for it as long as their context lasts.
type Client struct {
	cfg Config
	rpc *caller
	log *slog.Logger

	heights *heights // nil where numbers tell

	mu     sync.Mutex // one call at a time
	closed bool
	now    session
	stale  bool   // the session has to be opened anew before the next call
	told   uint64 // number of the last block that the caller takes for executed
}

var _ execution.Client = (*Client)(nil)

// session is where the service stands.
type session struct {
	id         string
	parameters Parameters
	soft, firm block
	celestia   uint64 // lowest height to search, as the service said it
	terms      bool   // the service applies legs with terms as one
	tells      bool   // and says what it skips
	// fell says that the service lost the states of its newest blocks in a crash, and kept
	// the note of which one was firm. That block counts for nothing then: firm is soft.
	fell bool
}

// Dial waits until the service answers, or ctx ends, and opens the first session.
// Errors: ErrOther, ErrProtocol.
func Dial(ctx context.Context, cfg Config) (*Client, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	target, err := parseEndpoint(cfg.Endpoint)
	if err != nil {
		return nil, err
	}
	rpc, err := newCaller(target, cfg.Timeout, cfg.Registerer)
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, rpc: rpc, log: cfg.Logger.With("execution", cfg.Endpoint), stale: true}
	if cfg.Dir != "" {
		if c.heights, err = openHeights(cfg.Dir); err != nil {
			rpc.close()
			return nil, err
		}
	}
	if err := c.persist(ctx, "open a session", func(context.Context) error { return nil }); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// parseEndpoint returns the URL that HTTP knows the service by.
func parseEndpoint(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	if err == nil && u.Host != "" && u.User == nil && (u.Path == "" || u.Path == "/") && u.RawQuery == "" && u.Fragment == "" {
		switch u.Scheme {
		case "grpc":
			return "http://" + u.Host, nil
		case "grpcs":
			return "https://" + u.Host, nil
		}
	}
	return "", fmt.Errorf("the execution service's address is %q: want grpc://host:port, or grpcs://host:port with TLS", endpoint)
}

// Parameters returns those of the current session.
func (c *Client) Parameters() Parameters {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now.parameters
}

// KeepsTerms reports whether legs with terms reach the service, and are applied as one.
func (c *Client) KeepsTerms() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now.terms
}

// TellsSkipped reports whether the service says what it skips. Where it does not, a result
// tells what was kept from it, and of the rest nothing.
func (c *Client) TellsSkipped() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now.tells
}

// Open implements execution.Client. Errors: ErrOther, ErrProtocol, execution.ErrDisagree.
func (c *Client) Open(ctx context.Context) (execution.Session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return execution.Session{}, ErrClosed
	}
	c.stale = true
	if err := c.persist(ctx, "open a session", func(context.Context) error { return nil }); err != nil {
		return execution.Session{}, err
	}
	c.told = c.now.soft.head.Number
	return execution.Session{Soft: c.now.soft.head, Firm: c.now.firm.head}, nil
}

// SetFirm implements execution.Client. Errors: execution.ErrFirm, with execution.ErrParent
// where the service has lost the block.
func (c *Client) SetFirm(ctx context.Context, firm execution.Hash) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	err := c.persist(ctx, "set the firm head", func(ctx context.Context) error { return c.setFirm(ctx, firm) })
	if code := connect.CodeOf(err); err != nil && (code == connect.CodeFailedPrecondition || code == connect.CodeNotFound) {
		err = fmt.Errorf("%w: %w", execution.ErrFirm, err)
	}
	if err != nil {
		return fmt.Errorf("set firm head %x: %w", firm, err)
	}
	return nil
}

func (c *Client) setFirm(ctx context.Context, firm execution.Hash) error {
	if firm == c.now.firm.head.Hash {
		return nil
	}
	b, err := c.find(ctx, firm)
	if err != nil {
		return err
	}
	return c.commit(ctx, c.now.soft, b)
}

// find returns the block above the firm one that has this hash. Firm moves up block by
// block, so it is the first one as a rule.
func (c *Client) find(ctx context.Context, hash execution.Hash) (block, error) {
	at, soft := c.now.firm, c.now.soft
	for at.head.Number < soft.head.Number {
		number := at.head.Number + 1
		m, err := c.rpc.block(ctx, number)
		if err != nil {
			return block{}, fmt.Errorf("look up rollup block %d: %w", number, err)
		}
		b, err := c.decodeBlock(c.now.parameters, m)
		switch {
		case err != nil:
			return block{}, fmt.Errorf("rollup block %d: %w", number, err)
		case b.head.Number != number || hashOf(m.GetParentHash()) != at.head.Hash:
			return block{}, fmt.Errorf("asked for rollup block %d on %s, the service returned %d on %s: %w", number, clip(at.meta.GetHash()),
				b.head.Number, clip(m.GetParentHash()), ErrProtocol)
		case number == soft.head.Number && b.head.Hash != soft.head.Hash:
			return block{}, fmt.Errorf("rollup block %d is %s, and was %s: %w", number, clip(m.GetHash()), clip(soft.meta.GetHash()), execution.ErrDisagree)
		case b.head.Hash == hash:
			return b, nil
		}
		at = b
	}
	if soft.head.Number < c.told {
		return block{}, fmt.Errorf("the service fell back from rollup block %d to %d: %w: %w", c.told, soft.head.Number, execution.ErrFirm, execution.ErrParent)
	}
	return block{}, fmt.Errorf("no block with that hash stands above the firm block %d up to the soft block %d: %w",
		c.now.firm.head.Number, soft.head.Number, execution.ErrFirm)
}

// commit moves the soft and firm blocks of the service, and then ours. After a crash
// before the service has it, or before we know that it has, the next session tells.
func (c *Client) commit(ctx context.Context, soft, firm block) error {
	if c.now.fell && firm.head.Number < c.now.parameters.StartNumber {
		// The service knows a higher firm block, and so takes none from before its session.
		// The session's first, which was firm once, may be called so again.
		firm = soft
	}
	got, err := c.rpc.commit(ctx, c.now.id, &executionv2.CommitmentState{
		SoftExecutedBlockMetadata: soft.meta, FirmExecutedBlockMetadata: firm.meta, LowestCelestiaSearchHeight: c.now.celestia,
	})
	if err != nil {
		return fmt.Errorf("move soft to rollup block %d and firm to %d: %w", soft.head.Number, firm.head.Number, err)
	}
	for _, x := range []struct {
		what string
		got  *executionv2.ExecutedBlockMetadata
		want block
	}{{"soft", got.GetSoftExecutedBlockMetadata(), soft}, {"firm", got.GetFirmExecutedBlockMetadata(), firm}} {
		if x.got.GetNumber() != x.want.head.Number || hashOf(x.got.GetHash()) != x.want.head.Hash {
			// A client may call firm what is soft, where its operator told it to.
			if x.what == "firm" && x.got.GetNumber() > x.want.head.Number && x.got.GetNumber() <= soft.head.Number {
				continue
			}
			return fmt.Errorf("%s was moved to rollup block %d, %s, the service says that it is %d, %s: %w", x.what, x.want.head.Number,
				clip(x.want.meta.GetHash()), x.got.GetNumber(), clip(x.got.GetHash()), ErrProtocol)
		}
	}
	c.now.soft, c.now.firm = soft, firm
	return nil
}

// Close implements execution.Client. The service goes on.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	c.rpc.close()
	if c.heights != nil {
		return c.heights.close()
	}
	return nil
}
