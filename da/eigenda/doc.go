// Package eigenda is the DA layer EigenDA, through the REST API of an eigenda-proxy
// that the operator runs. In come blobs; out go references that hold EigenDA's
// certificates, which are opaque here: the proxy makes them and the proxy verifies them.
//
// EigenDA has neither heights nor namespaces, and nobody finds a blob there without its
// certificate. So certificates are recorded on the sequencer chain, through an Index: the
// height of a blob is that of the block which recorded it, and what the proxy stores is
// on the layer only once it is recorded.
//
// What always holds: a blob is given back only where its SHA-256 is the recorded one;
// what strangers record can neither hold a reader up for good, see verdicts, nor push out
// what is recorded after it, and takes no more than bounded memory; a submission
// whose outcome is unknown is not repeated here.
package eigenda
