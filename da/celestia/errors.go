package celestia

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/remote"
)

// Celestia-node gives nearly all of its errors one code: they are told apart by their
// texts, as seen with celestia-node v0.31 and celestia-app v9. What is not known here is
// da.ErrUnavailable, after which a relayer looks whether its blobs are there.

// Codes of JSON-RPC itself: what was asked for does not parse, or there is no such method.
const (
	codeParse          = -32700
	codeInvalidRequest = -32600
	codeNoMethod       = -32601
	codeInvalidParams  = -32602
)

// refusal is how an error of blob.Submit begins, of which nothing was stored.
type refusal struct {
	prefix string
	err    error
	hint   string // what to do about it
}

// All of these are said before the transaction leaves the node.
var refusals = []refusal{
	{"state: no blobs provided", da.ErrRejected, ""},
	{"not allowed namespace", da.ErrRejected, ""},
	{"failed to create msg pay-for-blobs", da.ErrRejected, ""},
	{"request bigger than maximum", da.ErrTooLarge, ""},
	{"missing permission", da.ErrRejected, `use a token that may write, as "celestia <type> auth write" prints`},
	{"state: estimated gas price exceeds max gas price", da.ErrRejected, "set a gas price, which the node then does not estimate"},
	{"failed to get tx author address", da.ErrRejected, "the node has no key to sign with: give it one"},
	// Before the first coins arrive, the account does not exist at all.
	{"account for signer", da.ErrRejected, "send coins to the node's account"},
}

// broadcastCode is the code with which a transaction was refused at Celestia's door
// (codespace sdk). Those that are not listed say nothing of what was stored.
var broadcastCode = regexp.MustCompile(`(?s)^(?:.*: )?broadcast tx error: hash [0-9A-F]{64} error: .* ?code: (\d+)$`)

var broadcasts = map[string]refusal{
	"5":  {err: da.ErrRejected, hint: "send coins to the node's account"}, // insufficient funds
	"11": {err: da.ErrRejected, hint: "the node's estimate of gas is too low: bring it up to date"},
	"13": {err: da.ErrRejected, hint: "raise the gas price, or leave it to the node"}, // insufficient fee
	"21": {err: da.ErrTooLarge, hint: "the network's limit of a transaction is lower than the one that is set"},
}

// classSubmit gives an error of blob.Submit its sentinel. Whatever the node did not
// certainly refuse may have been stored.
func classSubmit(err error) error {
	var e *remote.RPCError
	if !errors.As(err, &e) {
		return err
	}
	if r, ok := refused(e); ok {
		if r.hint != "" {
			return fmt.Errorf("%w: %s: %w", err, r.hint, r.err)
		}
		return fmt.Errorf("%w: %w", err, r.err)
	}
	return fmt.Errorf("%w: %w", err, da.ErrUnavailable)
}

func refused(e *remote.RPCError) (refusal, bool) {
	if m := broadcastCode.FindStringSubmatch(strings.TrimSpace(e.Message)); m != nil {
		r, ok := broadcasts[m[1]]
		return r, ok
	}
	for _, r := range refusals {
		if strings.HasPrefix(e.Message, r.prefix) {
			return r, true
		}
	}
	switch e.Code {
	case codeParse, codeInvalidRequest, codeNoMethod, codeInvalidParams:
		return refusal{err: da.ErrRejected}, true // nothing was even tried
	}
	return refusal{}, false
}

// classRead gives an error of a method that reads its sentinel.
func classRead(err error) error {
	var e *remote.RPCError
	if !errors.As(err, &e) {
		return err
	}
	switch {
	case strings.Contains(e.Message, "blob: not found") && !strings.Contains(e.Message, "incomplete blob"):
		return fmt.Errorf("%w: %w", err, da.ErrNotFound)
	case strings.Contains(e.Message, "from the future"), strings.Contains(e.Message, "syncing in progress"):
		return fmt.Errorf("%w: %w", err, da.ErrNotYet)
	case strings.Contains(e.Message, "missing permission"):
		return fmt.Errorf("%w: use a token that may read: %w", err, da.ErrRejected)
	case strings.Contains(e.Message, "is below Tail"):
		return fmt.Errorf("%w: this node keeps no data that old, ask an archival one: %w", err, da.ErrUnavailable)
	}
	return fmt.Errorf("%w: %w", err, da.ErrUnavailable)
}
