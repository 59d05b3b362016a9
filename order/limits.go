package order

// Bounds of everything that is decoded here. They are rules of the network:
// a block that breaks one is invalid.
const (
	// MaxBundleBytes bounds the canonical encoding of one bundle.
	MaxBundleBytes = 1 << 20
	// MaxBatchBytes bounds the canonical encoding of one batch.
	MaxBatchBytes = 2 << 20
	// MaxHeaderBytes bounds the canonical encoding of one batch header.
	MaxHeaderBytes = 128 << 10
	// MaxCertificateBytes bounds the canonical encoding of one certificate.
	MaxCertificateBytes = MaxHeaderBytes + 32<<10
	// MaxMembers bounds the members of a committee.
	MaxMembers = 200
	// MaxTips bounds the lanes that one validator reports of.
	MaxTips = 2 * MaxMembers
	// MaxVotes bounds the claims that one validator speaks of in one vote, MaxVoteBytes
	// their encoding. A gap between two of them takes one or two bytes; were each of
	// three, they would still fit.
	MaxVotes     = 256
	MaxVoteBytes = 1 << 10
	// MaxLegs bounds the legs of one bundle.
	MaxLegs = 64
	// MaxLegTransactions bounds the transactions of one leg.
	MaxLegTransactions = 1 << 14
	// MaxBatchBundles bounds the bundles of one batch.
	MaxBatchBundles = 1 << 13
	// MaxChainIDLen is CometBFT's bound on a chain ID, in bytes.
	MaxChainIDLen = 50
	// maxTreeLeaves bounds the range that a namespace proof may speak of.
	maxTreeLeaves = 1 << 30
	// maxProofNodes bounds a namespace proof: two paths in a tree of that many leaves.
	maxProofNodes = 60
	// maxLegRecordBytes bounds a leg record's encoding: three hashes and six numbers.
	maxLegRecordBytes = 3*34 + 6*11
)
