//go:build wasip1

// Command guest is the rules of the WebAssembly rollup, and nothing else. It sees a transaction and
// the store; it has no clock, no randomness, no files, and keeps nothing from one block to the
// next but what it writes to the store. It must use no floats: the bits of a NaN may differ
// from machine to machine.
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -buildvcs=false -o guest.wasm ./guest
package main

import "encoding/json"

// write is a transaction: {"key":"k","version":1,"value":"v"}. Each version follows the last.
type write struct {
	Key     string
	Version uint64
}

// apply is called for each transaction, of that many bytes. True says that it is applied;
// whatever it wrote before false, or before it traps, is undone.
//
//go:wasmexport apply
func apply(size uint32) bool {
	tx := make([]byte, size+1)
	input(&tx[0], size)
	var was, now write
	if err := json.Unmarshal(tx[:size], &now); err != nil {
		refuse("not a write: " + err.Error())
		return false
	}
	old := make([]byte, 1<<10)
	if n := get(now.Key, &old[0], uint32(len(old))); n >= 0 {
		_ = json.Unmarshal(old[:n], &was)
	}
	if now.Version != was.Version+1 {
		refuse("not the next version of its key")
		return false
	}
	set(now.Key, string(tx[:size]))
	return true
}

// input copies the transaction to the guest.
//
//go:wasmimport ordo input
func input(into *byte, size uint32)

// get copies the value of the key, at most size bytes of it, and tells its length; or -1.
//
//go:wasmimport ordo get
func get(key string, into *byte, size uint32) int32

// set writes to the store.
//
//go:wasmimport ordo set
func set(key, value string)

// refuse says why the transaction is not applied.
//
//go:wasmimport ordo refuse
func refuse(reason string)

func main() {} // never called: the guest is a library
