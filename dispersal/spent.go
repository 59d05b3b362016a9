package dispersal

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/order"
)

// spentFile says how far each lane was attested here. It stands in for records that were
// pruned, so that no position is attested a second time.
const spentFile = "lanes_attested"

// readSpent returns what was written last; nothing where nothing was.
func readSpent(dir string) (map[order.Owner]lane.Spent, error) {
	all := make(map[order.Owner]lane.Spent)
	path := filepath.Join(dir, spentFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read how far lanes were attested: %w", err)
	}
	for line := range strings.Lines(string(raw)) {
		s, err := parseSpent(line)
		if err != nil {
			return nil, fmt.Errorf("%s has the line %q, want owner, session, sequence and clock; restore it from a backup, "+
				"or keep the node stopped for two epochs of the chain and remove the file: %w", path, strings.TrimSuffix(line, "\n"), err)
		}
		all[s.Owner] = s
	}
	return all, nil
}

func parseSpent(line string) (s lane.Spent, err error) {
	var owner string
	if _, err := fmt.Sscanf(line, "%s %d %d %d\n", &owner, &s.Session, &s.Sequence, &s.Clock); err != nil {
		return s, err
	}
	raw, err := hex.DecodeString(owner)
	if err == nil {
		s.Owner, err = order.OwnerFromBytes(raw)
	}
	if err == nil && line != formatSpent(s) {
		err = errors.New("not as it is written")
	}
	return s, err
}

func formatSpent(s lane.Spent) string {
	return fmt.Sprintf("%x %d %d %d\n", s.Owner[:], s.Session, s.Sequence, s.Clock)
}

// writeSpent makes it durable.
func writeSpent(dir string, all []lane.Spent) error {
	var content strings.Builder
	for _, s := range all {
		content.WriteString(formatSpent(s))
	}
	if err := write(dir, spentFile, content.String()); err != nil {
		return fmt.Errorf("write how far lanes were attested: %w", err)
	}
	return nil
}
