package da

// MaxClaimParts bounds the parts of a claim.
const MaxClaimParts = 256

// Claim is a relayer's word that blocks of a rollup are on a layer. It is recorded on
// the sequencer chain, where validators look whether it is true.
type Claim struct {
	Rollup   Namespace
	Layer    string // its Name
	From, To uint64 // heights of the sequencer chain that the blob covers
	Parts    []Part // where it stands: one, or several in order where it was split
}

// Part is one blob of a claim.
type Part struct {
	Ref
	ID BlobID
}
