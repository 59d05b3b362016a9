// Command kv is a whole rollup: a key-value store that proves its answers against a block's
// hash. A transaction is {"key":"k","version":1,"value":"v"}; each version follows the last.
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"log"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"time"

	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/iavl"
	iavldb "github.com/cosmos/iavl/db"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/rollup"
)

func main() {
	home := flag.String("home", "kv", "directory of the node, laid out by `ordo rollup init --mode go`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	vm, err := open(filepath.Join(*home, "data", "kv"))
	if err == nil {
		err = rollup.RunWith(ctx, *home, rollup.Options{Version: "kv", Client: vm, Handler: vm})
	}
	if err != nil {
		log.Fatal(err)
	}
}

// What a block may cost is bounded by rules of the chain.
const maxWrites, maxBytes = 1000, 1024

// kv executes the rollup. Version n of the Merkle tree is the state after block n, with the
// block itself in it, and its root is the block's hash.
type kv struct {
	mu   sync.Mutex
	db   dbm.DB // holds the tree; beside it, behind a zero, what was made of each block
	tree *iavl.MutableTree
	at   execution.Session // where the rollup stands
	err  error             // once it is closed
}

func open(dir string) (*kv, error) {
	db, err := dbm.NewGoLevelDB("kv", dir, nil)
	if err != nil {
		return nil, err
	}
	// A block reaches the disk before Execute returns, and in one piece: it is smaller than that.
	s := &kv{db: db, tree: iavl.NewMutableTree(iavldb.NewWrapper(db), 10_000, true, iavl.NewNopLogger(), iavl.FlushThresholdOption(8<<20), iavl.SyncOption(true))}
	_, err = s.tree.Load()
	soft, _, noSoft := s.made(s.tree.Hash())
	hash, noHash := db.Get([]byte("\x00firm"))
	firm, _, noFirm := s.made(hash)
	s.at = execution.Session{Soft: soft.Head, Firm: firm.Head}
	return s, errors.Join(err, noSoft, noHash, noFirm)
}

// made returns what was made of the block of a hash, and of how many transactions; zeros where there is none.
func (s *kv) made(hash []byte) (res execution.Result, of int, err error) {
	raw, err := s.db.Get(append([]byte{0}, hash...))
	_ = json.Unmarshal(raw, &[]any{&res, &of}) // what Execute put there, or nothing
	return res, of, err
}

// Open implements execution.Client.
func (s *kv) Open(context.Context) (execution.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at, s.err
}

// Execute implements execution.Client. It skips what is no write that follows the last.
func (s *kv) Execute(_ context.Context, parent execution.Hash, b execution.Block) (res execution.Result, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return res, s.err
	} else if parent != s.at.Soft.Hash {
		return res, execution.ErrParent
	} else if b.Height <= s.at.Soft.Height {
		return res, execution.ErrHeight
	}
	defer s.tree.Rollback() // what is not saved
	for i, tx := range b.Transactions {
		var was, now struct {
			Key     string
			Version uint64
		}
		bad := json.Unmarshal(tx, &now)
		raw, err := s.tree.Get([]byte("key/" + now.Key))
		if err != nil {
			return res, err
		}
		_ = json.Unmarshal(raw, &was) // or version 0
		if full := i-len(res.Skipped) == maxWrites; bad != nil || len(tx) > maxBytes || now.Version != was.Version+1 || full {
			res.Skipped = append(res.Skipped, execution.Skipped{Index: i, Reason: "not a short write of the next version, or the block is full", Retry: full})
		} else if _, err := s.tree.Set([]byte("key/"+now.Key), tx); err != nil {
			return res, err
		}
	}
	res.Head = execution.Head{Number: s.at.Soft.Number + 1, Height: b.Height, Time: slices.MaxFunc([]time.Time{s.at.Soft.Time, b.Time.UTC()}, time.Time.Compare)}
	block, _ := json.Marshal([]any{res.Head, parent, b.Hash}) // numbers and hashes: it cannot fail
	_, err = s.tree.Set([]byte("block"), block)
	res.Head.Hash = execution.Hash(s.tree.WorkingHash())
	raw, _ := json.Marshal([]any{res, len(b.Transactions)})
	if err = errors.Join(err, s.db.Set(append([]byte{0}, res.Head.Hash[:]...), raw)); err != nil {
		return res, err
	}
	if _, _, err = s.tree.SaveVersion(); err == nil {
		s.at.Soft = res.Head
	}
	return res, err
}

// Recall implements execution.Recaller, for a node that was killed before it noted a result.
func (s *kv) Recall(_ context.Context, b execution.Block) (execution.Result, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, of, err := s.made(s.at.Soft.Hash[:])
	return last, last.Head.Height == b.Height && of == len(b.Transactions), err
}

// SetFirm implements execution.Client.
func (s *kv) SetFirm(_ context.Context, hash execution.Hash) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || hash == s.at.Firm.Hash {
		return s.err
	}
	firm, _, err := s.made(hash[:])
	if n := firm.Head.Number; n == 0 || n < s.at.Firm.Number || n > s.at.Soft.Number {
		return errors.Join(execution.ErrFirm, err)
	}
	s.at.Firm = firm.Head
	return s.db.SetSync([]byte("\x00firm"), hash[:]) // lost in a crash, it is set again
}

// Close implements execution.Client.
func (s *kv) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil
	}
	s.err = errors.New("the store is closed")
	return errors.Join(s.tree.Close(), s.db.Close())
}

// ServeHTTP answers GET /vm/<key> with the key's last write and its ICS-23 proof.
func (s *kv) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		http.Error(w, s.err.Error(), http.StatusServiceUnavailable)
		return
	}
	proof, err := s.tree.GetMembershipProof([]byte("key" + r.URL.Path))
	if err != nil {
		http.Error(w, "no such key", http.StatusNotFound)
		return
	}
	raw, _ := proof.Marshal() // it was made here
	_ = json.NewEncoder(w).Encode(map[string]any{"write": json.RawMessage(proof.GetExist().Value), "number": s.at.Soft.Number, "hash": hex.EncodeToString(s.at.Soft.Hash[:]), "proof": raw})
}
