package remote

import (
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
	return DecodeList(raw, MaxElements, (*[]T)(l))
}

// DecodeList decodes a JSON array of at most so many elements; null is an empty one.
func DecodeList[T any](raw []byte, most int, list *[]T) error {
	if commas(raw) >= most {
		return fmt.Errorf("an array of more than %d elements", most)
	}
	return json.Unmarshal(raw, list)
}

// commas counts those between the elements of the outermost array.
func commas(raw []byte) int {
	n, depth, quoted := 0, 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case quoted && c == '\\':
			i++ // what is escaped ends no string
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			depth--
		case c == ',' && depth == 1:
			n++
		}
	}
	return n
}
