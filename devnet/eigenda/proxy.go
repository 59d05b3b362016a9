package eigenda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ordo-network/ordo/internal/subprocess"
)

// Options of a proxy. Zero values stand for the defaults.
type Options struct {
	// Dir is the proxy's working directory; it is made where it is missing.
	Dir string
	// Binary is the proxy's, with its points beside it; by default that of Binary.
	Binary string
	// Log takes what the proxy says, one JSON object per line.
	Log io.Writer
	// Port to listen on, on loopback; by default one that is free.
	Port int
	// V2 makes the proxy store by EigenDA's protocol V2 and not V1, which is the proxy's
	// own default: certificates are twice as long then, and the start takes 3 s of two
	// cores for each MiB of MaxBlobBytes.
	V2 bool
	// MaxBlobBytes bounds an encoded blob: a power of two, 16 MiB by default, which is
	// EigenDA's own limit.
	MaxBlobBytes int
}

// DefaultMaxBlobBytes is EigenDA's limit of an encoded blob.
const DefaultMaxBlobBytes = 16 << 20

const (
	stopGrace  = 5 * time.Second
	pollHealth = 20 * time.Millisecond
)

// Proxy is a running eigenda-proxy. What was put into it is gone when it ends.
type Proxy struct {
	endpoint string
	cancel   context.CancelFunc
	done     chan struct{}
	err      error // set before done is closed
	pid      atomic.Int64
}

// Start starts a proxy and returns once it answers: after 2 s with the defaults. Where
// ctx ends before that, the proxy is stopped and the error is ctx's; afterwards ctx
// has no say.
func Start(ctx context.Context, o Options) (*Proxy, error) {
	if o.Binary == "" {
		var err error
		if o.Binary, err = Binary(ctx); err != nil {
			return nil, err
		}
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	args, err := Args(o)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("start eigenda-proxy: %w", err)
	}
	life, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(life, o.Binary, args...)
	cmd.Dir = o.Dir
	cmd.Env = environment()
	cmd.SysProcAttr = subprocess.Attributes()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopGrace
	listening := make(chan string, 1)
	log := subprocess.NewLog(o.Log, func(line []byte) { look(line, listening) })
	cmd.Stdout, cmd.Stderr = log, log
	p := &Proxy{cancel: cancel, done: make(chan struct{})}
	go p.run(cmd, log)
	if err := p.wait(ctx, listening); err != nil {
		_ = p.Stop() // err says more
		return nil, fmt.Errorf("start eigenda-proxy: %w", err)
	}
	return p, nil
}

// Args returns the arguments that the proxy is started with, for those who keep the
// process themselves. Port 0 lets the system choose one.
func Args(o Options) ([]string, error) {
	if o.MaxBlobBytes == 0 {
		o.MaxBlobBytes = DefaultMaxBlobBytes
	}
	if n := o.MaxBlobBytes; n < 1024 || n > DefaultMaxBlobBytes || n&(n-1) != 0 {
		return nil, fmt.Errorf("eigenda-proxy: at most %d bytes in a blob: must be a power of two from 1024 to %d", n, DefaultMaxBlobBytes)
	}
	binary, err := filepath.Abs(o.Binary)
	if err != nil {
		return nil, fmt.Errorf("eigenda-proxy: %w", err)
	}
	point := func(i int) string { return filepath.Join(filepath.Dir(binary), points[i]) }
	backend, limit := "V1", strconv.Itoa(o.MaxBlobBytes)+"B"
	if o.V2 {
		backend = "V2"
	}
	// The in-memory backend connects to nobody, yet V2's addresses must be there: these
	// lead nowhere.
	const nowhere, nobody = "127.0.0.1:1", "0x0000000000000000000000000000000000000000"
	return []string{
		"--addr", "127.0.0.1", "--port", strconv.Itoa(o.Port),
		"--log.format", "json",
		"--memstore.enabled", "--memstore.expiration", "0", // until the process ends
		"--storage.backends-to-enable", backend, "--storage.dispersal-backend", backend,
		"--eigenda.max-blob-length", limit, "--eigenda.v2.max-blob-length", limit,
		"--eigenda.g1-path", point(0), "--eigenda.g2-path", point(1), "--eigenda.g2-path-trailing", point(2),
		"--eigenda.v2.disperser-rpc", nowhere, "--eigenda.v2.cert-verifier-addr", nobody,
		"--eigenda.v2.service-manager-addr", nobody, "--eigenda.v2.bls-operator-state-retriever-addr", nobody,
	}, nil
}

// environment is ours without the proxy's settings: a flag that is not given here could
// send a devnet's data out.
func environment() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "EIGENDA_PROXY_") && !strings.HasPrefix(v, "MEMSTORE_") && !strings.HasPrefix(v, "ENV_PATH=") {
			env = append(env, v)
		}
	}
	return env
}

// run runs the process to its end.
func (p *Proxy) run(cmd *exec.Cmd, log *subprocess.Log) {
	// The kernel kills the child when the thread that started it ends, see
	// subprocess.Attributes: this thread must live as long as the child.
	runtime.LockOSThread()
	defer close(p.done)
	err := cmd.Start()
	if err == nil {
		p.pid.Store(int64(cmd.Process.Pid))
		err = cmd.Wait()
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		p.err = fmt.Errorf("%w: %s", err, log.Last())
	}
}

// wait waits until the proxy answers.
func (p *Proxy) wait(ctx context.Context, listening <-chan string) error {
	select {
	case address := <-listening:
		p.endpoint = "http://" + address
	case <-p.done:
		return p.gone()
	case <-ctx.Done():
		return ctx.Err()
	}
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		if p.healthy(ctx, client) {
			return nil
		}
		select {
		case <-time.After(pollHealth):
		case <-p.done:
			return p.gone()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *Proxy) gone() error {
	if p.err != nil {
		return p.err
	}
	return errors.New("it ended by itself")
}

func (p *Proxy) healthy(ctx context.Context, client *http.Client) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.endpoint+"/health", nil)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
}

// Endpoint is the URL of the proxy's REST API.
func (p *Proxy) Endpoint() string { return p.endpoint }

// PID is the process ID.
func (p *Proxy) PID() int { return int(p.pid.Load()) }

// Done is closed when the process has ended, by Stop or by itself.
func (p *Proxy) Done() <-chan struct{} { return p.done }

// Stop ends the process and returns when it is gone. Its error is that of a process
// that had ended badly. It may be called again.
func (p *Proxy) Stop() error {
	p.cancel()
	<-p.done
	return p.err
}

// look looks in the log for the address that the proxy got.
func look(line []byte, listening chan<- string) {
	var entry struct{ Msg, Endpoint string }
	if json.Unmarshal(line, &entry) == nil && entry.Msg == "Starting DA server" && entry.Endpoint != "" {
		select {
		case listening <- entry.Endpoint:
		default:
		}
	}
}
