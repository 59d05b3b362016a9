package transfer

import (
	"context"
	"crypto/ed25519"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect"

	authsigning "github.com/cosmos/cosmos-sdk/x/auth/signing"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/ordo-network/ordo/keys"
	"github.com/ordo-network/ordo/sequencer/app"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
)

type testNode struct {
	sequencerv1connect.UnimplementedSequencerServiceHandler
	got    []byte
	answer *sequencerv1.SubmitTransactionResponse
}

func (n *testNode) GetAccount(context.Context, *connect.Request[sequencerv1.GetAccountRequest]) (*connect.Response[sequencerv1.GetAccountResponse], error) {
	return connect.NewResponse(&sequencerv1.GetAccountResponse{AccountNumber: 3, Sequence: 5}), nil
}

func (n *testNode) SubmitTransaction(_ context.Context, r *connect.Request[sequencerv1.SubmitTransactionRequest]) (*connect.Response[sequencerv1.SubmitTransactionResponse], error) {
	n.got = r.Msg.GetTransaction()
	return connect.NewResponse(n.answer), nil
}

func serve(t *testing.T, answer *sequencerv1.SubmitTransactionResponse) (*testNode, string) {
	t.Helper()
	n := &testNode{answer: answer}
	mux := http.NewServeMux()
	mux.Handle(sequencerv1connect.NewSequencerServiceHandler(n))
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return n, s.URL
}

func TestSend(t *testing.T) {
	t.Parallel()
	from := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	address := keys.Address(from.Public().(ed25519.PublicKey))
	const to = "ordo1zt6k9lgr3yka3jpjekmu2t0e0wlwm58setdzgf"
	refuses, refusing := serve(t, &sequencerv1.SubmitTransactionResponse{Height: 7, Code: 5, Codespace: "sdk", Log: "no funds"})
	takes, taking := serve(t, &sequencerv1.SubmitTransactionResponse{Height: 8})
	if err := Send(t.Context(), []string{"http://127.0.0.1:1", refusing}, "ordo-test", from, to, 17); err == nil || !strings.Contains(err.Error(), "no funds") {
		t.Errorf("refused: %v", err)
	}
	if err := Send(t.Context(), []string{"http://127.0.0.1:1", taking}, "ordo-test", from, to, 17); err != nil {
		t.Fatal(err)
	}
	if string(refuses.got) != string(takes.got) {
		t.Error("the same transfer has other bytes")
	}
	enc, err := app.NewEncoding()
	if err != nil {
		t.Fatal(err)
	}
	tx, err := enc.TxConfig.TxDecoder()(takes.got)
	if err != nil {
		t.Fatal(err)
	}
	send, is := tx.GetMsgs()[0].(*banktypes.MsgSend)
	if !is || send.FromAddress != address || send.ToAddress != to || send.Amount.String() != "17uordo" {
		t.Errorf("sent is %v", tx.GetMsgs())
	}
	sigs, err := tx.(authsigning.SigVerifiableTx).GetSignaturesV2()
	if err != nil || len(sigs) != 1 || sigs[0].Sequence != 5 {
		t.Errorf("signatures are %v: %v", sigs, err)
	}
}
