package execution

import "context"

// Recaller is what a Client may be beside: it tells again what Execute returned. A caller
// that is killed before it has noted a result finds the block made, and would not know any
// more what of it was skipped. Where a Client is none, all that its last block was made
// from then counts as applied.
type Recaller interface {
	// Recall returns what Execute returned when it made a block of the chain from b; it
	// changes nothing. A client has to know it of its soft head alone. ok is false where
	// that is not known: no block was made from a sequencer block of b's height, b is not
	// all that it was made from, or the client does not go back so far.
	Recall(ctx context.Context, b Block) (res Result, ok bool, err error)
}
