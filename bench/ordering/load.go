package ordering

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"
)

// load is an open-loop stream of payloads to all validators in turn.
type load struct {
	size     int     // bytes of a payload
	rate     float64 // bytes a second, over all validators
	duration time.Duration
	// warm is how long the load grows, evenly from nothing, before it counts: connections,
	// buffers and heaps of any network grow to their size in its first seconds, and what
	// that costs would be missing for the load that counts.
	warm time.Duration
}

// warmUp is the load's warm.
const warmUp = 4 * time.Second

// callers is how many calls are under way at one validator, at most.
const callers = 48

// sampleEvery is how many payloads there are for each of channel sample.
const sampleEvery = 16

// channelOf lets the samples wander over the validators.
func channelOf(i int) channel {
	if (i+i/sampleEvery)%sampleEvery == 0 {
		return sample
	}
	return bulk
}

func validatorOf(i, validators int) int { return i % validators }

// uncounted is how many payloads only warm the network up, and count how many
// there are with them.
func (ld load) uncounted() int { return int(ld.rate / float64(ld.size) * ld.warm.Seconds() / 2) }

func (ld load) count() int {
	return ld.uncounted() + max(int(ld.rate/float64(ld.size)*ld.duration.Seconds()), 1)
}

// plan fixes what is sent when, from start on.
func (ld load) plan(start time.Time, validators int) []*entry {
	entries := make([]*entry, ld.count())
	interval := float64(ld.size) / ld.rate * float64(time.Second)
	warming := ld.uncounted()
	for i := range entries {
		after := ld.warm + time.Duration(float64(i-warming)*interval)
		if i < warming {
			after = time.Duration(float64(ld.warm) * math.Sqrt(float64(i)/float64(warming)))
		}
		entries[i] = &entry{
			size: ld.size, validator: validatorOf(i, validators), channel: channelOf(i), due: start.Add(after),
		}
	}
	return entries
}

// prepare wraps all payloads before the first is due: digests and signatures are work of
// those who send, whose machines are others. It takes memory for all of them, and that of those before.
func (ld load) prepare(ctx context.Context, s system, p *payloads, a *arena) ([]parcel, error) {
	a.reset()
	parcels := make([]parcel, ld.count())
	for i := range parcels {
		made, err := s.wrap(channelOf(i), validatorOf(i, s.validators()), p.make(ld.size))
		if err != nil {
			return nil, fmt.Errorf("wrap a payload: %w", err)
		}
		wire, err := a.keep(made.wire)
		if err != nil {
			return nil, err
		}
		parcels[i] = parcel{made.key, wire}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return parcels, nil
}

// send hands in each entry at its time, and returns when all calls have returned.
// A validator that is slow holds up its own entries only. When ctx ends the rest
// is not sent.
func send(ctx context.Context, s system, l *ledger, entries []*entry, parcels []parcel) {
	queues := make([]chan int, s.validators())
	var running sync.WaitGroup
	for v := range queues {
		queues[v] = make(chan int, len(entries)/len(queues)+1)
		for range callers {
			running.Go(func() {
				for i := range queues[v] {
					if ctx.Err() != nil {
						continue
					}
					l.enter(parcels[i].key, entries[i])
					err := s.submit(ctx, v, parcels[i])
					if err != nil && ctx.Err() != nil {
						err = errCut
					}
					l.ack(entries[i], err)
				}
			})
		}
	}
	for i, e := range entries {
		if wait := time.Until(e.due); wait > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
		}
		if ctx.Err() != nil {
			break
		}
		queues[e.validator] <- i
	}
	for _, q := range queues {
		close(q)
	}
	running.Wait()
}
