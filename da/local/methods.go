package local

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/ordo-network/ordo/da"
)

// call carries out one request and writes its answer.
func (s *Server) call(w http.ResponseWriter, r *http.Request, req *rpcRequest, release func()) {
	var result any
	var err error
	switch req.Method {
	case "blob.Submit":
		result, err = s.submit(r.Context(), req.Params, release)
	case "blob.Get":
		result, err = s.get(req.Params)
	case "blob.GetAll":
		s.getAll(w, req)
		return
	case "header.LocalHead", "header.NetworkHead":
		result = s.layer.lastHeader().wire()
	case "header.GetByHeight":
		result, err = s.headerByHeight(req.Params)
	default:
		err = &rpcError{codeNoMethod, fmt.Sprintf("there is no method %q here", req.Method)}
	}
	if err != nil {
		writeError(w, req.ID, wireError(err))
		return
	}
	raw, err := json.Marshal(result)
	if err != nil {
		writeError(w, req.ID, wireError(err))
		return
	}
	writeResponse(w, rpcResponse{Version: "2.0", ID: req.ID, Result: raw})
}

// submit is blob.Submit(blobs, options): the height. The options name gas and
// keys, of which there are none here. It calls release when the request's memory is
// needed no more.
func (s *Server) submit(ctx context.Context, params []json.RawMessage, release func()) (uint64, error) {
	if len(params) != 1 && len(params) != 2 {
		return 0, badParams("blob.Submit takes blobs and options")
	}
	var blobs []wireBlob
	if err := json.Unmarshal(params[0], &blobs); err != nil {
		return 0, badParams("blobs: %v", err)
	}
	entries := make([]entry, len(blobs))
	for i, b := range blobs {
		ns, err := parseNamespace(b.Namespace)
		if err != nil {
			return 0, badParams("blob %d: %v", i, err)
		}
		if b.ShareVersion != 0 {
			return 0, badParams("blob %d: share version %d, want 0", i, b.ShareVersion)
		}
		entries[i] = entry{ns, b.Data}
	}
	sub, err := s.layer.enqueue(ctx, entries)
	if err != nil {
		return 0, err
	}
	release() // from here on the layer counts the data
	return s.layer.wait(ctx, sub)
}

// get is blob.Get(height, namespace, commitment): the blob.
func (s *Server) get(params []json.RawMessage) (*wireBlob, error) {
	if len(params) != 3 {
		return nil, badParams("blob.Get takes a height, a namespace and a commitment")
	}
	height, err := parseHeight(params[0])
	if err != nil {
		return nil, err
	}
	var rawNS, commitment []byte
	if err := json.Unmarshal(params[1], &rawNS); err != nil {
		return nil, badParams("namespace: %v", err)
	}
	ns, err := parseNamespace(rawNS)
	if err != nil {
		return nil, badParams("%v", err)
	}
	if err := json.Unmarshal(params[2], &commitment); err != nil {
		return nil, badParams("commitment: %v", err)
	}
	var found *wireBlob
	err = s.layer.read(height, ns, func(index uint32, data []byte) error {
		if id := da.ID(data); found == nil && string(id[:]) == string(commitment) {
			found = &wireBlob{Namespace: rawNS, Data: append([]byte(nil), data...), Commitment: commitment, Index: int(index)}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, fmt.Errorf("blob %x at height %d: %w", commitment, height, da.ErrNotFound)
	}
	return found, nil
}

// getAll is blob.GetAll(height, namespaces): the blobs, or null where there are
// none. They are written as they are read, one in memory at a time.
func (s *Server) getAll(w http.ResponseWriter, req *rpcRequest) {
	height, namespaces, err := parseGetAll(req.Params)
	if err != nil {
		writeError(w, req.ID, wireError(err))
		return
	}
	started := false
	for _, ns := range namespaces {
		err := s.layer.read(height, ns, func(index uint32, data []byte) error {
			id := da.ID(data)
			raw, err := json.Marshal(wireBlob{Namespace: ns[:], Data: data, Commitment: id[:], Index: int(index)})
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
			writeError(w, req.ID, wireError(err))
			return
		}
	}
	if !started {
		writeResponse(w, rpcResponse{Version: "2.0", ID: req.ID, Result: json.RawMessage("null")})
		return
	}
	// A failed write leaves the client with a torn answer, which it notices itself.
	_, _ = io.WriteString(w, "]}\n")
}

// headerByHeight is header.GetByHeight(height).
func (s *Server) headerByHeight(params []json.RawMessage) (any, error) {
	if len(params) != 1 {
		return nil, badParams("header.GetByHeight takes a height")
	}
	height, err := parseHeight(params[0])
	if err != nil {
		return nil, err
	}
	h, err := s.layer.headerAt(height)
	if err != nil {
		return nil, err
	}
	return h.wire(), nil
}

func parseGetAll(params []json.RawMessage) (uint64, []namespace, error) {
	if len(params) != 2 {
		return 0, nil, badParams("blob.GetAll takes a height and namespaces")
	}
	height, err := parseHeight(params[0])
	if err != nil {
		return 0, nil, err
	}
	var raw [][]byte
	if err := json.Unmarshal(params[1], &raw); err != nil {
		return 0, nil, badParams("namespaces: %v", err)
	}
	if len(raw) > maxReadNamespaces {
		return 0, nil, badParams("%d namespaces, at most %d", len(raw), maxReadNamespaces)
	}
	namespaces := make([]namespace, len(raw))
	for i := range raw {
		if namespaces[i], err = parseNamespace(raw[i]); err != nil {
			return 0, nil, badParams("namespace %d: %v", i, err)
		}
	}
	return height, namespaces, nil
}

func parseHeight(raw json.RawMessage) (uint64, error) {
	height, err := strconv.ParseUint(string(raw), 10, 64)
	if err != nil {
		return 0, badParams("height %.32s is not a number", raw)
	}
	return height, nil
}

func badParams(format string, args ...any) *rpcError {
	return &rpcError{codeInvalidParams, fmt.Sprintf(format, args...)}
}
