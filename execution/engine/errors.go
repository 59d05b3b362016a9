package engine

import (
	"errors"
	"fmt"
)

// Errors of the clients of this package, beside those of package execution.
var (
	// ErrUnreachable is wrapped where the client does not answer, or says that it is not
	// ready. It may answer later; calls that can wait do.
	ErrUnreachable = errors.New("the execution client does not answer")
	// ErrSecret says that the client does not take the JWT.
	ErrSecret = errors.New("the execution client refuses the JWT")
	// ErrGenesis says that the client stands on another genesis.
	ErrGenesis = errors.New("the execution client has another genesis")
	// ErrAnswer says that the client's answer makes no sense.
	ErrAnswer = errors.New("the execution client's answer makes no sense")
)

// refusal is an error that the client answers.
type refusal struct {
	code    int
	message string
	detail  string
}

func (r *refusal) Error() string {
	if r.detail != "" && r.detail != r.message {
		return fmt.Sprintf("%s: %s (code %d)", r.message, r.detail, r.code)
	}
	return fmt.Sprintf("%s (code %d)", r.message, r.code)
}

// Codes of the Engine API.
const (
	codeUnknownPayload    = -38001
	codeInvalidState      = -38002
	codeInvalidAttributes = -38003
)
