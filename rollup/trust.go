package rollup

import (
	"errors"
	"fmt"
	"time"

	"github.com/ordo-network/ordo/follower"
)

// leadsTo compares a block with the trusted one of its height, of which validators are believed
// for the period.
func leadsTo(t *follower.TrustedBlock, hash [32]byte, at, now time.Time, period time.Duration) error {
	if hash != t.Hash {
		return fmt.Errorf("block %d has hash %X, trusted is %X: %w; where that hash is right, what the DA layer shows is made up by former validators: remove the data in the node's home, "+
			"and read from another endpoint of the layer, or from a later height of it", t.Height, hash, t.Hash, follower.ErrNotTrusted)
	}
	if !now.Before(at.Add(period)) {
		return fmt.Errorf("the trusted block %d, of %s, is itself older than %s: name one that is newer: %w",
			t.Height, at.UTC().Format(time.RFC3339), period, follower.ErrExpired)
	}
	return nil
}

// hasPassed looks, where the reader of DA is beyond the trusted block, whether it came by it.
func (n *Node) hasPassed(t *follower.TrustedBlock, period time.Duration) error {
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
	return leadsTo(t, r.Hash, last.Time(), time.Now(), period)
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
