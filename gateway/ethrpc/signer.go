package ethrpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/ethereum/go-ethereum/accounts"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ordo-network/ordo/gateway/ordorpc"
)

// signatureHeader is how searchers say who they are, as Flashbots has it: an address, a
// colon, and the address's signature (EIP-191) over the hash of the request's body in hex.
const signatureHeader = "X-Flashbots-Signature"

// signer is who signed a request; err says why nobody can be said to have.
type signer struct {
	address common.Address
	err     error
}

type signerKey struct{}

// withSigner checks the signatures of requests that carry one. The methods that care
// for it refuse a wrong one; others may be called with any.
func withSigner(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := r.Header.Get(signatureHeader)
		if header == "" {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, ordorpc.MaxBody))
		if err != nil {
			http.Error(w, fmt.Sprintf("request is longer than %d bytes, or broken off", ordorpc.MaxBody), http.StatusRequestEntityTooLarge)
			return
		}
		var s signer
		if s.address, err = checkSignature(header, body); err != nil {
			s.err = invalidParams{signatureHeader + ": " + err.Error()}
		}
		r = r.WithContext(context.WithValue(r.Context(), signerKey{}, s))
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// checkSignature returns the address that signed the body.
func checkSignature(header string, body []byte) (common.Address, error) {
	claimed, text, ok := strings.Cut(header, ":")
	if !ok || !common.IsHexAddress(claimed) {
		return common.Address{}, errors.New("want an address, a colon and a signature")
	}
	sig, err := hexutil.Decode(text)
	if err != nil || len(sig) != crypto.SignatureLength {
		return common.Address{}, fmt.Errorf("signature is not %d bytes in hex", crypto.SignatureLength)
	}
	if v := &sig[crypto.RecoveryIDOffset]; *v >= 27 {
		*v -= 27 // as wallets write it
	}
	digest := accounts.TextHash([]byte(crypto.Keccak256Hash(body).Hex()))
	key, err := crypto.SigToPub(digest, sig)
	if err != nil {
		return common.Address{}, fmt.Errorf("signature: %w", err)
	}
	address := crypto.PubkeyToAddress(*key)
	if address != common.HexToAddress(claimed) {
		return common.Address{}, fmt.Errorf("it was signed by %s and not by %s: sign keccak256 of the body, in hex with 0x, as a message (EIP-191)", address.Hex(), claimed)
	}
	return address, nil
}

// searcher returns who signed the request; signed is false where nobody did.
func searcher(ctx context.Context) (address common.Address, signed bool, err error) {
	s, ok := ctx.Value(signerKey{}).(signer)
	return s.address, ok && s.err == nil, s.err
}
