package da

import "crypto/sha256"

// namespaceDomain separates this use of SHA-256 from every other.
const namespaceDomain = "ordo/da/namespace/v0\x00"

// V0 returns the namespace in the form of Celestia, version 0: a version byte of
// 0, 18 zero bytes, and 10 bytes that are free. The free bytes are the first 10 of
// SHA-256("ordo/da/namespace/v0\x00" || rollup ID). A rollup ID may be chosen by
// anyone, and Celestia reserves the namespaces whose free bytes begin with nine
// zeros; the hash keeps a chosen ID from landing there. Two rollups with the same
// 80 bits only see each other's blobs and drop them, as they drop whatever else
// strangers post under their namespace.
func (ns Namespace) V0() [29]byte {
	sum := sha256.Sum256(append([]byte(namespaceDomain), ns[:]...))
	var out [29]byte
	copy(out[19:], sum[:10])
	return out
}
