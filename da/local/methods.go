package local

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/remote"
)

// call carries out one request and writes its answer. It calls release when the
// request's memory is needed no more.
func (s *Server) call(w http.ResponseWriter, r *http.Request, req *rpcRequest, release func()) {
	var result any
	var err error
	switch req.Method {
	case "blob.Submit":
		result, err = s.blobSubmit(r.Context(), req.Params, release)
	case "blob.Get":
		result, err = s.get(req.Params)
	case "blob.GetAll":
		s.getAll(w, req)
		return
	case "header.LocalHead", "header.NetworkHead":
		result = s.layer.lastHeader().wire()
	case "header.GetByHeight":
		result, err = s.headerByHeight(req.Params)
	case "header.WaitForHeight":
		result, err = s.waitForHeight(w, r, req.Params, release)
	case "header.SyncState":
		result, err = s.syncState()
	case "state.Balance":
		result = map[string]string{"denom": "utia", "amount": "0"} // nothing costs anything here
	case "state.AccountAddress":
		result = "" // nobody signs anything here
	case "local.Submit":
		result, err = s.localSubmit(r.Context(), req.Params, release)
	case "local.WaitHead":
		result, err = s.localWaitHead(r.Context(), req.Params, release)
	default:
		err = &rpcError{Code: codeNoMethod, Message: fmt.Sprintf("method '%s' not found", remote.Excerpt([]byte(req.Method)))}
	}
	if err != nil {
		writeError(w, req.ID, err)
		return
	}
	raw, err := json.Marshal(result)
	if err != nil {
		writeError(w, req.ID, err)
		return
	}
	writeResponse(w, http.StatusOK, rpcResponse{Version: "2.0", ID: req.ID, Result: raw})
}

// blobSubmit is blob.Submit(blobs, options): the height. The options name gas and
// keys, of which there are none here.
func (s *Server) blobSubmit(ctx context.Context, params []json.RawMessage, release func()) (uint64, error) {
	if len(params) != 2 {
		return 0, wrongCount("blob.Submit", len(params), 2)
	}
	if string(params[0]) == "[]" {
		return 0, &rpcError{Code: codeApplication, Message: "state: no blobs provided", Data: "rejected"}
	}
	stored, err := s.submit(ctx, "blob.Submit", params[0], release)
	return stored.Height, err
}

func (s *Server) localSubmit(ctx context.Context, params []json.RawMessage, release func()) (wireStored, error) {
	if len(params) != 1 {
		return wireStored{}, wrongCount("local.Submit", len(params), 1)
	}
	return s.submit(ctx, "local.Submit", params[0], release)
}

func (s *Server) submit(ctx context.Context, method string, raw json.RawMessage, release func()) (wireStored, error) {
	entries, err := parseBlobs(method, raw)
	if err != nil {
		return wireStored{}, err
	}
	sub, err := s.layer.enqueue(ctx, entries)
	if err != nil {
		return wireStored{}, err
	}
	release() // from here on the layer counts the data
	height, err := s.layer.wait(ctx, sub)
	if err != nil {
		return wireStored{}, err
	}
	stored := wireStored{Height: height, Commitments: make([][]byte, len(entries))}
	for i := range entries {
		stored.Commitments[i] = entries[i].commitment[:]
	}
	return stored, nil
}

// parseBlobs reads what is to be stored. What a blob says its commitment is does not count.
func parseBlobs(method string, raw json.RawMessage) ([]entry, error) {
	bad := func(format string, args ...any) error {
		return badParam(method, "*[]*blob.Blob", fmt.Errorf(format, args...))
	}
	var blobs remote.List[wireBlob]
	if err := json.Unmarshal(raw, &blobs); err != nil {
		return nil, bad("%w", err)
	}
	entries := make([]entry, len(blobs))
	for i, b := range blobs {
		ns, err := parseNamespace(b.Namespace)
		switch {
		case err != nil:
			return nil, bad("blob %d: invalid user namespace: %w", i, err)
		case b.ShareVersion != 0:
			return nil, bad("blob %d: share version %d, want 0", i, b.ShareVersion)
		case len(b.Data) == 0:
			return nil, bad("blob %d: data can not be empty", i)
		}
		entries[i] = entry{ns: ns, data: b.Data}
	}
	return entries, nil
}

// get is blob.Get(height, namespace, commitment): the blob.
func (s *Server) get(params []json.RawMessage) (*wireBlob, error) {
	if len(params) != 3 {
		return nil, wrongCount("blob.Get", len(params), 3)
	}
	height, err := parseHeight("blob.Get", params[0])
	if err != nil {
		return nil, err
	}
	var rawNS, wanted []byte
	if err := json.Unmarshal(params[1], &rawNS); err != nil {
		return nil, badParam("blob.Get", "*share.Namespace", err)
	}
	ns, err := parseNamespace(rawNS)
	if err != nil {
		return nil, badParam("blob.Get", "*share.Namespace", err)
	}
	if err := json.Unmarshal(params[2], &wanted); err != nil {
		return nil, badParam("blob.Get", "*blob.Commitment", err)
	}
	var found *wireBlob
	err = s.layer.find(height, ns, wanted, func(b blob) error {
		found = &wireBlob{Namespace: rawNS, Data: append([]byte(nil), b.data...), Commitment: wanted, Index: int(b.index)}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, fmt.Errorf("blob %x at height %d: %w", wanted, height, da.ErrNotFound)
	}
	return found, nil
}

// getAll is blob.GetAll(height, namespaces): the blobs, or null where there are
// none. They are written as they are read, one in memory at a time.
func (s *Server) getAll(w http.ResponseWriter, req *rpcRequest) {
	height, namespaces, err := parseGetAll(req.Params)
	if err != nil {
		writeError(w, req.ID, err)
		return
	}
	started := false
	for _, ns := range namespaces {
		err := s.layer.read(height, ns, func(b blob) error {
			raw, err := json.Marshal(wireBlob{Namespace: ns[:], Data: b.data, Commitment: b.commitment, Index: int(b.index)})
			if err != nil {
				return err
			}
			before := ","
			if !started {
				started = true
				w.Header().Set("Content-Type", "application/json")
				before = `{"jsonrpc":"2.0","id":` + string(req.ID) + `,"result":[`
			}
			if _, err := io.WriteString(w, before); err != nil {
				return err
			}
			_, err = w.Write(raw)
			return err
		})
		if err != nil && started {
			// Half an answer is on its way: break the connection, so that nobody takes
			// it for a whole one. net/http defines this panic for it.
			panic(http.ErrAbortHandler)
		}
		if err != nil {
			writeError(w, req.ID, err)
			return
		}
	}
	if !started {
		writeResponse(w, http.StatusOK, rpcResponse{Version: "2.0", ID: req.ID, Result: json.RawMessage("null")})
		return
	}
	// A failed write leaves the client with a torn answer, which it notices itself.
	_, _ = io.WriteString(w, "]}\n")
}

// headerByHeight is header.GetByHeight(height).
func (s *Server) headerByHeight(params []json.RawMessage) (any, error) {
	height, err := heightAlone("header.GetByHeight", params)
	if err != nil {
		return nil, err
	}
	h, err := s.layer.headerAt(height)
	if err != nil {
		return nil, err
	}
	return h.wire(), nil
}

// waitForHeight is header.WaitForHeight(height): the header, as soon as there is one.
func (s *Server) waitForHeight(w http.ResponseWriter, r *http.Request, params []json.RawMessage, release func()) (any, error) {
	height, err := heightAlone("header.WaitForHeight", params)
	if err != nil {
		return nil, err
	}
	release()
	// It may take longer than any other request.
	deadline := time.Now().Add(waitForHeight + time.Minute)
	control := http.NewResponseController(w)
	_, _ = control.SetReadDeadline(deadline), control.SetWriteDeadline(deadline) // without them it is the server's that ends it
	if _, err := s.waitHead(r.Context(), height-1, waitForHeight); err != nil {
		return nil, err
	}
	return s.headerByHeight(params)
}

// localWaitHead is local.WaitHead(above).
func (s *Server) localWaitHead(ctx context.Context, params []json.RawMessage, release func()) (uint64, error) {
	if len(params) != 1 {
		return 0, wrongCount("local.WaitHead", len(params), 1)
	}
	above, err := parseHeight("local.WaitHead", params[0])
	if err != nil {
		return 0, err
	}
	release()
	return s.waitHead(ctx, above, longPoll)
}

// waitHead returns the head once it is above the height, or when it has waited long enough.
func (s *Server) waitHead(ctx context.Context, above uint64, longest time.Duration) (uint64, error) {
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	stopped := make(chan struct{})
	defer close(stopped)
	go func() {
		select {
		case <-s.stopping:
			cancel()
		case <-stopped:
		}
	}()
	head, err := s.layer.WaitHead(ctx, above)
	if err != nil && ctx.Err() != nil {
		return s.layer.Head(ctx)
	}
	return head, err
}

// syncState is header.SyncState(): always in sync.
func (s *Server) syncState() (wireSync, error) {
	head := s.layer.lastHeader()
	if head.height == 0 {
		return wireSync{}, nil
	}
	first, err := s.layer.headerAt(1)
	if err != nil {
		return wireSync{}, err
	}
	from, to := first.hash(), head.hash()
	return wireSync{
		ID: 1, Height: head.height, FromHeight: 1, ToHeight: head.height, FromHash: from[:], ToHash: to[:], Start: first.time, End: head.time,
	}, nil
}

func parseGetAll(params []json.RawMessage) (uint64, []namespace, error) {
	const method, param = "blob.GetAll", "*[]share.Namespace"
	if len(params) != 2 {
		return 0, nil, wrongCount(method, len(params), 2)
	}
	height, err := parseHeight(method, params[0])
	if err != nil {
		return 0, nil, err
	}
	var raw remote.List[[]byte]
	if err := json.Unmarshal(params[1], &raw); err != nil {
		return 0, nil, badParam(method, param, err)
	}
	if len(raw) > maxReadNamespaces {
		return 0, nil, badParam(method, param, fmt.Errorf("%d namespaces, at most %d", len(raw), maxReadNamespaces))
	}
	namespaces := make([]namespace, len(raw))
	for i := range raw {
		if namespaces[i], err = parseNamespace(raw[i]); err != nil {
			return 0, nil, badParam(method, param, err)
		}
	}
	return height, namespaces, nil
}

// heightAlone reads the height of a method that takes nothing else; there is no height 0.
func heightAlone(method string, params []json.RawMessage) (uint64, error) {
	if len(params) != 1 {
		return 0, wrongCount(method, len(params), 1)
	}
	height, err := parseHeight(method, params[0])
	if err == nil && height == 0 {
		err = &rpcError{Code: codeApplication, Message: "height is equal to 0", Data: "not_found"}
	}
	return height, err
}

func parseHeight(method string, raw json.RawMessage) (uint64, error) {
	height, err := strconv.ParseUint(string(raw), 10, 64)
	if err != nil {
		return 0, badParam(method, "*uint64", fmt.Errorf("%.32q is not a height", raw))
	}
	return height, nil
}

// wrongCount and badParam speak as celestia-node does.
func wrongCount(method string, got, want int) error {
	return &rpcError{Code: codeInvalidParams, Message: fmt.Sprintf("wrong param count (method '%s'): %d != %d", method, got, want)}
}

func badParam(method, kind string, err error) error {
	return &rpcError{Code: codeParse, Message: fmt.Sprintf("unmarshaling params for '%s' (param: %s): %v", method, kind, err)}
}
