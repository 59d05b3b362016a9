package dispersal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ordo-network/ordo/internal/replace"
)

const sessionFile = "lane_session"

// readSession returns the last session that was begun, 0 where none was.
func readSession(dir string) (uint64, error) {
	path := filepath.Join(dir, sessionFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read lane session: %w", err)
	}
	session, err := strconv.ParseUint(strings.TrimSuffix(string(raw), "\n"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s holds %q, want the number of the lane's last session; restore it from a backup, or write a greater number than any before",
			path, raw)
	}
	return session, nil
}

// writeSession makes the number durable before a batch of that session is signed.
func writeSession(dir string, session uint64) error {
	// Crash before it is durable: the old number is there, and nothing of the new session
	// was signed. After it: the next start takes the number after this one.
	if err := write(dir, sessionFile, strconv.FormatUint(session, 10)+"\n"); err != nil {
		return fmt.Errorf("write lane session: %w", err)
	}
	return nil
}

// write makes a file's content durable, in a folder that may not be there yet.
func write(dir, name, content string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return replace.File(filepath.Join(dir, name), []byte(content), 0o644)
}
