package execution

// Preparer is what a Client may offer beside: it does before a block's turn what hangs on
// no state. Nothing of it changes what Execute makes, only how long that takes. Its calls come
// one at a time; they may run while calls of Client do, and hold up none.
type Preparer interface {
	// Prepare is given a block that waits to be executed. The client may hold it until that
	// one, or one above it, was executed; how much it holds at a time is for it to bound. It
	// returns at once, and may do nothing.
	Prepare(b Block)
}
