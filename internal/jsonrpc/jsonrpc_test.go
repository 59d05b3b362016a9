package jsonrpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// server answers everything with one text.
func server(t *testing.T, status int, answer string) *Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, answer)
	}))
	t.Cleanup(s.Close)
	return New(s.URL, 10*time.Second)
}

func TestCall(t *testing.T) {
	t.Parallel()
	var asked string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		asked = string(raw)
		fmt.Fprint(w, `{"jsonrpc":"2.0","id":1,"result":{"number":"0x1f"}}`)
	}))
	defer s.Close()
	var got struct{ Number Quantity }
	if err := New(s.URL, 10*time.Second).Call(context.Background(), &got, "eth_getBlockByNumber", "latest", false); err != nil {
		t.Fatal(err)
	}
	if got.Number != 31 {
		t.Errorf("number is %d, want 31", got.Number)
	}
	if want := `{"id":1,"jsonrpc":"2.0","method":"eth_getBlockByNumber","params":["latest",false]}`; asked != want {
		t.Errorf("it asked %s, want %s", asked, want)
	}
}

func TestCallTellsWhatWentWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status       int
		answer, want string
	}{
		"error":        {200, `{"error":{"code":-32000,"message":"nonce too low"}}`, "nonce too low (code -32000)"},
		"null":         {200, `{"result":null}`, ErrNull.Error()},
		"no result":    {200, `{}`, ErrNull.Error()},
		"no JSON":      {502, `<html>`, "502 Bad Gateway"},
		"other shape":  {200, `{"result":[]}`, "decode the result"},
		"bad quantity": {200, `{"result":{"number":"31"}}`, "not a quantity"},
		"huge":         {200, strings.Repeat(" ", maxResponseBytes+1), "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got struct{ Number Quantity }
			err := server(t, c.status, c.answer).Call(context.Background(), &got, "method")
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "method") {
				t.Errorf("error is %v, want one with %q that names the method", err, c.want)
			}
		})
	}
}

func TestErrorsAreToldApart(t *testing.T) {
	t.Parallel()
	var rpc *Error
	err := server(t, 200, `{"error":{"code":3,"message":"reverted"}}`).Call(context.Background(), new(any), "m")
	if !errors.As(err, &rpc) || rpc.Code != 3 {
		t.Errorf("error is %v, want the server's", err)
	}
	if err := server(t, 200, `{"result":null}`).Call(context.Background(), new(any), "m"); !errors.Is(err, ErrNull) {
		t.Errorf("error is %v, want ErrNull", err)
	}
}
