package order

// Bounds of everything that is decoded here. They are rules of the network:
// a block that breaks one is invalid.
const (
	// MaxBundleBytes bounds the canonical encoding of one bundle.
	MaxBundleBytes = 1 << 20
	// MaxBatchBytes bounds the canonical encoding of one batch.
	MaxBatchBytes = 16 << 20
	// MaxLegs bounds the legs of one bundle.
	MaxLegs = 64
	// MaxLegTransactions bounds the transactions of one leg.
	MaxLegTransactions = 1 << 14
	// MaxBatchBundles bounds the bundles of one batch.
	MaxBatchBundles = 1 << 16
	// MaxChainIDLen is CometBFT's bound on a chain ID, in bytes.
	MaxChainIDLen = 50
	// maxTreeLeaves bounds the range that a namespace proof may speak of.
	maxTreeLeaves = 1 << 30
	// maxProofNodes bounds a namespace proof: two paths in a tree of that many leaves.
	maxProofNodes = 60
	// maxLegRecordBytes bounds a leg record's encoding: two hashes and five numbers.
	maxLegRecordBytes = 2*34 + 5*11
)
