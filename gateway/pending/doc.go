// Package pending shows a rollup what will be ordered before it is. In comes what
// sequencer nodes say is certified for the rollup, and each block that was ordered;
// out goes the speculative execution of what lies between, through an
// execution.Speculator. Without one it only passes on what is said to be certified.
//
//	sequencers -> reader -> set, in the order to come -> speculator    pending
//	follower, driver ------^ takes out what is ordered
//
// What always holds: nothing here reaches the blocks that the rollup executes, for
// what a node says is a hint; a node that says too much costs bounded memory, and
// at most a quarter of one processor, less while the rollup has much to execute; and each transaction that was shown as
// executed is counted in the end, as confirmed or as contradicted.
package pending
