// Package claims reads and writes the sequencer chain's records of what stands on DA
// layers.
//
// In come the API endpoints of sequencer nodes, and blobs that were put on a layer; out
// come the places of a rollup's blobs, by the height of the block that recorded them. A
// layer without heights and namespaces of its own, EigenDA, is read by these records.
//
// What holds always: a record that was made is final, and is never changed. A node that
// is asked may leave records out, and no record is believed to be true: readers fetch
// what it names and verify it.
package claims
