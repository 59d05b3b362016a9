package rollup

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ordo-network/ordo/follower"
)

// ErrNotTrusted says that what was read is not the past of the block that is trusted.
var ErrNotTrusted = errors.New("not the past of the trusted block")

// TrustedBlock is a block of the sequencer chain that somebody trustworthy named. The hash
// covers all that was before, so what leads to it is true however old the validators are
// that signed it.
type TrustedBlock struct {
	Height uint64
	Hash   [32]byte
}

// ParseTrusted reads a height and a hash in hex.
func ParseTrusted(height uint64, hash string) (*TrustedBlock, error) {
	raw, err := hex.DecodeString(strings.TrimPrefix(hash, "0x"))
	t := &TrustedBlock{Height: height}
	if err != nil || len(raw) != len(t.Hash) {
		return nil, fmt.Errorf("hash %q of the trusted block is not 64 hexadecimal digits", hash)
	}
	if height == 0 {
		return nil, errors.New("height of the trusted block is 0: the first block has 1")
	}
	copy(t.Hash[:], raw)
	return t, nil
}

// reached compares a block with the trusted one of its height, of which validators are believed
// for the period.
func (t *TrustedBlock) reached(hash [32]byte, at, now time.Time, period time.Duration) error {
	if hash != t.Hash {
		return fmt.Errorf("block %d has hash %X, trusted is %X: %w; where that hash is right, what the DA layer shows is made up by former validators: remove the data in the node's home, "+
			"and read from another endpoint of the layer, or from a later height of it", t.Height, hash, t.Hash, ErrNotTrusted)
	}
	if !now.Before(at.Add(period)) {
		return fmt.Errorf("the trusted block %d, of %s, is itself older than %s: name one that is newer: %w",
			t.Height, at.UTC().Format(time.RFC3339), period, follower.ErrExpired)
	}
	return nil
}

// hasPassed looks, where the reader of DA is beyond the trusted block, whether it came by it.
func (n *Node) hasPassed(t *TrustedBlock, period time.Duration) error {
	cursor, err := n.cursor()
	if err != nil {
		return err
	}
	last := cursor.Checkpoint
	if last.Height() < t.Height {
		return nil
	}
	r, ok, err := n.store.record(t.Height)
	if err != nil {
		return err
	}
	// What comes after it is believed by the last block that was read.
	if !ok || last.Height() > t.Height && !time.Now().Before(last.Time().Add(period)) {
		return fmt.Errorf("the node has read up to block %d, of %s: name a trusted block above that", last.Height(), last.Time().UTC().Format(time.RFC3339))
	}
	return t.reached(r.Hash, last.Time(), time.Now(), period)
}

// expired says what helps where the validators that a node knows are too long ago.
func expired(home string, err error) error {
	if !errors.Is(err, follower.ErrExpired) {
		return err
	}
	return fmt.Errorf(`%w
the validators that this node knows are believed for trusting_period only: those who left since have nothing more to lose. Ask somebody you trust for
the height and the hash of a block of the last days, and bring the node there from its DA layer:
  ordo rollup sync --from-da --home %s --trust-height HEIGHT --trust-hash HASH
without such a block, `+"`ordo rollup sync --help`"+` says what --trusting-period risks`, err, home)
}
