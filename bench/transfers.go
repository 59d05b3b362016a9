package bench

import (
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/ordo-network/ordo/bench/figures"
	"github.com/ordo-network/ordo/devnet"
)

// TransfersOptions set the load of Transfers.
type TransfersOptions struct {
	Rate     int           // transactions a second, over all rollups
	Duration time.Duration // of sending
	Senders  int           // accounts per rollup
	Settle   time.Duration // how long to wait for what was sent
	Progress func(string)  // called with a line now and then; may be nil
}

// TransfersResult is what Transfers measured. Latencies count from the moment
// at which a transaction was due to be sent to the moment at which a client that
// subscribes to heads holds its receipt.
type TransfersResult struct {
	Rollups   int                 `json:"rollups"`
	Rate      int                 `json:"rate_per_second"`
	Duration  float64             `json:"duration_seconds"`
	Sent      int                 `json:"sent"`
	Refused   int                 `json:"refused"`
	Executed  int                 `json:"executed"`
	Missing   int                 `json:"missing"`
	Reverted  int                 `json:"reverted"`
	TPS       float64             `json:"executed_per_second"`
	Ack       figures.Percentiles `json:"send_to_ack_ms"`
	Receipt   figures.Percentiles `json:"send_to_receipt_ms"`
	Safe      figures.Percentiles `json:"send_to_safe_ms"`
	Processes []figures.Usage     `json:"processes,omitempty"`
	// FirstRefusal is the node's text for the first transaction that it refused.
	FirstRefusal string `json:"first_refusal,omitempty"`
}

// transfer is one signed transaction and what became of it.
type transfer struct {
	hash common.Hash
	raw  hexutil.Bytes
	due  time.Time

	ack, receipt, safe time.Time
	block              uint64
	reverted           bool
	err                error
}

// target is the load on one rollup.
type target struct {
	rollup devnet.RollupEndpoint
	client *rpc.Client // HTTP, for sending
	ws     *rpc.Client // subscriptions and receipts
	txs    []*transfer
	byHash map[common.Hash]*transfer

	mu       sync.Mutex
	left     int // transfers without receipt
	leftSafe int
}

// Transfers sends unique signed transfers at a fixed rate, spread over the
// rollups of the network, and reports what came of them.
func Transfers(ctx context.Context, net devnet.Endpoints, o TransfersOptions) (*TransfersResult, error) {
	say := o.Progress
	if say == nil {
		say = func(string) {}
	}
	if o.Rate < 1 || o.Duration <= 0 || o.Senders < 1 {
		return nil, errors.New("rate, duration and senders must be positive")
	}
	targets := make([]*target, len(net.Rollups))
	perTarget := int(float64(o.Rate)*o.Duration.Seconds())/len(targets) + 1
	for i, r := range net.Rollups {
		l, err := newTarget(ctx, r)
		if err != nil {
			return nil, fmt.Errorf("rollup %s: %w", r.Name, err)
		}
		defer l.client.Close()
		defer l.ws.Close()
		say(fmt.Sprintf("%s: funding %d senders, signing %d transfers", r.Name, o.Senders, perTarget))
		if err := l.prepare(ctx, o.Senders, perTarget); err != nil {
			return nil, fmt.Errorf("rollup %s: %w", r.Name, err)
		}
		targets[i] = l
	}

	watch, stop := context.WithCancel(ctx)
	defer stop()
	var watchers sync.WaitGroup
	watchErrs := make(chan error, 2*len(targets))
	for _, l := range targets {
		heads := make(chan *types.Header, 1024)
		sub, err := l.ws.EthSubscribe(watch, heads, "newHeads")
		if err != nil {
			return nil, fmt.Errorf("subscribe to heads of %s: %w", l.rollup.Name, err)
		}
		watchers.Add(2)
		go func() { defer watchers.Done(); watchErrs <- l.watchReceipts(watch, heads, sub.Err()) }()
		go func() { defer watchers.Done(); watchErrs <- l.watchSafe(watch) }()
	}

	usage := figures.NewMeter(processes(net.Home))
	say(fmt.Sprintf("sending %d transactions a second for %s", o.Rate, o.Duration))
	start := time.Now().Add(100 * time.Millisecond)
	send(ctx, targets, start, o.Rate)
	say("sent; waiting for receipts and for safe")
	settled := func() bool {
		for _, l := range targets {
			l.mu.Lock()
			open := l.leftSafe
			l.mu.Unlock()
			if open > 0 {
				return false
			}
		}
		return true
	}
	deadline := time.NewTimer(o.Settle)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var watchErr error
	for !settled() && watchErr == nil {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case watchErr = <-watchErrs:
		case <-deadline.C:
			watchErr = context.DeadlineExceeded
		case <-tick.C:
		}
	}
	stop()
	watchers.Wait()
	if watchErr != nil && !errors.Is(watchErr, context.DeadlineExceeded) {
		return nil, watchErr
	}
	res := summarize(targets, start, o)
	res.Processes = usage.Read()
	return res, nil
}

func newTarget(ctx context.Context, r devnet.RollupEndpoint) (*target, error) {
	client, err := rpc.DialContext(ctx, r.RPC)
	if err != nil {
		return nil, err
	}
	ws, err := rpc.DialContext(ctx, r.WS)
	if err != nil {
		client.Close()
		return nil, err
	}
	return &target{rollup: r, client: client, ws: ws, byHash: make(map[common.Hash]*transfer)}, nil
}

// prepare funds fresh senders from the devnet's first account and signs n transfers.
func (l *target) prepare(ctx context.Context, senders, n int) error {
	signer := types.LatestSignerForChainID(new(big.Int).SetUint64(l.rollup.ChainID))
	var price hexutil.Big
	if err := l.client.CallContext(ctx, &price, "eth_gasPrice"); err != nil {
		return err
	}
	fee := new(big.Int).Mul(price.ToInt(), big.NewInt(10))
	fee.Add(fee, big.NewInt(params.GWei))
	sign := func(key *ecdsa.PrivateKey, nonce uint64, to common.Address, value *big.Int) (*transfer, error) {
		tx, err := types.SignNewTx(key, signer, &types.DynamicFeeTx{
			ChainID: signer.ChainID(), Nonce: nonce, GasTipCap: big.NewInt(1), GasFeeCap: fee, Gas: params.TxGas, To: &to, Value: value,
		})
		if err != nil {
			return nil, err
		}
		raw, err := tx.MarshalBinary()
		return &transfer{hash: tx.Hash(), raw: raw}, err
	}

	funder, err := crypto.HexToECDSA(devnet.Accounts[0].PrivateKey[2:])
	if err != nil {
		return err
	}
	var nonce hexutil.Uint64
	if err := l.client.CallContext(ctx, &nonce, "eth_getTransactionCount", crypto.PubkeyToAddress(funder.PublicKey), "pending"); err != nil {
		return err
	}
	keys := make([]*ecdsa.PrivateKey, senders)
	var last common.Hash
	for i := range keys {
		if keys[i], err = crypto.GenerateKey(); err != nil {
			return err
		}
		t, err := sign(funder, uint64(nonce)+uint64(i), crypto.PubkeyToAddress(keys[i].PublicKey), big.NewInt(params.Ether))
		if err != nil {
			return err
		}
		if err := l.client.CallContext(ctx, &last, "eth_sendRawTransaction", t.raw); err != nil {
			return fmt.Errorf("fund sender %d: %w", i, err)
		}
	}
	if err := awaitReceipt(ctx, l.client, last); err != nil {
		return err
	}
	to := common.HexToAddress("0x000000000000000000000000000000000000bEEF")
	for i := range n {
		t, err := sign(keys[i%senders], uint64(i/senders), to, big.NewInt(1))
		if err != nil {
			return err
		}
		l.txs = append(l.txs, t)
		l.byHash[t.hash] = t
	}
	l.left, l.leftSafe = n, n
	return nil
}

func awaitReceipt(ctx context.Context, client *rpc.Client, hash common.Hash) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var receipt *types.Receipt
		if err := client.CallContext(ctx, &receipt, "eth_getTransactionReceipt", hash); err != nil {
			return fmt.Errorf("receipt of %s: %w", hash, err)
		}
		if receipt != nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no receipt of %s: %w", hash, ctx.Err())
		case <-tick.C:
		}
	}
}

// send hands each transfer to its rollup at its time. A sender's transfers stand
// far apart in the schedule, so that workers do not reorder them as a rule.
func send(ctx context.Context, targets []*target, start time.Time, rate int) {
	const workers = 64
	type job struct {
		l *target
		t *transfer
	}
	jobs := make(chan job, workers)
	var wg sync.WaitGroup
	for range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for j := range jobs {
				j.t.err = j.l.client.CallContext(ctx, nil, "eth_sendRawTransaction", j.t.raw)
				j.t.ack = time.Now()
			}
		}()
	}
	total := len(targets) * len(targets[0].txs)
	for i := range total {
		l := targets[i%len(targets)]
		t := l.txs[i/len(targets)]
		t.due = start.Add(time.Duration(i) * time.Second / time.Duration(rate))
		if wait := time.Until(t.due); wait > 0 {
			time.Sleep(wait)
		}
		jobs <- job{l, t}
	}
	close(jobs)
	wg.Wait()
	for _, l := range targets {
		refused := 0
		for _, t := range l.txs {
			if t.err != nil {
				refused++
			}
		}
		l.mu.Lock()
		l.left -= refused
		l.leftSafe -= refused
		l.mu.Unlock()
	}
}

// watchReceipts fetches the receipts of each new head and notes when it held them.
func (l *target) watchReceipts(ctx context.Context, heads <-chan *types.Header, subErr <-chan error) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-subErr:
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("heads of %s: %w", l.rollup.Name, err)
		case head := <-heads:
			if head.TxHash == types.EmptyTxsHash {
				continue
			}
			var receipts []*types.Receipt
			if err := l.ws.CallContext(ctx, &receipts, "eth_getBlockReceipts", head.Hash()); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				return fmt.Errorf("receipts of block %d of %s: %w", head.Number, l.rollup.Name, err)
			}
			now := time.Now()
			l.mu.Lock()
			for _, r := range receipts {
				if t := l.byHash[r.TxHash]; t != nil && t.receipt.IsZero() {
					t.receipt, t.block, t.reverted = now, head.Number.Uint64(), r.Status != types.ReceiptStatusSuccessful
					l.left--
				}
			}
			l.mu.Unlock()
		}
	}
}

// watchSafe notes when the safe head has reached each transfer's block.
func (l *target) watchSafe(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var last uint64
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		var head *types.Header
		if err := l.ws.CallContext(ctx, &head, "eth_getBlockByNumber", "safe", false); err != nil || head == nil {
			continue // no safe block yet
		}
		if n := head.Number.Uint64(); n > last {
			last = n
			now := time.Now()
			l.mu.Lock()
			for _, t := range l.txs {
				if t.safe.IsZero() && !t.receipt.IsZero() && t.block <= n {
					t.safe = now
					l.leftSafe--
				}
			}
			l.mu.Unlock()
		}
	}
}

func summarize(targets []*target, start time.Time, o TransfersOptions) *TransfersResult {
	res := &TransfersResult{Rollups: len(targets), Rate: o.Rate, Duration: o.Duration.Seconds()}
	var ack, receipt, safe []time.Duration
	last := start
	for _, l := range targets {
		for _, t := range l.txs {
			res.Sent++
			switch {
			case t.err != nil:
				res.Refused++
				if res.FirstRefusal == "" {
					res.FirstRefusal = t.err.Error()
				}
				continue
			case t.receipt.IsZero():
				res.Missing++
				continue
			case t.reverted:
				res.Reverted++
			}
			res.Executed++
			ack = append(ack, t.ack.Sub(t.due))
			receipt = append(receipt, t.receipt.Sub(t.due))
			if !t.safe.IsZero() {
				safe = append(safe, t.safe.Sub(t.due))
			}
			if t.receipt.After(last) {
				last = t.receipt
			}
		}
	}
	if span := last.Sub(start).Seconds(); span > 0 {
		res.TPS = float64(res.Executed) / span
	}
	res.Ack, res.Receipt, res.Safe = figures.Of(ack), figures.Of(receipt), figures.Of(safe)
	return res
}

// processes are those of the devnet in a home on this machine; none where there
// is no such home.
func processes(home string) (pids map[string]int) {
	raw, err := os.ReadFile(filepath.Join(home, "processes.json"))
	if err != nil || json.Unmarshal(raw, &pids) != nil {
		return nil
	}
	return pids
}
