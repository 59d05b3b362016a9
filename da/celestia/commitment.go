package celestia

import (
	"fmt"

	"github.com/celestiaorg/go-square/v3/inclusion"
	"github.com/celestiaorg/go-square/v3/share"
	"github.com/cometbft/cometbft/crypto/merkle"

	"github.com/ordo-network/ordo/da"
)

const (
	commitmentSize = 32
	// subtreeRootThreshold is fixed in Celestia's rules of share commitments (ADR-013).
	subtreeRootThreshold = 64
)

// commitment is Celestia's share commitment.
type commitment [commitmentSize]byte

// commit computes the share commitment of a blob. A signer comes with share
// version 1 alone.
func commit(ns namespace, data []byte, version uint8, signer []byte) (commitment, error) {
	parsed, err := share.NewNamespaceFromBytes(ns[:])
	if err != nil {
		return commitment{}, fmt.Errorf("namespace: %w", err)
	}
	blob, err := share.NewBlob(parsed, data, version, signer)
	if err != nil {
		return commitment{}, err
	}
	root, err := inclusion.CreateCommitment(blob, merkle.HashFromByteSlices, subtreeRootThreshold)
	if err != nil {
		return commitment{}, err
	}
	if len(root) != commitmentSize {
		return commitment{}, fmt.Errorf("share commitment has %d bytes", len(root))
	}
	return commitment(root), nil
}

// reference returns what names the blob in a da.Ref.
func reference(ns namespace, c commitment) []byte {
	return append(append(make([]byte, 0, len(ns)+len(c)), ns[:]...), c[:]...)
}

// parseReference is the reverse. A namespace that no user may write to holds no blobs.
func parseReference(raw []byte) (namespace, commitment, error) {
	if len(raw) != share.NamespaceSize+commitmentSize {
		return namespace{}, commitment{}, fmt.Errorf("commitment has %d bytes, want a namespace of %d and a share commitment of %d: %w",
			len(raw), share.NamespaceSize, commitmentSize, da.ErrNotFound)
	}
	ns := namespace(raw[:share.NamespaceSize])
	if err := checkNamespace(ns); err != nil {
		return namespace{}, commitment{}, fmt.Errorf("commitment names namespace %x: %w: %w", ns, err, da.ErrNotFound)
	}
	return ns, commitment(raw[share.NamespaceSize:]), nil
}
