// Package proto holds the definitions of the services and messages below this folder, for
// programs that read them as they run.
package proto

import "embed"

// Files are the definitions, in the folders by which they import each other.
//
//go:embed astria/*/*/*.proto ordo/*/*/*.proto
var Files embed.FS
