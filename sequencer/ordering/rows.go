package ordering

import (
	"context"
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

// each calls yield for each key with the prefix, in order. The store must not be
// written to meanwhile.
func (k Keeper) each(ctx context.Context, prefix []byte, yield func(key, value []byte) error) error {
	return k.scan(ctx, prefix, []byte{prefix[0] + 1}, yield)
}

// scan is like each, for the keys from start on and before end.
func (k Keeper) scan(ctx context.Context, start, end []byte, yield func(key, value []byte) error) (err error) {
	it, err := k.store.OpenKVStore(ctx).Iterator(start, end)
	if err != nil {
		return fmt.Errorf("read from %x: %w", start, err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ; it.Valid(); it.Next() {
		if err := yield(it.Key(), it.Value()); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes the keys.
func (k Keeper) remove(ctx context.Context, keys [][]byte) error {
	kv := k.store.OpenKVStore(ctx)
	for _, key := range keys {
		if err := kv.Delete(key); err != nil {
			return fmt.Errorf("delete %x: %w", key, err)
		}
	}
	return nil
}
