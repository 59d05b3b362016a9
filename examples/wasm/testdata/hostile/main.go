//go:build wasip1

// A guest that does what a guest must not: what, says the transaction's first byte.
package main

import (
	"crypto/rand"
	"fmt"
	"runtime"
	"time"
)

var seen int // what a guest must not lean on: its memory

//go:wasmexport apply
func apply(size uint32) bool {
	tx := make([]byte, size+1)
	input(&tx[0], size)
	set("written", string(tx[:size]))
	switch tx[0] {
	case 'p':
		panic("no")
	case 'r':
		refuse("no")
		return false
	case 'f':
		return false
	case 'c':
		for {
			set("again", "")
		}
	case 'm':
		hog := make([]byte, 1<<30)
		runtime.KeepAlive(hog)
	case 'b':
		set("big", string(make([]byte, 1025)))
	case 'o':
		outside(0xffff_fff0, 1)
	case 'h':
		for {
			seen++
		}
	case 'd':
		seen++
		dice := make([]byte, 8)
		_, _ = rand.Read(dice)
		set("drawn", fmt.Sprintf("%d %d %x", seen, time.Now().UnixNano(), dice))
	}
	return true
}

//go:wasmimport ordo input
func input(into *byte, size uint32)

//go:wasmimport ordo set
func set(key, value string)

//go:wasmimport ordo refuse
func refuse(reason string)

// outside is input to where the guest has no memory.
//
//go:wasmimport ordo input
func outside(into, size uint32)

func main() {}
