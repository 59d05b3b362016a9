package ordorpc

import "testing"

// TestFiltersKeepTheNewest: what is remembered is bounded, and so are the filters.
func TestFiltersKeepTheNewest(t *testing.T) {
	t.Parallel()
	var f filters
	id, err := f.make()
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxPolled + 100 {
		f.tell(Hash{byte(i), byte(i >> 8)})
	}
	last := maxPolled + 99
	if got, ok := f.changes(id); !ok || len(got) != maxPolled || got[maxPolled-1] != (Hash{byte(last), byte(last >> 8)}) {
		t.Errorf("%d changes, %v", len(got), ok)
	}
	for range maxFilters - 1 {
		if _, err := f.make(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.make(); err == nil {
		t.Error("one filter too many is made")
	}
	if !f.remove(id) || f.remove(id) {
		t.Error("a filter is not taken away once")
	}
	if _, err := f.make(); err != nil {
		t.Error(err)
	}
}
