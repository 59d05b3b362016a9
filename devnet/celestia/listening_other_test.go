//go:build !linux

package celestia

import "testing"

func listening(t *testing.T, _ int) []string {
	t.Helper()
	t.Log("this system does not tell who listens where")
	return nil
}
