package eigenda

import (
	"container/list"
	"context"
	"fmt"
	"sort"
	"sync"

	"github.com/ordo-network/ordo/da"
)

const (
	maxWindows       = 1024
	maxWindowEntries = 16 << 10 // of all windows together; an entry is at most 4 KiB
)

// window is what is recorded of a namespace at the heights from..to. All of it is
// final, so that it stays true.
type window struct {
	ns       da.Namespace
	from, to uint64
	entries  []Recorded // by height
}

// at returns the entries of a height.
func (w *window) at(height uint64) []Recorded {
	first := sort.Search(len(w.entries), func(i int) bool { return w.entries[i].Height >= height })
	end := sort.Search(len(w.entries), func(i int) bool { return w.entries[i].Height > height })
	return w.entries[first:end]
}

// after returns the entries above a height.
func (w *window) after(height uint64) []Recorded {
	return w.entries[sort.Search(len(w.entries), func(i int) bool { return w.entries[i].Height > height }):]
}

// windows are the last window of each namespace, so that one question to the index
// answers for many heights.
type windows struct {
	mu      sync.Mutex
	byNS    map[da.Namespace]*list.Element
	lru     *list.List // of *window, the last used in front
	entries int
}

func newWindows() *windows {
	return &windows{byNS: map[da.Namespace]*list.Element{}, lru: list.New()}
}

// get returns a window with the height in it, asking the index where there is none.
// Errors: da.ErrNotYet, da.ErrUnavailable.
func (ws *windows) get(ctx context.Context, index Index, ns da.Namespace, height uint64) (*window, error) {
	if w := ws.cached(ns, height); w != nil {
		return w, nil
	}
	recorded, to, err := index.Entries(ctx, ns, height)
	if err != nil {
		return nil, classed("find certificates on the sequencer chain", err)
	}
	if to < height {
		return nil, fmt.Errorf("height %d: %w", height, da.ErrNotYet)
	}
	last := height
	for _, r := range recorded {
		if r.Height < last || r.Height > to {
			return nil, fmt.Errorf("the index answers for heights %d to %d with an entry of height %d after %d: %w",
				height, to, r.Height, last, da.ErrUnavailable)
		}
		last = r.Height
	}
	w := &window{ns: ns, from: height, to: to, entries: recorded}
	ws.put(w)
	return w, nil
}

func (ws *windows) cached(ns da.Namespace, height uint64) *window {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	e, ok := ws.byNS[ns]
	if !ok {
		return nil
	}
	w := e.Value.(*window)
	if height < w.from || height > w.to {
		return nil
	}
	ws.lru.MoveToFront(e)
	return w
}

func (ws *windows) put(w *window) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if e, ok := ws.byNS[w.ns]; ok {
		ws.drop(e)
	}
	ws.byNS[w.ns] = ws.lru.PushFront(w)
	ws.entries += len(w.entries)
	for ws.lru.Len() > 1 && (ws.lru.Len() > maxWindows || ws.entries > maxWindowEntries) {
		ws.drop(ws.lru.Back())
	}
}

func (ws *windows) drop(e *list.Element) {
	w := ws.lru.Remove(e).(*window)
	delete(ws.byNS, w.ns)
	ws.entries -= len(w.entries)
}
