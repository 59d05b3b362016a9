// Package availtest is an Avail light client to test against: an HTTP server that
// answers as version 2 of the light client's API is documented, over a chain of its
// own in memory. In come data transactions; out go blocks that are verified some
// blocks later, and faults on demand.
//
// It was written from the documentation and the source of the light client. It is
// no Avail node and was compared with none.
package availtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options of a server. Zero values stand for the defaults.
type Options struct {
	// AppID of the application that the light client runs with; 1 by default.
	AppID uint32
	// BlockTime is the time between blocks; 5 ms by default.
	BlockTime time.Duration
	// Lag is how many blocks a block is behind the latest when it is verified; 2 by default.
	Lag uint32
	// Token, where set, must come as "Authorization: Bearer <token>", as a proxy in
	// front of a light client would demand.
	Token string
}

// Server is a light client with its network. Its URL answers until Close.
type Server struct {
	URL string

	o      Options
	server *httptest.Server
	stop   chan struct{}
	done   chan struct{}

	mu      sync.Mutex
	latest  uint32
	blocks  map[uint32]*block // those that are not empty, and those with a status
	pending []*transaction    // of the next block
	lightly bool              // not in app mode
	genesis string
	first   uint32 // first block that is processed
	refuse  int
	lose    int
	reorg   bool
}

// block is one block of the network, as far as it is not ordinary.
type block struct {
	data   [][]byte
	status string // "": what its age makes of it
}

// transaction is one that waits for its block.
type transaction struct {
	data []byte
	in   chan uint32
}

// maxBodyBytes is what a data transaction of 1 MiB takes in base64, and more.
const maxBodyBytes = 2 << 20

// New starts a server.
func New(o Options) *Server {
	if o.AppID == 0 {
		o.AppID = 1
	}
	if o.BlockTime <= 0 {
		o.BlockTime = 5 * time.Millisecond
	}
	if o.Lag == 0 {
		o.Lag = 2
	}
	s := &Server{
		o: o, stop: make(chan struct{}), done: make(chan struct{}), blocks: make(map[uint32]*block),
		genesis: "0x" + strings.Repeat("a1", 32), first: 1,
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/version", s.version)
	mux.HandleFunc("GET /v2/status", s.status)
	mux.HandleFunc("GET /v2/blocks/{n}", s.block)
	mux.HandleFunc("GET /v2/blocks/{n}/header", s.header)
	mux.HandleFunc("GET /v2/blocks/{n}/data", s.data)
	mux.HandleFunc("POST /v2/submit", s.submit)
	s.server = httptest.NewServer(s.guard(mux))
	s.URL = s.server.URL
	go s.produce()
	return s
}

// Close ends the server; submissions without a block fail.
func (s *Server) Close() {
	close(s.stop)
	<-s.done
	s.server.CloseClientConnections()
	s.server.Close()
}

// produce makes the blocks.
func (s *Server) produce() {
	defer close(s.done)
	tick := time.NewTicker(s.o.BlockTime)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			s.makeBlock()
		}
	}
}

func (s *Server) makeBlock() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latest++
	named := s.latest
	if s.reorg && len(s.pending) > 0 {
		// The block that submissions hear of is replaced by one without them, which is
		// where the network goes on; they get into the one after.
		s.reorg = false
		s.latest++
	}
	for _, tx := range s.pending {
		b := s.at(s.latest)
		b.data = append(b.data, tx.data)
		tx.in <- named
	}
	s.pending = nil
}

func (s *Server) at(n uint32) *block {
	if s.blocks[n] == nil {
		s.blocks[n] = new(block)
	}
	return s.blocks[n]
}

// Post puts data into a block as anybody can under an application ID, and returns
// the block's number.
func (s *Server) Post(data ...[]byte) uint32 {
	s.mu.Lock()
	txs := make([]*transaction, len(data))
	for i, d := range data {
		txs[i] = &transaction{slices.Clone(d), make(chan uint32, 1)}
	}
	s.pending = append(s.pending, txs...)
	s.mu.Unlock()
	n := uint32(0)
	for _, tx := range txs {
		select {
		case n = <-tx.in:
		case <-s.done:
		}
	}
	return n
}

// SetStatus gives a block a status, whatever its age; "" takes it back.
func (s *Server) SetStatus(n uint32, status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at(n).status = status
}

// SetFirst makes the blocks below n ones that the light client does not process.
func (s *Server) SetFirst(n uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.first = n
}

// SetGenesis puts the light client on another network.
func (s *Server) SetGenesis(hash string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.genesis = hash
}

// SetLightly takes the light client out of app mode.
func (s *Server) SetLightly() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lightly = true
}

// Refuse makes the next n submissions fail with status 500, not stored.
func (s *Server) Refuse(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = n
}

// Lose makes the next n submissions fail with status 500, though stored.
func (s *Server) Lose(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lose = n
}

// Reorganise replaces the next block with submissions after they were answered.
func (s *Server) Reorganise() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reorg = true
}

// Holds counts how often the blocks hold data of transactions.
func (s *Server) Holds(data []byte) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.blocks {
		for _, d := range b.data {
			if slices.Equal(d, data) {
				n++
			}
		}
	}
	return n
}

func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.o.Token != "" && r.Header.Get("Authorization") != "Bearer "+s.o.Token {
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // who is gone needs no answer
}

func (s *Server) version(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]string{"version": "1.13.0", "network_version": "2.3.0"})
}

// blockRange is how the API names ranges.
type blockRange struct {
	First uint32 `json:"first"`
	Last  uint32 `json:"last"`
}

// verified is the last block with verified data.
func (s *Server) verified() uint32 {
	if s.latest < s.o.Lag {
		return 0
	}
	return s.latest - s.o.Lag
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	blocks := map[string]any{"latest": s.latest}
	st := map[string]any{
		"modes": []string{"light"}, "genesis_hash": s.genesis, "network": "availtest/0/0", "blocks": blocks,
	}
	last := s.verified()
	if last >= s.first {
		blocks["available"] = blockRange{s.first, last}
	}
	if !s.lightly {
		st["modes"], st["app_id"] = []string{"light", "app"}, s.o.AppID
		if last >= s.first {
			blocks["app_data"] = blockRange{s.first, last}
		}
	}
	answer(w, st)
}

// find returns the block of a request and its status, after it has answered the
// request where there is none.
func (s *Server) find(w http.ResponseWriter, r *http.Request) (n uint32, data [][]byte, status string, ok bool) {
	number, err := strconv.ParseUint(r.PathValue("n"), 10, 32)
	n = uint32(number)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || n > s.latest {
		http.Error(w, "Not Found", http.StatusNotFound)
		return 0, nil, "", false
	}
	if b := s.blocks[n]; b != nil {
		data, status = b.data, b.status
	}
	switch {
	case status != "":
	case n < s.first:
		status = "unavailable"
	case n > s.verified():
		status = []string{"verifying-header", "verifying-confidence", "verifying-data"}[min(s.latest-n, 2)]
	case len(data) == 0:
		status = "incomplete"
	default:
		status = "finished"
	}
	return n, data, status, true
}

func (s *Server) block(w http.ResponseWriter, r *http.Request) {
	_, _, status, ok := s.find(w, r)
	if !ok {
		return
	}
	st := map[string]any{"status": status}
	if status == "finished" {
		st["confidence"] = 99.90234375
	}
	answer(w, st)
}

func (s *Server) header(w http.ResponseWriter, r *http.Request) {
	n, data, status, ok := s.find(w, r)
	if !ok {
		return
	}
	switch status {
	case "unavailable", "pending", "verifying-header":
		http.Error(w, "Block header is not available", http.StatusBadRequest)
		return
	}
	zero := "0x" + strings.Repeat("00", 32)
	answer(w, map[string]any{
		"hash": hash(n), "parent_hash": hash(n - 1), "number": n, "state_root": zero, "extrinsics_root": zero,
		"extension": map[string]any{
			"rows": len(data), "cols": 4, "data_root": zero, "commitments": []string{},
			"app_lookup": map[string]any{"size": len(data), "index": []any{}},
		},
		"digest": map[string]any{"logs": []any{}}, "received_at": 1737039274 + int64(n),
	})
}

func hash(n uint32) string { return fmt.Sprintf("0x%064x", n) }

func (s *Server) data(w http.ResponseWriter, r *http.Request) {
	n, data, status, ok := s.find(w, r)
	if !ok {
		return
	}
	s.mu.Lock()
	lightly := s.lightly
	s.mu.Unlock()
	switch {
	case lightly:
		http.Error(w, "Not Found", http.StatusNotFound)
		return
	case status == "incomplete":
		data = nil
	case status != "finished":
		http.Error(w, "Block data is not available", http.StatusBadRequest)
		return
	}
	fields := r.URL.Query().Get("fields")
	type tx struct {
		Data      []byte `json:"data,omitempty"`
		Extrinsic []byte `json:"extrinsic,omitempty"`
	}
	txs := []tx{}
	for _, d := range data {
		var t tx
		if fields == "" || strings.Contains(fields, "data") {
			t.Data = d
		}
		if strings.Contains(fields, "extrinsic") {
			t.Extrinsic = append([]byte("signed "), d...)
		}
		txs = append(txs, t)
	}
	answer(w, map[string]any{"block_number": n, "data_transactions": txs})
}

func (s *Server) submit(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Data []byte `json:"data"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBodyBytes)).Decode(&body); err != nil {
		http.Error(w, "Request body deserialize error: "+err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	lightly, refuse, lose := s.lightly, s.refuse > 0, s.refuse == 0 && s.lose > 0
	if refuse {
		s.refuse--
	}
	if lose {
		s.lose--
	}
	s.mu.Unlock()
	switch {
	case lightly:
		http.Error(w, "Not Found", http.StatusNotFound)
		return
	case refuse, len(body.Data) == 0, len(body.Data) > 1<<20: // the chain refuses such a transaction, and the API says no more
		http.Error(w, "Internal Server Error", http.StatusInternalServerError)
		return
	}
	n := s.Post(body.Data)
	if lose || n == 0 {
		http.Error(w, "Internal Server Error", http.StatusInternalServerError)
		return
	}
	answer(w, map[string]any{"block_number": n, "block_hash": hash(n), "hash": hash(n + 1<<16), "index": 1})
}
