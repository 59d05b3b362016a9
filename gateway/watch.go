package gateway

import (
	"fmt"
	"sync"
)

// maxWatches bounds the watches at a time.
const maxWatches = 1 << 13

// watches are those who want to be told, by what they look at. The gateway's lock guards
// them.
type watches struct {
	byName map[[32]byte][]chan struct{}
	n      int
}

// tell wakes the name's watchers; who has not seen the last change yet sees this one with it.
func (w *watches) tell(name [32]byte) {
	if w.n == 0 {
		return
	}
	for _, c := range w.byName[name] {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// Watch tells of each change of what Get or Bundle says for the name, a transaction's hash
// or a bundle's Ref, whether it is known yet or not. Changes that come before the last one was read
// are one. The caller calls stop when it is done. Errors: ErrFull.
func (g *Gateway) Watch(name [32]byte) (changes <-chan struct{}, stop func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w := &g.watches
	if w.n >= maxWatches {
		return nil, nil, fmt.Errorf("%w: %d transactions and bundles are watched; try again later", ErrFull, w.n)
	}
	if w.byName == nil {
		w.byName = make(map[[32]byte][]chan struct{})
	}
	c := make(chan struct{}, 1)
	w.byName[name] = append(w.byName[name], c)
	w.n++
	return c, sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		w.remove(name, c)
	}), nil
}

func (w *watches) remove(name [32]byte, c chan struct{}) {
	w.n--
	cs := w.byName[name]
	for i, x := range cs {
		if x == c {
			cs = append(cs[:i:i], cs[i+1:]...)
			break
		}
	}
	if len(cs) == 0 {
		delete(w.byName, name)
		return
	}
	w.byName[name] = cs
}
