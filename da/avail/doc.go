// Package avail is the Avail DA layer, through version 2 of the HTTP API of an Avail
// light client that runs in app mode. In come blobs; out go the numbers of the Avail
// blocks that hold them, and later the blobs.
//
// A deployment has one application ID, which the light client is configured with.
// The blobs of a Submit, of any namespaces, are one data transaction of that
// application. Anyone may post under an application ID, so a block may hold anything;
// what is not of this form, or under another namespace, is left out.
//
// What always holds: a height counts from the moment at which the light client says
// that it has verified the block's finality, its availability with the confidence
// it is configured with, and the application's data against the commitments in the
// header ("finished", or "incomplete": a block whose header commits to no data, which
// reads as empty). The light client is believed in that; it should be the reader's own.
// Submit answers when the blob was read back from such a block. The block that the
// light client names in answer to a submission need not be final yet.
//
// The light client signs with one account whose nonce it counts itself, so that
// transactions are handed in one after the other, each when the one before is in a
// block. A block comes every 20 s and is final about 60 s later: that is how long a
// Submit takes, and a deployment posts about 1 MB in 20 s.
//
// The adapter was written from the documentation and the source of the light
// client, and is tested against package availtest, which was too. No Avail node
// was at hand to try it on.
package avail
