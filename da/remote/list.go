package remote

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// MaxElements bounds a List.
const MaxElements = 1 << 16

// List is a JSON array from the network of at most MaxElements elements; null is an
// empty one. A plain slice of structs takes many times the memory of what it is decoded
// from: {} is two bytes.
type List[T any] []T

// UnmarshalJSON implements json.Unmarshaler.
func (l *List[T]) UnmarshalJSON(raw []byte) error {
	*l = nil
	if string(raw) == "null" {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if open, err := d.Token(); err != nil || open != json.Delim('[') {
		return fmt.Errorf("%.20q is not an array", raw)
	}
	for d.More() {
		if len(*l) == MaxElements {
			return fmt.Errorf("an array of more than %d elements", MaxElements)
		}
		*l = append(*l, *new(T))
		if err := d.Decode(&(*l)[len(*l)-1]); err != nil {
			return fmt.Errorf("element %d: %w", len(*l)-1, err)
		}
	}
	return nil
}
