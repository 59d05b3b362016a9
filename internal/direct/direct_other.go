//go:build !linux

package direct

import "github.com/cockroachdb/pebble/v2/vfs"

// Elsewhere files are written and read through the cache.

func set(vfs.File) bool   { return false }
func unset(vfs.File) bool { return false }
