package relayer

import (
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/follower"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// core is what the relayer knows, and every decision that it takes: what has gathered,
// what waits, what is under way, and on which layer. It has no clock, no goroutine and no
// I/O but that it logs and counts. Each of its methods is one step: it takes what
// happened and notes in a write what must be in the journal; advance says what is to
// be done once that is there.
type core struct {
	batch         BatchConfig
	fallbackAfter time.Duration
	probeEvery    time.Duration
	backoff       func(failures int) time.Duration
	log           *slog.Logger
	metrics       *metrics

	rollups []*rollup
	layers  []*layer
	readers []*reader
	claims  claims

	gathered    int64          // weight of the blocks that gather, over all rollups
	sending     int            // bytes of the submissions under way
	checkpoints map[uint64]int // in the journal, by height, with the number of rollups that need it
	arrangeAt   time.Time      // when readers may be arranged anew
	chainHead   uint64         // of the sequencer chain, as far as nodes tell
}

// rollup is one rollup on its way from the order to DA.
type rollup struct {
	Rollup
	main     *layer
	maxPiece int // bytes that a piece may have, so that it can go to any of its layers
	log      *slog.Logger
	metrics  rollupMetrics

	reader     *reader // whose blocks it takes; nil while it has no room for more
	next       uint64  // height to read
	checkpoint follower.Checkpoint
	saved      uint64    // next, as the journal has it; 0 where it has none
	batch      gathering // blocks below next that are in no blob yet
	blobs      []*blob   // in the journal and not known to be on DA, in order
	bytes      int       // of blobs
	sent       *sent     // of blobs; nil where nothing is under way
	posted     posted
	claims     *claimQueue

	// After a refusal: how many pieces a submission with this rollup may have, 0 for
	// any number, and when to try again.
	share    int
	failures int
	retryAt  time.Time
	// refusedAt is since when the layer that it goes to refuses one blob of it alone,
	// elsewhere the height up to which its blobs go to the fallback for that, 0: to no
	// height, and movedAt since when, or since the restart.
	refusedAt time.Time
	elsewhere uint64
	movedAt   time.Time
}

// gathering is the blocks of the blob to come.
type gathering struct {
	blocks []*orderv1.RollupBlock
	weight int64
	bytes  int       // as they came
	since  time.Time // when the first of them came
	begins time.Time // time of the first of them
	ends   time.Time // and of the last
}

// blob is some consecutive blocks of a rollup, on their way in one piece or several.
type blob struct {
	from, to uint64    // heights of the sequencer chain
	since    time.Time // when its first block came, or when this process began
	begins   time.Time // time of block from; zero where it came before that
	ends     time.Time // time of block to
	pieces   []piece

	layer string   // where the first pieces stand: all pieces of a blob are on one layer
	refs  []da.Ref // of those
}

type piece struct {
	size int
	id   da.BlobID
}

// sent is a submission of the first pieces of a rollup that are not on DA.
type sent struct {
	layer  *layer
	noted  uint64 // the layer's head before: it stands above
	pieces int
	unsure bool      // nobody waits for its answer any more
	since  time.Time // when that began
	looked uint64    // DA height up to which it was looked for
}

// on returns how many pieces of the blob are known to be on the layer.
func (b *blob) on(layer string) int {
	if b.layer != layer {
		return 0
	}
	return len(b.refs)
}

func (b *blob) size() (bytes int) {
	for _, p := range b.pieces {
		bytes += p.size
	}
	return bytes
}

// place is one piece of one blob.
type place struct {
	blob *blob
	part int
}

func (p place) piece() piece { return p.blob.pieces[p.part] }

// front returns the first n pieces that are not on the layer.
func (r *rollup) front(layer string, n int) []place {
	out := make([]place, 0, n)
	for _, b := range r.blobs {
		for i := b.on(layer); i < len(b.pieces) && len(out) < n; i++ {
			out = append(out, place{b, i})
		}
	}
	return out
}

// since is when what waits longest came in; zero where nothing waits.
func (r *rollup) since() time.Time {
	if len(r.blobs) > 0 {
		return r.blobs[0].since
	}
	return r.batch.since
}

// begins is the time of the first block that is not posted; zero where it is not known.
func (r *rollup) begins() time.Time {
	switch {
	case len(r.blobs) > 0 && !r.blobs[0].begins.IsZero():
		return r.blobs[0].begins
	case len(r.blobs) == 0 && len(r.batch.blocks) > 0:
		return r.batch.begins
	}
	return r.posted.time // that of the block before is near enough
}

// target is the layer that the rollup's blobs go to now.
func (r *rollup) target() *layer {
	if r.main.away() || r.elsewhere > 0 {
		return r.main.fallback
	}
	return r.main
}

// weight is about what a block takes in memory. Its header and validators are those of
// all rollups.
func weight(b *orderv1.RollupBlock) int64 {
	return int64(proto.Size(b)-len(b.GetSignedHeader())-len(b.GetValidators())) + 1<<10
}

// read takes the blocks of one height, those that the reader's rollups need.
func (c *core) read(g *reader, blocks []*follower.Block, now time.Time, w *write) error {
	if len(blocks) != len(g.members) {
		return fmt.Errorf("the source gave %d blocks of one height for %d rollups", len(blocks), len(g.members))
	}
	for i, b := range blocks {
		r := g.members[i]
		if r.reader != g || b.Height < r.next {
			continue
		}
		if b.Height > r.next {
			return fmt.Errorf("the source gave block %d of rollup %s, want %d", b.Height, r.Name, r.next)
		}
		if err := c.gather(r, b, now, w); err != nil {
			return err
		}
		c.chainHead = max(c.chainHead, b.Height)
	}
	return nil
}

func (c *core) gather(r *rollup, b *follower.Block, now time.Time, w *write) error {
	size := weight(b.Proto)
	// A blob has no more than blob_bytes, or one block: then it is within what readers take.
	if r.batch.weight > 0 && r.batch.weight+size > int64(c.batch.BlobBytes) {
		if err := c.cut(r, w); err != nil {
			return err
		}
	}
	if len(r.batch.blocks) == 0 {
		r.batch.since, r.batch.begins = now, b.Time
	}
	r.batch.blocks = append(r.batch.blocks, b.Proto)
	r.batch.weight += size
	r.batch.bytes += proto.Size(b.Proto)
	r.batch.ends = b.Time
	c.gathered += size
	r.next, r.checkpoint = b.Height+1, b.Checkpoint()
	r.metrics.read.Set(float64(b.Height))
	if r.batch.weight >= int64(c.batch.BlobBytes) || len(r.batch.blocks) == follower.DefaultBlobLimits.MaxBlocks {
		if err := c.cut(r, w); err != nil {
			return err
		}
	}
	if !r.room(c.batch, 1) {
		r.reader = nil
	}
	return nil
}

// room says whether the rollup's backlog is within its bounds, or within a fraction of them.
func (r *rollup) room(b BatchConfig, fraction int) bool {
	return len(r.blobs)*fraction < b.BacklogBlobs && r.bytes*fraction < b.BacklogBytes
}

// cut makes a blob of what has gathered.
func (c *core) cut(r *rollup, w *write) error {
	if len(r.batch.blocks) == 0 {
		return nil
	}
	data, err := follower.EncodeBlob(r.batch.blocks)
	if err != nil {
		return fmt.Errorf("rollup %s: %w", r.Name, err)
	}
	pieces, err := follower.SplitBlob(data, r.maxPiece)
	if err != nil {
		return fmt.Errorf("rollup %s: %w", r.Name, err)
	}
	b := &blob{
		from: r.next - uint64(len(r.batch.blocks)), to: r.next - 1,
		since: r.batch.since, begins: r.batch.begins, ends: r.batch.ends, pieces: piecesOf(pieces),
	}
	w.cut(r.ID, b, pieces)
	w.next(r.ID, r.next)
	c.keepCheckpoint(r, w)
	r.blobs = append(r.blobs, b)
	r.bytes += b.size()
	r.metrics.rawBytes.Add(float64(r.batch.bytes))
	r.metrics.blobBytes.Add(float64(len(data)))
	r.metrics.pending.Set(float64(r.bytes))
	c.gathered -= r.batch.weight
	r.batch = gathering{}
	return nil
}

func piecesOf(data [][]byte) []piece {
	out := make([]piece, len(data))
	for i, d := range data {
		out[i] = piece{size: len(d), id: da.ID(d)}
	}
	return out
}

// keepCheckpoint notes the checkpoint that reading on from next needs, once for all
// rollups, and drops the one that the rollup needed before where no other does.
func (c *core) keepCheckpoint(r *rollup, w *write) {
	old := r.saved
	r.saved = r.next
	if c.checkpoints[r.saved]++; c.checkpoints[r.saved] == 1 {
		w.checkpoint(r.saved-1, r.checkpoint.Encode())
	}
	if old == 0 {
		return
	}
	if c.checkpoints[old]--; c.checkpoints[old] == 0 {
		delete(c.checkpoints, old)
		w.dropCheckpoint(old - 1)
	}
}

// relieve moves what has gathered to disk where it takes too much memory: all of it, so
// that it is seldom done.
func (c *core) relieve(w *write) error {
	if c.gathered < memoryBytes {
		return nil
	}
	for _, r := range c.rollups {
		if err := c.cut(r, w); err != nil {
			return err
		}
	}
	return nil
}
