// Package relayer puts the order on a DA layer. In come verified blocks of the
// rollups that it is configured for, from sequencer nodes; out go blobs, one after
// the other for each rollup, from which readers rebuild the whole order alone.
//
// The stages of one rollup, each waiting for the next when that is full:
//
//	Source -> read -> collect -> journal -> publish -> da.Layer
//
// Collect gathers blocks until they are large or old enough, packs them and puts
// the blob into the journal. Publish submits what the journal holds, in order, one
// submission at a time per rollup, so that what gathers while one is under way goes
// out together with the next: about one request per rollup and DA block.
//
// What always holds: blobs of a rollup are posted in order and leave no height out,
// those that hold nothing for it included; a height is in one blob only. A
// submission whose outcome is unknown, because of an error or a crash, is looked
// for on the layer by its content, and sent again only when it is not there.
// Memory does not grow with the backlog: a stage that cannot go on stops reading.
//
// Nobody needs to trust a relayer: readers check what it posts against the
// validators' signatures, and anyone may run one.
package relayer
