package ordering

import (
	"context"
	"errors"
	"time"

	"github.com/ordo-network/ordo/bench/testnet"
)

// key is what a payload is recognised by in the order: a bundle's ID, a transaction's hash.
type key [32]byte

// parcel is a payload in the form in which a validator takes it in.
type parcel struct {
	key  key
	wire []byte
}

// channel says what a payload is for: nearly all are bulk. Some go to a rollup of
// their own, so that those who wait for certificates need not read all the others.
type channel int

const (
	bulk channel = iota
	sample
)

// system is a running network. Its methods may be called concurrently.
type system interface {
	name() string
	// wrap makes a parcel of a payload for a validator: signs it, where the system wants that.
	wrap(ch channel, validator int, payload []byte) (parcel, error)
	// submit hands a parcel to the validator that it is for and returns when it has it in safe keeping.
	// Errors: errBusy; any other: refused.
	submit(ctx context.Context, validator int, p parcel) error
	// follow reads the order from now on and enters into the ledger what it has
	// verified, until ctx ends; it calls ready when nothing from now on is missed.
	follow(ctx context.Context, l *ledger, ready func()) error
	// validators are those processes, in order; extra ones, such as a node to read from, follow them.
	validators() int
	processes() []*testnet.Process
	// received returns the bytes that each validator has received from others so far.
	received(ctx context.Context) ([]float64, error)
	// close stops the processes and removes their data.
	close() error
}

// errBusy is returned by a system whose validator has no room for now.
var errBusy = errors.New("validator is busy")

// submitTimeout is after which a validator counts as not answering.
const submitTimeout = 15 * time.Second
