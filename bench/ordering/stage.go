package ordering

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/ordo-network/ordo/bench/figures"
	"github.com/ordo-network/ordo/bench/testnet"
)

// stage is a running network whose order is read.
type stage struct {
	system
	o        Options
	ledger   *ledger
	payloads *payloads

	stopReading context.CancelFunc
	read        chan error // why reading ended
}

// newStage starts to read a network's order. It closes the network where it fails.
func newStage(ctx context.Context, o Options, s system) (_ *stage, err error) {
	st := &stage{system: s, o: o, ledger: newLedger(time.Now), read: make(chan error, 1)}
	reading, stop := context.WithCancel(ctx)
	st.stopReading = stop
	if st.payloads, err = newPayloads(maxPayload); err != nil {
		return nil, errors.Join(err, st.close())
	}
	ready := make(chan struct{})
	go func() { st.read <- s.follow(reading, st.ledger, func() { close(ready) }) }()
	select {
	case <-ready:
		return st, nil
	case err = <-st.read:
		st.read <- err
	case <-time.After(testnet.StartLimit):
		err = errors.New("no block came")
	}
	return nil, errors.Join(fmt.Errorf("read the order of %s: %w", s.name(), err), st.close())
}

func (st *stage) close() error {
	st.stopReading()
	return st.system.close()
}

// failed says what has broken, if anything has.
func (st *stage) failed() error {
	for _, p := range st.processes() {
		if err := p.Ended(); err != nil {
			return err
		}
	}
	select {
	case err := <-st.read:
		st.read <- err // for who asks again
		return fmt.Errorf("reading the order of %s: %w", st.name(), err)
	default:
		return nil
	}
}

const (
	// settleLimit is how long the last payloads may take: what is not ordered by then is missing.
	settleLimit = 8 * time.Second
	// recovery is how long a network that was overloaded is left alone after that: disks
	// and heaps are still busy with what it could not do in time.
	recovery = 5 * time.Second
	// drainLimit is how long a network that was overloaded is left to recover.
	drainLimit = 45 * time.Second
)

// trial puts a load on the network and says what came of it. It ends early where
// more than one in a hundred payloads are late already. When it returns, nothing of
// the load is on its way any more.
func (st *stage) trial(ctx context.Context, ld load) (*Trial, error) {
	parcels, err := ld.prepare(ctx, st.system, st.payloads, st.o.arena)
	if err != nil {
		return nil, err
	}
	t, err := st.measured(ctx, func() (*Trial, error) {
		began := time.Now().Add(20 * time.Millisecond)
		entries := ld.plan(began, st.validators())
		sending, stopSending := context.WithCancel(ctx)
		var sender sync.WaitGroup
		defer sender.Wait()
		defer stopSending()
		sent := make(chan struct{})
		sender.Go(func() {
			defer close(sent)
			send(sending, st.system, st.ledger, entries, parcels)
		})
		counted := entries[ld.uncounted():]
		overloaded, err := st.watch(ctx, counted, sent, stopSending)
		if err != nil {
			return nil, err
		}
		t := st.summarize(ld, counted, began.Add(ld.warm))
		t.carriedMB = st.ledger.orderedMB(entries)
		t.Overloaded = overloaded
		return t, nil
	})
	if err != nil || !t.Overloaded {
		return t, err
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(recovery):
		return t, nil
	}
}

// measured runs fn and adds what the processes did meanwhile to what it returns.
// Then it waits for what is left on its way.
func (st *stage) measured(ctx context.Context, fn func() (*Trial, error)) (*Trial, error) {
	pids := map[string]int{driver: os.Getpid()}
	for _, p := range st.processes() {
		pids[p.Label] = p.PID
	}
	before, err := st.received(ctx)
	if err != nil {
		return nil, err
	}
	meter, height := figures.NewMeter(pids), st.ledger.height()
	t, err := fn()
	if err != nil {
		return nil, err
	}
	t.Blocks = int(st.ledger.height() - height)
	t.Processes = meter.Read()
	after, err := st.received(ctx)
	if err != nil {
		return nil, err
	}
	for i := range after {
		t.ReceivedMB = append(t.ReceivedMB, (after[i]-before[i])/1e6)
	}
	return t, st.drain(ctx)
}

// watch waits until all entries are ordered or refused, or the network is overloaded,
// or nothing more is to be expected.
func (st *stage) watch(ctx context.Context, entries []*entry, sent <-chan struct{}, stopSending func()) (overloaded bool, err error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var settled <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-sent:
			sent, settled = nil, time.After(settleLimit)
		case <-settled:
			return st.ledger.late(entries, st.o.Late)*100 > len(entries), nil
		case <-tick.C:
			if err := st.failed(); err != nil {
				return false, err
			}
			if sent == nil && st.ledger.outstanding() == 0 {
				return st.ledger.late(entries, st.o.Late)*100 > len(entries), nil
			}
			if st.ledger.late(entries, st.o.Late)*100 > len(entries) {
				stopSending()
				if sent != nil {
					<-sent
				}
				return true, nil
			}
		}
	}
}

// drain waits until what is on its way has come or is given up.
func (st *stage) drain(ctx context.Context) error {
	limit := time.After(drainLimit)
	for st.ledger.outstanding() > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-limit:
			st.o.say("%s: %d payloads were never ordered", st.name(), st.ledger.outstanding())
			st.ledger.forget()
			return nil
		case <-time.After(50 * time.Millisecond):
		}
		if err := st.failed(); err != nil {
			return err
		}
	}
	st.ledger.forget()
	return nil
}
