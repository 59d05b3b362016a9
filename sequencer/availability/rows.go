package availability

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
)

// row is a message that stands in the store under one key.
type row interface {
	Marshal() ([]byte, error)
	Unmarshal([]byte) error
}

// get reads the message at the key, or reports that there is none.
func (k Keeper) get(ctx context.Context, key []byte, m row) (bool, error) {
	raw, err := k.store.OpenKVStore(ctx).Get(key)
	if err != nil {
		return false, fmt.Errorf("read %x: %w", key, err)
	}
	if raw == nil {
		return false, nil
	}
	if err := m.Unmarshal(raw); err != nil {
		return false, fmt.Errorf("decode %x: %w", key, err)
	}
	return true, nil
}

// set writes the message at the key.
func (k Keeper) set(ctx context.Context, key []byte, m row) error {
	raw, err := m.Marshal()
	if err != nil {
		return fmt.Errorf("encode %x: %w", key, err)
	}
	return k.store.OpenKVStore(ctx).Set(key, raw)
}

// number reads the number at the key; 0 where there is none.
func (k Keeper) number(ctx context.Context, key []byte) (uint64, error) {
	raw, err := k.store.OpenKVStore(ctx).Get(key)
	switch {
	case err != nil:
		return 0, fmt.Errorf("read %x: %w", key, err)
	case raw == nil:
		return 0, nil
	case len(raw) != 8:
		return 0, fmt.Errorf("read %x: %d bytes, want 8", key, len(raw))
	}
	return binary.BigEndian.Uint64(raw), nil
}

// setNumber writes the number at the key.
func (k Keeper) setNumber(ctx context.Context, key []byte, n uint64) error {
	return k.store.OpenKVStore(ctx).Set(key, binary.BigEndian.AppendUint64(nil, n))
}

// errEnough ends a scan without an error.
var errEnough = errors.New("enough")

// scan calls yield for each key from start on and before end, in order. The store must not
// be written to meanwhile.
func (k Keeper) scan(ctx context.Context, start, end []byte, yield func(key, value []byte) error) (err error) {
	it, err := k.store.OpenKVStore(ctx).Iterator(start, end)
	if err != nil {
		return fmt.Errorf("read from %x: %w", start, err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ; it.Valid(); it.Next() {
		if err := yield(it.Key(), it.Value()); errors.Is(err, errEnough) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// endOf returns the first key after all that begin with the prefix; nil: there is none.
func endOf(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}
