// Package subprocess has what every process needs that is started and kept by another: what
// ties its life to that of its parent, and an eye on its log.
//
// What always holds: Ctrl-C in a terminal reaches the parent alone, which stops its
// children in order.
package subprocess
