package shard

import (
	"crypto/sha256"
	"fmt"
)

// Cut returns the first shards of a share, with their own proof: what is left out comes
// back as nodes of the tree. The share has been verified for a batch of that many bytes.
// The result aliases its shards. Errors: ErrShare for a count that it does not have.
func (l *Layout) Cut(batchBytes int, s *Share, count int) (*Share, error) {
	if err := checkLength(batchBytes); err != nil {
		return nil, err
	}
	size := l.ShardSize(batchBytes)
	run := Range{First: s.First, Count: len(s.Shards) / size}
	if err := l.checkRun(run); err != nil {
		return nil, err
	}
	if count < 1 || count > run.Count {
		return nil, fmt.Errorf("cut %d shards of %d: %w", count, run.Count, ErrShare)
	}
	row := make([]Hash, 0, run.Count+2) // nodes that are known, from first to last
	for i := range run.Count {
		row = append(row, leaf(s.Shards[i*size:(i+1)*size]))
	}
	out := &Share{First: s.First, Shards: s.Shards[: count*size : count*size]}
	given := s.Proof
	first, last, kept := run.First, run.First+run.Count-1, run.First+count-1
	for width := l.total; width > 1; width = (width + 1) / 2 {
		left, right := first%2 == 1, last%2 == 0 && last+1 < width
		for _, sibling := range []struct {
			there bool
			put   func(Hash)
		}{
			{left, func(h Hash) { row, first = append([]Hash{h}, row...), first-1 }},
			{right, func(h Hash) { row, last = append(row, h), last+1 }},
		} {
			if !sibling.there {
				continue
			}
			if len(given) < sha256.Size {
				return nil, fmt.Errorf("cut shards from %d: %w: %w", run.First, errPath, ErrShare)
			}
			sibling.put(Hash(given[:sha256.Size]))
			given = given[sha256.Size:]
		}
		if left {
			out.Proof = append(out.Proof, row[0][:]...)
		}
		if kept%2 == 0 && kept+1 < width {
			out.Proof = append(out.Proof, row[kept+1-first][:]...)
		}
		above := row[:0]
		for i := 0; i < len(row); i += 2 {
			if i+1 < len(row) {
				above = append(above, hashNode(&row[i], &row[i+1]))
			} else {
				above = append(above, row[i])
			}
		}
		row, first, last, kept = above, first/2, last/2, kept/2
	}
	return out, nil
}
