package subprocess

import (
	"bytes"
	"io"
	"sync"
)

// maxLine bounds what is kept of a line.
const maxLine = 64 << 10

// Log is a process's output: it passes everything on, and shows each line.
type Log struct {
	out  io.Writer
	look func(line []byte)

	mu   sync.Mutex
	line []byte // the beginning of the current one
	prev []byte
}

// NewLog returns a log that goes to out. look is called with each line, one after the
// other; it must not block and not keep the line, which is cut off at 64 KiB.
func NewLog(out io.Writer, look func(line []byte)) *Log { return &Log{out: out, look: look} }

// Write implements io.Writer.
func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for rest := b; len(rest) > 0; {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		l.line = append(l.line, line[:min(len(line), maxLine-len(l.line))]...)
		if whole {
			l.look(l.line)
			l.prev, l.line = l.line, nil
		}
		rest = after
	}
	return l.out.Write(b)
}

// Last returns the last line, where a process says why it ends.
func (l *Log) Last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.line) > 0 {
		return string(l.line)
	}
	return string(l.prev)
}
