package domain

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/internal/pebblelog"
)

// Entry is what a domain is about to make: the members' next blocks, with the verdicts on
// their legs, in the members' order.
type Entry struct {
	Parents []execution.Hash
	Blocks  []execution.Block
}

// Journal keeps the last entry.
type Journal interface {
	// Put replaces the last entry. When it returns, the entry is on disk.
	Put(Entry) error
	// Last returns the last entry, if there is one.
	Last() (Entry, bool, error)
}

// Store is a Journal in a directory of its own.
type Store struct {
	db   *pebble.DB
	once sync.Once
}

var _ Journal = (*Store)(nil)

var keyLast = []byte("last")

// OpenStore opens the journal in the directory, and makes it where there is none.
func OpenStore(dir string) (*Store, error) {
	db, err := pebble.Open(dir, &pebble.Options{Logger: pebblelog.Quiet("domain journal")})
	if err != nil {
		return nil, fmt.Errorf("open the domain's journal in %s: %w", dir, err)
	}
	return &Store{db: db}, nil
}

// Put implements Journal.
func (s *Store) Put(e Entry) error {
	var buf bytes.Buffer
	if err := gob.NewEncoder(&buf).Encode(e); err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return s.db.Set(keyLast, buf.Bytes(), pebble.Sync)
}

// Last implements Journal.
func (s *Store) Last() (e Entry, ok bool, err error) {
	raw, closer, err := s.db.Get(keyLast)
	if errors.Is(err, pebble.ErrNotFound) {
		return Entry{}, false, nil
	}
	if err != nil {
		return Entry{}, false, fmt.Errorf("read the domain's journal: %w", err)
	}
	err = gob.NewDecoder(bytes.NewReader(raw)).Decode(&e)
	if err := errors.Join(err, closer.Close()); err != nil {
		return Entry{}, false, fmt.Errorf("read the domain's journal: %w", err)
	}
	return e, true, nil
}

// Close closes the journal. Idempotent.
func (s *Store) Close() (err error) {
	s.once.Do(func() { err = s.db.Close() })
	return err
}
