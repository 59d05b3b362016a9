// Package examples holds the sources of the examples below this folder, which are the
// templates of new projects, too: see package scaffold.
package examples

import "embed"

// Files are the sources, in one folder for each example.
//
//go:embed go ts/*.ts ts/package.json ts/package-lock.json ts/tsconfig.json wasm/*.go wasm/*/*
var Files embed.FS
