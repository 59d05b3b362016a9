// Package peers runs what Ordo is compared with: validators of plain CometBFT
// whose blocks hold the payload itself. In come settings and ports; out go homes
// of validators, a validator for each of them, and a client.
//
// The peer is given every advantage that its operators could give it: an
// application that does nothing, raw bytes at its door in place of JSON, no
// recheck, no index, gossip without pauses. Whoever reads it verifies what a
// follower of Ordo does: the commit's signatures, the data hash, each transaction.
package peers
