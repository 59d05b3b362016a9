// Package checker looks whether what relayers claim to have put on DA layers is there.
//
// In come the claims that wait on the chain, and the layers that this validator has
// access to; out go, for its votes, the numbers of the claims that it found to be true and
// of those that it found to be false. It fetches the blob and verifies it against the
// blocks that this node has itself, as any reader of the rollup would.
//
// What always holds: a claim is called true only if all of its data was fetched and
// verified by this process. It is called false only if two looks, some time apart, found
// that what was claimed is not there or is something else; a layer that does not answer,
// that has not come so far, or that this node has no access to makes no vote at all. The work
// is bounded in bytes per second, what was fetched in vain included, and shared fairly between
// relayers; one whose claims are false waits. A layer that hangs holds up only its own claims.
package checker
