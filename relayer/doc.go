// Package relayer puts the order on DA layers. In come verified blocks of the rollups
// that it is configured for, from sequencer nodes; out go blobs, one after the other
// for each rollup, from which readers rebuild the whole order alone.
//
//	Source -> gather -> cut -> journal -> submit -> da.Layer -> journal -> claim
//
// A few streams bring the blocks of all rollups. A rollup's blocks gather until they are
// large, or old enough and its layer can take them; then they are cut into a blob, and
// the blobs of all rollups of a layer that wait go out in one submission. Several
// submissions are under way at a time, but one for a rollup, so that what gathers
// meanwhile goes out together with the next. A blob over the layer's limit is split.
//
// core decides all that, without I/O: it is told what happened, notes in a write what
// the journal must hold, and says what is to be done once that is on disk. shell is
// the one goroutine that steps it, and starts the few that do I/O.
//
// What always holds: blobs of a rollup are posted in order and leave no height out,
// those that hold nothing for it included; a height is in one blob only. A
// submission whose outcome is unknown, because of an error or a crash, is looked
// for on the layer by its content, and sent again only when it is not there and can
// come no more. Memory does not grow with the backlog, nor goroutines with the rollups.
//
// What was posted is claimed on the sequencer chain, and claimed again where the chain lets
// it fall before it is confirmed; claims are forgotten only beyond a bound, or after
// they came to nothing several times, which is counted and logged.
//
// Where a layer confirms nothing for a while, its rollups' blobs go to the fallback
// until it does again. What was under way to it then may be on both, as may be the one
// blob now and then by which it is tried: readers drop what they have read.
//
// Nobody needs to trust a relayer: readers check what it posts against the
// validators' signatures, and anyone may run one, or several.
package relayer
