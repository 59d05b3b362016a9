package subprocess

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestLogShowsLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	var lines []string
	log := NewLog(&out, func(line []byte) { lines = append(lines, string(line)) })
	for _, part := range []string{"star", "ting\nat port 7\nno", "t yet ended"} {
		if _, err := io.WriteString(log, part); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(lines, []string{"starting", "at port 7"}) || log.Last() != "not yet ended" {
		t.Errorf("lines %q, the last %q", lines, log.Last())
	}
	if _, err := io.WriteString(log, "\n"); err != nil || log.Last() != "not yet ended" {
		t.Errorf("the last whole line is %q, %v", log.Last(), err)
	}
	if got := out.String(); got != "starting\nat port 7\nnot yet ended\n" {
		t.Errorf("passed on: %q", got)
	}
}

// A process that never ends its line does not fill its parent's memory.
func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	var passed int
	log := NewLog(counter{&passed}, func([]byte) {})
	for range 100 {
		_, _ = io.WriteString(log, strings.Repeat("x", maxLine/10))
	}
	if len(log.Last()) != maxLine || passed != 100*(maxLine/10) {
		t.Errorf("%d bytes are kept and %d passed on, want %d and %d", len(log.Last()), passed, maxLine, 100*(maxLine/10))
	}
}

type counter struct{ n *int }

func (c counter) Write(b []byte) (int, error) {
	*c.n += len(b)
	return len(b), nil
}
