package arch

import (
	"bufio"
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/ordo-network/ordo"

const (
	cosmos   = "github.com/cosmos/cosmos-sdk"
	comet    = "github.com/cometbft/cometbft"
	ethereum = "github.com/ethereum/go-ethereum"
)

// rule forbids imports. A path stands for the package and all below it; one that
// begins with "/" is of this module.
type rule struct {
	name string
	// of are the packages that the rule is about; none stands for all of the module.
	of, except []string
	forbids    []string
	allows     []string // exceptions from forbids
	// deep rules hold for what the imports import, too.
	deep bool
	why  string
}

var rules = []rule{
	{
		name: "order is pure", of: []string{"/order"}, forbids: []string{"/"}, allows: []string{"/order"},
		why: "the rules of the order must be readable, testable and portable by themselves: they may use their own wire types and nothing else of the project",
	},
	{
		name: "order does no I/O", of: []string{"/order"}, forbids: []string{"os", "net", "time", "math/rand", "crypto/rand", "log"},
		allows: []string{"net/netip"},
		why:    "the same input must give the same bytes on every node: no clock, disk, network or randomness",
	},
	{
		name: "shards are pure", of: []string{"/dispersal/shard"}, forbids: []string{"/", "os", "net", "time", "math/rand", "crypto/rand", "log"},
		allows: []string{"/dispersal/shard"},
		why:    "whether a batch is void must be the same for everybody: no clock, disk, network or randomness",
	},
	{
		name: "lanes are pure", of: []string{"/dispersal/lane"}, except: []string{"/dispersal/lane/"},
		forbids: []string{"/", "os", "net", "time", "math/rand", "crypto/rand", "log"},
		allows:  []string{"/order", "/dispersal/shard", "net/netip"},
		why:     "messages and clock readings go in, messages come out: only so can years of bad luck be simulated in seconds, from a seed",
	},
	{
		name: "the shard store keeps bytes", of: []string{"/dispersal/store"}, forbids: []string{"/"}, allows: []string{"/dispersal/store", "/dispersal/shard", "/internal/direct"},
		why: "what must outlive a crash should not change with what it is used for",
	},
	{
		name: "the transport carries frames", of: []string{"/dispersal/transport"}, forbids: []string{"/"}, allows: []string{"/dispersal/transport", "/order"},
		why: "who may connect and how much they may send is decided before anybody looks into a message",
	},
	{
		name: "dispersal does not know the chain", of: []string{"/dispersal"}, forbids: []string{"/", comet}, allows: []string{"/dispersal", "/order", "/internal/direct", "/internal/pause", "/internal/replace"},
		why: "what it needs of the chain it is told as a lane.View; the chain depends on it and not the other way round",
	},
	{
		name: "dispersal is light", of: []string{"/dispersal"}, forbids: []string{cosmos, ethereum}, deep: true,
		why: "it is tested and simulated by itself, and readers use parts of it",
	},
	{
		name: "the Cosmos SDK stays in the sequencer", except: []string{"/sequencer", "/cmd"}, forbids: []string{cosmos},
		why: "the chain is one process among others; whoever reads the order needs its wire types and CometBFT's light client, not the chain's framework",
	},
	{
		name: "go-ethereum stays at the EVM", except: []string{"/execution/evm", "/execution/engine", "/gateway/ethrpc", "/gateway/ordorpc", "/rollup", "/cmd", "/bench", "/test", "/examples"}, forbids: []string{ethereum},
		why: "the order is for rollups of any virtual machine: only what executes or speaks EVM may know it",
	},
	{
		name: "the plain door speaks JSON-RPC and no EVM", of: []string{"/gateway/ordorpc"}, forbids: []string{ethereum},
		allows: []string{ethereum + "/rpc", ethereum + "/common/hexutil"},
		why:    "it serves rollups of any virtual machine: of go-ethereum it uses the JSON-RPC server alone",
	},
	{
		name: "whoever reads or moves the order is light", of: []string{"/follower", "/relayer", "/da", "/gateway", "/keys", "/config", "/internal"},
		except: []string{"/gateway/ethrpc", "/gateway/ordorpc"}, forbids: []string{cosmos, ethereum}, deep: true,
		why: "these packages are for rollups of any kind and for small machines, also through what they import",
	},
	{
		name: "the sequencer executes nothing", of: []string{"/sequencer"},
		forbids: []string{"/execution", "/gateway", "/rollup", "/relayer", ethereum}, deep: true,
		why: "validators order opaque bytes for rollups that they know nothing about",
	},
	{
		name: "the chain's state does not depend on DA layers", of: []string{"/sequencer"},
		except:  []string{"/sequencer/checker", "/sequencer/claims", "/sequencer/node"},
		forbids: []string{"/follower", "/da/"}, deep: true,
		why: "what a DA layer answers differs from validator to validator: it comes into the state by votes alone",
	},
	{
		name: "followers share no code with those whom they check", of: []string{"/follower"},
		forbids: []string{"/sequencer", "/dispersal"}, allows: []string{"/sequencer/v1", "/dispersal/shard"}, deep: true,
		why: "a follower believes signatures and proofs; it speaks the sequencer's wire protocol, rebuilds what is said to be void, and must not depend on its internals",
	},
	{
		name: "seams carry no weight", of: []string{"/execution", "/da"}, except: []string{"/execution/", "/da/"}, forbids: []string{"/", "github.com"},
		why: "an interface that others implement must not bring the dependencies of one implementation",
	},
	{
		name: "nobody imports commands", forbids: []string{"/cmd"}, except: []string{"/cmd"},
		why: "commands put packages together; what two of them need belongs in a package of its own",
	},
	{
		name: "the product does not know its tests", except: []string{"/test", "/internal/arch", "/execution/executiontest", "/da/datest"}, forbids: []string{"testing", "/test"},
		why: "test code must not reach the binary",
	},
}

func TestImports(t *testing.T) {
	t.Parallel()
	imports := load(t)
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			covered := 0
			for pkg := range imports {
				if !r.covers(pkg) {
					continue
				}
				covered++
				if chain := r.breach(imports, pkg); chain != nil {
					t.Errorf("%s\n\twhy not: %s", strings.Join(chain, "\n\timports "), r.why)
				}
			}
			if covered == 0 {
				t.Error("the rule covers no package: its paths are out of date")
			}
		})
	}
}

// load returns what each package imports, those of other modules included, tests
// left out.
func load(t *testing.T) map[string][]string {
	t.Helper()
	touchSources(t)
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", module+"/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("list packages: %v\n%s", err, stderr.Bytes())
	}
	imports := map[string][]string{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		imports[fields[0]] = fields[1:]
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return imports
}

// touchSources looks at every source file. What go list reads in its own process is
// unknown to the cache of test results, which would repeat an old answer after an
// import was added.
func touchSources(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "bin" || d.Name() == "node_modules"):
			return filepath.SkipDir
		case filepath.Ext(path) == ".go":
			_, err = os.Stat(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (r rule) covers(pkg string) bool {
	path, own := strings.CutPrefix(pkg, module)
	switch {
	case !own || matches(r.except, path):
		return false
	case len(r.of) == 0:
		return true
	}
	return matches(r.of, path)
}

// breach returns the chain of imports by which a package breaks the rule, or nil.
func (r rule) breach(imports map[string][]string, pkg string) []string {
	type step struct {
		pkg  string
		from *step
	}
	seen := map[string]bool{pkg: true}
	queue := []*step{{pkg: pkg}}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, next := range imports[at.pkg] {
			if seen[next] {
				continue
			}
			seen[next] = true
			path := strings.TrimPrefix(next, module)
			if matches(r.forbids, path) && !matches(r.allows, path) {
				chain := []string{next}
				for s := at; s != nil; s = s.from {
					chain = append(chain, s.pkg)
				}
				slices.Reverse(chain)
				return chain
			}
			if r.deep {
				queue = append(queue, &step{next, at})
			}
		}
	}
	return nil
}

// matches tells whether a path is one of the patterns or below one. A pattern
// that ends in "/" stands for what is below alone.
func matches(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		if strings.HasSuffix(p, "/") {
			return strings.HasPrefix(path, p) && path != p
		}
		return path == p || strings.HasPrefix(path, p+"/")
	})
}

// The rules are only worth something if they can fail.
func TestABreachIsFound(t *testing.T) {
	t.Parallel()
	imports := map[string][]string{
		module + "/follower":     {module + "/order", "fmt"},
		module + "/order":        {"example.org/helper"},
		"example.org/helper":     {cosmos + "/types"},
		module + "/sequencer/v1": {"fmt"},
	}
	deep := rule{of: []string{"/follower"}, forbids: []string{cosmos}, deep: true}
	want := []string{module + "/follower", module + "/order", "example.org/helper", cosmos + "/types"}
	if got := deep.breach(imports, module+"/follower"); !slices.Equal(got, want) {
		t.Errorf("chain is %v, want %v", got, want)
	}
	deep.deep = false
	if got := deep.breach(imports, module+"/follower"); got != nil {
		t.Errorf("a shallow rule found %v", got)
	}
	foreign := rule{of: []string{"/order"}, forbids: []string{"/"}, allows: []string{"/order"}}
	if got := foreign.breach(map[string][]string{module + "/order": {module + "/order/v1", module + "/keys"}}, module+"/order"); len(got) != 2 {
		t.Errorf("chain is %v, want order and keys", got)
	}
}
