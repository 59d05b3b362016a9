package remote

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestListIsBounded(t *testing.T) {
	t.Parallel()
	many := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat("{},", n), ",") + "]" }
	for text, want := range map[string]int{
		"null": 0, "[]": 0, " [ 1 , 2 ] ": 2, many(MaxElements): MaxElements,
		`[",,[\",", [1, 2], {"a": [3, 4]}]`: 3, "[" + strings.Repeat("1,", MaxElements-1) + `{"a":[1,2]}]`: MaxElements,
		many(MaxElements + 1): -1, `{}`: -1, `5`: -1, `"x"`: -1, `[1,`: -1, `[1}`: -1, `[1]]`: -1,
	} {
		var got List[any]
		err := json.Unmarshal([]byte(text), &got)
		if want < 0 && err == nil || want >= 0 && (err != nil || len(got) != want) {
			t.Errorf("%.20s: %d elements, %v; want %d", text, len(got), err, want)
		}
	}
}

// A List holds what a slice would hold.
func FuzzList(f *testing.F) {
	for _, text := range []string{`[]`, `null`, `["a","YQ=="]`, `["YQ==",null]`, `[1]`, `{}`, `[[]]`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var list List[[]byte]
		var plain [][]byte
		listErr, plainErr := json.Unmarshal(raw, &list), json.Unmarshal(raw, &plain)
		if (listErr == nil) != (plainErr == nil) || listErr == nil && !slices.EqualFunc(list, plain, slices.Equal) {
			t.Fatalf("%q: %v %v, want %v %v", raw, list, listErr, plain, plainErr)
		}
	})
}
