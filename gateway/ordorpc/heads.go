package ordorpc

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"
)

// maxBehind is how many blocks a subscriber may be behind before some are left out.
const maxBehind = 1000

// ethSubscriptions are the kinds of eth_subscribe where an Ethereum client stands behind
// the door: what is new is read from the client, as soon as the node has seen it made.
type ethSubscriptions struct {
	changes  *changes
	chain    Chain
	client   *rpc.Client
	accepted *Recent[Hash]

	mu      sync.Mutex // one reads at a time: the others want the same, as a rule
	headers map[hexutil.Uint64]map[string]json.RawMessage
}

// keepHeaders bounds those that are kept for other subscribers.
const keepHeaders = 64

// header returns the header of a block, which nobody may change.
func (s *ethSubscriptions) header(ctx context.Context, number hexutil.Uint64) (map[string]json.RawMessage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if header := s.headers[number]; header != nil {
		return header, nil
	}
	var header map[string]json.RawMessage
	if err := s.client.CallContext(ctx, &header, "eth_getBlockByNumber", number, false); err != nil {
		return nil, err
	}
	if header == nil {
		return nil, fmt.Errorf("the client does not show block %d yet", number)
	}
	for _, name := range []string{"transactions", "uncles", "withdrawals", "size"} { // a block has them, a header not
		delete(header, name)
	}
	if s.headers == nil || len(s.headers) >= keepHeaders {
		s.headers = make(map[hexutil.Uint64]map[string]json.RawMessage)
	}
	s.headers[number] = header
	return header, nil
}

// NewHeads sends the header of each new block.
func (s *ethSubscriptions) NewHeads(ctx context.Context) (*rpc.Subscription, error) {
	return s.follow(ctx, func(ctx context.Context, number hexutil.Uint64, send func(any) error) error {
		header, err := s.header(ctx, number)
		if err != nil {
			return err
		}
		return send(header)
	})
}

// Logs sends the logs of new blocks that match.
func (s *ethSubscriptions) Logs(ctx context.Context, query map[string]json.RawMessage) (*rpc.Subscription, error) {
	filter := make(map[string]any)
	for _, name := range []string{"address", "topics"} {
		if v := query[name]; v != nil {
			filter[name] = v
		}
	}
	// The client says now what is wrong with the query, and not at each block.
	heads, err := s.chain.Heads()
	if err != nil {
		return nil, err
	}
	logs := func(ctx context.Context, number hexutil.Uint64) (logs []json.RawMessage, err error) {
		filter["fromBlock"], filter["toBlock"] = number, number
		return logs, s.client.CallContext(ctx, &logs, "eth_getLogs", filter)
	}
	if _, err := logs(ctx, hexutil.Uint64(heads.Latest)); err != nil {
		return nil, err
	}
	return s.follow(ctx, func(ctx context.Context, number hexutil.Uint64, send func(any) error) error {
		found, err := logs(ctx, number)
		if err != nil {
			return err
		}
		for _, log := range found {
			if err := send(log); err != nil {
				return err
			}
		}
		return nil
	})
}

// follow calls each for every new block, in order; one that the client fails to tell of
// is asked for again when the next is made.
func (s *ethSubscriptions) follow(ctx context.Context, each func(ctx context.Context, number hexutil.Uint64, send func(any) error) error) (*rpc.Subscription, error) {
	notifier, ok := rpc.NotifierFromContext(ctx)
	if !ok {
		return nil, rpc.ErrNotificationsUnsupported
	}
	heads, err := s.chain.Heads()
	if err != nil {
		return nil, err
	}
	release, err := s.changes.places.Enter(ctx)
	if err != nil {
		return nil, err
	}
	sub := notifier.CreateSubscription()
	go func() {
		defer release()
		last := heads.Latest
		call := ctx
		for gone := false; !gone; {
			moved := s.changes.next()
			if heads, err := s.chain.Heads(); err == nil {
				if heads.Latest > maxBehind {
					last = max(last, heads.Latest-maxBehind)
				}
				for ; last < heads.Latest && !gone; last++ {
					ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
					err := each(ctx, hexutil.Uint64(last+1), func(v any) error {
						err := notifier.Notify(sub.ID, v)
						if err != nil {
							gone = true
							s.changes.left(call)
						}
						return err
					})
					cancel()
					if err != nil {
						break
					}
				}
			}
			select {
			case <-moved:
			case <-s.changes.quit:
				gone = true
			case <-sub.Err(): //nolint:errcheck // the end of the subscription, however it came
				gone = true
			}
		}
	}()
	return sub, nil
}
