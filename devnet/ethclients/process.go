package ethclients

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ordo-network/ordo/internal/subprocess"
)

// Options of a client. Zero values stand for the defaults.
type Options struct {
	// Program is the client to run.
	Program Program
	// Dir takes the client's chain and its secret; it is made where it is missing. A
	// client that is started on it again goes on with that chain.
	Dir string
	// Genesis is the JSON that a chain is made from where there is none yet.
	Genesis []byte
	// Binary is the program's, by default that of Program.Binary.
	Binary string
	// EnginePort and RPCPort to listen on, on loopback; by default ones that are free.
	EnginePort, RPCPort int
	// Log takes what the client says, one JSON object per line.
	Log io.Writer
}

// stopGrace is long, because a client writes its state when it is stopped.
const stopGrace = 20 * time.Second

// Process is a running client.
type Process struct {
	options Options
	engine  string // host:port
	rpc     string
	cancel  context.CancelFunc
	done    chan struct{}
	err     error // set before done is closed
	pid     atomic.Int64
}

// Start starts a client and returns once it answers. Where ctx ends before that, the
// client is stopped and the error is ctx's; afterwards ctx has no say.
func Start(ctx context.Context, o Options) (*Process, error) {
	p, err := start(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Program.Name, err)
	}
	return p, nil
}

func start(ctx context.Context, o Options) (*Process, error) {
	if o.Binary == "" {
		var err error
		if o.Binary, err = o.Program.Binary(); err != nil {
			return nil, err
		}
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	if err := prepare(ctx, o); err != nil {
		return nil, err
	}
	life, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(life, o.Binary, arguments(o)...)
	cmd.SysProcAttr = subprocess.Attributes()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopGrace
	servers := make(chan server, 8)
	log := subprocess.NewLog(o.Log, func(line []byte) { look(line, servers) })
	cmd.Stdout, cmd.Stderr = log, log
	p := &Process{options: o, cancel: cancel, done: make(chan struct{})}
	go p.run(cmd, log)
	if err := p.wait(ctx, servers); err != nil {
		_ = p.Stop() // err says more
		return nil, err
	}
	return p, nil
}

// prepare makes the chain and the secret where they are missing.
func prepare(ctx context.Context, o Options) error {
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return err
	}
	if _, err := os.Stat(secretFile(o.Dir)); errors.Is(err, os.ErrNotExist) {
		var secret [32]byte
		_, _ = rand.Read(secret[:]) // never fails
		if err := os.WriteFile(secretFile(o.Dir), []byte(hex.EncodeToString(secret[:])), 0o600); err != nil {
			return err
		}
	}
	if _, err := os.Stat(filepath.Join(o.Dir, "geth")); err == nil {
		return nil
	}
	genesis := filepath.Join(o.Dir, "genesis.json")
	if err := os.WriteFile(genesis, o.Genesis, 0o644); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, o.Binary, "init", "--datadir", o.Dir, "--state.scheme", "hash", genesis).CombinedOutput()
	if err != nil {
		_ = os.RemoveAll(filepath.Join(o.Dir, "geth")) // no chain was made, so try again next time
		return fmt.Errorf("make the chain from its genesis: %w: %s", err, lastLine(out))
	}
	return nil
}

func secretFile(dir string) string { return filepath.Join(dir, "jwt.hex") }

// arguments keep a client to itself, small, and to what it is told by the Engine API. It
// writes the state of each block: one that does not, and is killed before it has written
// any, believes to be in the middle of a snap sync and waits for peers for ever.
func arguments(o Options) []string {
	return []string{
		"--state.scheme", "hash", "--gcmode", "archive",
		"--datadir", o.Dir, "--log.format", "json",
		"--nodiscover", "--maxpeers", "0", "--port", "0", "--nat", "none", "--ipcdisable",
		"--syncmode", "full", "--cache", "128",
		"--authrpc.addr", "127.0.0.1", "--authrpc.port", strconv.Itoa(o.EnginePort), "--authrpc.jwtsecret", secretFile(o.Dir),
		"--http", "--http.addr", "127.0.0.1", "--http.port", strconv.Itoa(o.RPCPort), "--http.api", "eth,net,web3,debug",
	}
}

// run runs the process to its end.
func (p *Process) run(cmd *exec.Cmd, log *subprocess.Log) {
	// The kernel kills the child when the thread that started it ends, see
	// subprocess.Attributes: this thread must live as long as the child.
	runtime.LockOSThread()
	defer close(p.done)
	err := cmd.Start()
	if err == nil {
		p.pid.Store(int64(cmd.Process.Pid))
		err = cmd.Wait()
	}
	if err != nil && !errors.Is(err, context.Canceled) && !terminated(err) {
		p.err = fmt.Errorf("%w: %s", err, log.Last())
	}
}

// terminated reports whether a process ended by the signal that Stop sends, which takes
// it down at once where it has not yet asked for signals.
func terminated(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGTERM
}

// wait waits until both servers listen.
func (p *Process) wait(ctx context.Context, servers <-chan server) error {
	for p.engine == "" || p.rpc == "" {
		select {
		case s := <-servers:
			if s.auth {
				p.engine = s.address
			} else {
				p.rpc = s.address
			}
		case <-p.done:
			if p.err != nil {
				return p.err
			}
			return errors.New("it ended by itself")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// EngineURL is that of the Engine API.
func (p *Process) EngineURL() string { return "http://" + p.engine }

// RPCURL is that of the public JSON-RPC.
func (p *Process) RPCURL() string { return "http://" + p.rpc }

// SecretFile is the path of the secret that both sides of the Engine API know.
func (p *Process) SecretFile() string { return secretFile(p.options.Dir) }

// PID is the process ID.
func (p *Process) PID() int { return int(p.pid.Load()) }

// Done is closed when the process has ended, by Stop, Kill or by itself.
func (p *Process) Done() <-chan struct{} { return p.done }

// Stop ends the process in order and returns when it is gone. Its error is that of a
// process that had ended badly. It may be called again.
func (p *Process) Stop() error {
	p.cancel()
	<-p.done
	return p.err
}

// Kill ends the process as a crash does and returns when it is gone.
func (p *Process) Kill() {
	if pid := p.PID(); pid != 0 {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may be gone already
	}
	<-p.done
	p.cancel()
}

// Restart starts the client anew, on the same chain and the same ports, after Stop or
// Kill.
func (p *Process) Restart(ctx context.Context) (*Process, error) {
	o := p.options
	o.EnginePort, o.RPCPort = port(p.engine), port(p.rpc)
	return Start(ctx, o)
}

func port(address string) int {
	n, _ := strconv.Atoi(address[bytes.LastIndexByte([]byte(address), ':')+1:]) // the client named it
	return n
}

// server is one that the client said it runs.
type server struct {
	address string
	auth    bool // that of the Engine API
}

// look looks in the log for the addresses that the client got.
func look(line []byte, servers chan<- server) {
	var entry struct {
		Msg, Endpoint string
		Auth          json.RawMessage // true, or "true" of some versions
	}
	if json.Unmarshal(line, &entry) != nil || entry.Msg != "HTTP server started" || entry.Endpoint == "" {
		return
	}
	select {
	case servers <- server{address: entry.Endpoint, auth: bytes.Contains(entry.Auth, []byte("true"))}:
	default:
	}
}

func lastLine(b []byte) []byte {
	b = bytes.TrimSpace(b)
	return b[bytes.LastIndexByte(b, '\n')+1:]
}
