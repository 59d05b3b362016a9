package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/ordo-network/ordo/execution"
)

// What a transaction and a block may cost is bounded by rules of the chain.
const (
	maxBytes  = 1024   // of a transaction, a key, a value
	maxCalls  = 16     // from the guest to the host, for one transaction
	maxWork   = 10_000 // of a block: a transaction is one, each call is one
	trapWork  = 100    // of a trap: the guest is begun anew
	maxMemory = 512    // of the guest, in pages of 64 KiB
)

// guest is a program for WebAssembly that knows the rollup's rules. Nodes agree because it
// is given nothing that differs between them:
//   - It is the same bytes everywhere: their hash is in every block.
//   - It sees a transaction and the store. WASI is there because Go's runtime asks for it, but
//     without files, arguments and environment, with a clock that counts readings and with
//     random bytes that are always the same (wazero's defaults).
//   - It has one thread, and its memory begins anew with each block.
//   - WebAssembly's floats are exact but for the bits of a NaN. Go's runtime holds some, so that
//     they cannot be refused here; a guest uses none for what it writes.
//
// wazero counts no instructions, so the guest itself must come to an end for every transaction,
// and not recurse deeply: it is a part of the chain, as trusted as this file. If it hangs, it
// hangs on all nodes alike until they are stopped: no clock decides what is applied. Who runs
// programs of strangers puts a count of instructions into their code before it is compiled.
type guest struct {
	hash    execution.Hash
	runtime wazero.Runtime
	code    wazero.CompiledModule
}

// compile makes machine code of the program, or takes it from the cache.
func compile(ctx context.Context, program []byte, cache wazero.CompilationCache) (*guest, error) {
	config := wazero.NewRuntimeConfig().WithMemoryLimitPages(maxMemory).WithCloseOnContextDone(true).WithCompilationCache(cache)
	g := &guest{hash: sha256.Sum256(program), runtime: wazero.NewRuntimeWithConfig(ctx, config)}
	_, err := wasi_snapshot_preview1.Instantiate(ctx, g.runtime)
	if err == nil {
		host := g.runtime.NewHostModuleBuilder("ordo")
		host.NewFunctionBuilder().WithFunc(input).Export("input")
		host.NewFunctionBuilder().WithFunc(get).Export("get")
		host.NewFunctionBuilder().WithFunc(set).Export("set")
		host.NewFunctionBuilder().WithFunc(refuse).Export("refuse")
		_, err = host.Instantiate(ctx)
	}
	if err == nil {
		g.code, err = g.runtime.CompileModule(ctx, program)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("compile the guest: %w", err), g.runtime.Close(ctx))
	}
	return g, nil
}

// call is one transaction at the guest. What it writes counts once it is applied.
type call struct {
	tx     []byte
	store  func(key []byte) ([]byte, error)
	writes [][2][]byte
	calls  int
	reason string
	err    error // of the store: no fault of the transaction
}

type callKey struct{}

// run is the guest through one block.
type run struct {
	*guest
	module api.Module // nil at first, and after a trap
	work   int
}

// apply tells what the transaction writes, or why it is not applied. An error is of this node.
func (r *run) apply(ctx context.Context, c *call) (err error) {
	if r.module == nil {
		config := wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize")
		if r.module, err = r.runtime.InstantiateModule(ctx, r.code, config); err != nil {
			return fmt.Errorf("start the guest: %w", err)
		}
	}
	apply := r.module.ExportedFunction("apply")
	if apply == nil {
		return errors.New("the guest exports no function `apply`")
	}
	applied, trap := apply.Call(context.WithValue(ctx, callKey{}, c), uint64(len(c.tx)))
	r.work += 1 + c.calls
	if err := errors.Join(ctx.Err(), c.err); err != nil {
		return err
	} else if trap != nil {
		c.reason, _, _ = strings.Cut("the guest trapped: "+trap.Error(), "\n")
		r.work += trapWork
		r.close(ctx)
	} else if applied[0] != 0 {
		c.reason = ""
	} else if c.reason == "" {
		c.reason = "refused by the guest"
	}
	return nil
}

func (r *run) close(ctx context.Context) {
	if r.module != nil {
		_ = r.module.Close(ctx) // its memory is all that it has
		r.module = nil
	}
}

// enter begins a call from the guest. To panic in it traps the guest.
func enter(ctx context.Context) *call {
	c := ctx.Value(callKey{}).(*call)
	if c.calls++; c.calls > maxCalls {
		panic(fmt.Errorf("more than %d calls to the host", maxCalls))
	}
	return c
}

func load(m api.Module, at, size uint32) []byte {
	raw, ok := m.Memory().Read(at, size)
	if !ok || size > maxBytes {
		panic(fmt.Errorf("%d bytes at %d: out of bounds, %d at most", size, at, maxBytes))
	}
	return append([]byte{}, raw...)
}

func store(m api.Module, at uint32, raw []byte) {
	if !m.Memory().Write(at, raw) {
		panic(fmt.Errorf("%d bytes at %d: out of bounds", len(raw), at))
	}
}

func input(ctx context.Context, m api.Module, into, size uint32) {
	c := enter(ctx)
	store(m, into, c.tx[:min(int(size), len(c.tx))])
}

func get(ctx context.Context, m api.Module, key, keySize, into, size uint32) int32 {
	c, k := enter(ctx), load(m, key, keySize)
	value, err := c.store(k)
	for _, w := range c.writes { // the last one wins
		if string(w[0]) == string(k) {
			value = w[1]
		}
	}
	if err != nil {
		c.err = err
		panic(err)
	} else if value == nil {
		return -1
	}
	store(m, into, value[:min(int(size), len(value))])
	return int32(len(value))
}

func set(ctx context.Context, m api.Module, key, keySize, value, valueSize uint32) {
	c := enter(ctx)
	c.writes = append(c.writes, [2][]byte{load(m, key, keySize), load(m, value, valueSize)})
}

func refuse(ctx context.Context, m api.Module, reason, size uint32) {
	c := enter(ctx)
	c.reason = strings.ToValidUTF8(string(load(m, reason, size)), "?")
}
