package follower

import (
	"context"
	"testing"
	"time"

	"github.com/ordo-network/ordo/da"
	eventually "github.com/ordo-network/ordo/test/await" // await is something else here
)

// later is 18 bytes that say they are a blob from a height on.
func later(first uint64) []byte {
	raw := append([]byte(blobMagic), blobVersion)
	for shift := 56; shift >= 0; shift -= 8 {
		raw = append(raw, byte(first>>shift))
	}
	return append(raw, 0, 0, 0, 1, blobStored)
}

// forgetful is a layer that has lost what stood below a height.
type forgetful struct {
	*testLayer
	kept uint64
}

func (l *forgetful) Blobs(ctx context.Context, height uint64, ns da.Namespace) ([]da.Stored, error) {
	if height < l.kept {
		return nil, da.ErrUnavailable
	}
	return l.testLayer.Blobs(ctx, height, ns)
}

// TestFirmGoesOnWhereALayerForgets: a height that is to be read again, and that the layer
// has no more, does not hold up what comes.
func TestFirmGoesOnWhereALayerForgets(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(20)
	l := &forgetful{testLayer: newTestLayer([][]byte{later(10)}, [][]byte{c.blob(t, 1, 4)})}
	last := readFirm(t, newFirmReader(t, c.firmConfig(t, l)), c, Cursor{}, 1, 4)
	l.kept = 2
	for h := 5; h <= 20; h++ {
		l.add(c.blob(t, h, h))
	}
	last = readFirm(t, newFirmReader(t, c.firmConfig(t, l)), c, last.Cursor, 5, 20)

	// In time it is given up: the reader has caught up.
	cfg := c.firmConfig(t, l)
	start := time.Now()
	cfg.Retry, cfg.Now = time.Millisecond, func() time.Time { return c.now().Add(100 * time.Since(start)) }
	r := newFirmReader(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, last.Cursor, func(context.Context, FirmBlock) error { return nil }) }()
	eventually.Until(t, "the reader has caught up", func() bool { return r.Progress().CaughtUp() })
	cancel()
	<-done
}

// TestFirmReadsOnBesideTheAwaited: heights full of blobs that say they are for later are not
// read again and again.
func TestFirmReadsOnBesideTheAwaited(t *testing.T) {
	t.Parallel()
	const hostile, honest = 100, 100
	c := newTestChain(testValidators(0, 4))
	c.grow(honest)
	l := newTestLayer()
	for range hostile {
		var blobs [][]byte
		for n := range honest {
			blobs = append(blobs, later(uint64(n+2)))
		}
		l.add(blobs...)
	}
	for h := 1; h <= honest; h++ {
		l.add(c.blob(t, h, h))
	}
	readFirm(t, newFirmReader(t, c.firmConfig(t, l)), c, Cursor{}, 1, honest)
	reads := 0
	for _, n := range l.reads {
		reads += n
	}
	if reads > 4*(hostile+honest) {
		t.Errorf("%d DA heights were read %d times", hostile+honest, reads)
	}
}

// brief is a layer that names what it holds and has it fetched one by one.
type brief struct{ *testLayer }

func (l brief) Blobs(ctx context.Context, height uint64, ns da.Namespace) ([]da.Stored, error) {
	blobs, err := l.testLayer.Blobs(ctx, height, ns)
	for i := range blobs {
		blobs[i].Commitment, blobs[i].Data = []byte{byte(i)}, nil
	}
	return blobs, err
}

func (l brief) Get(ctx context.Context, ns da.Namespace, ref da.Ref) ([]byte, error) {
	if ref.Commitment[0] == 1 {
		return nil, da.ErrNotFound
	}
	blobs, err := l.testLayer.Blobs(ctx, ref.Height, ns)
	if err != nil {
		return nil, err
	}
	return blobs[ref.Commitment[0]].Data, nil
}

// TestFirmFetchesWhatIsLeftOut: a layer may hand over references where there is much.
func TestFirmFetchesWhatIsLeftOut(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(6)
	l := newTestLayer([][]byte{c.blob(t, 1, 2), c.blob(t, 1, 6), c.blob(t, 3, 4)}, [][]byte{c.blob(t, 5, 6)})
	if last := readFirm(t, newFirmReader(t, c.firmConfig(t, brief{l})), c, Cursor{}, 1, 6); last.DAHeight != 2 {
		t.Errorf("block 6 comes from DA height %d, want 2: what is not found is passed over", last.DAHeight)
	}
}
