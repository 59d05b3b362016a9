// Package arch holds the import rules of the project as a test: who may depend on
// whom, and why. It has no code of its own.
package arch
