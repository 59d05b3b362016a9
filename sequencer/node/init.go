package node

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	cmtcfg "github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/p2p"

	cryptocodec "github.com/cosmos/cosmos-sdk/crypto/codec"
	"github.com/cosmos/cosmos-sdk/crypto/hd"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"

	"github.com/ordo-network/ordo/config"
	"github.com/ordo-network/ordo/da/layers"
	"github.com/ordo-network/ordo/keys"
	"github.com/ordo-network/ordo/sequencer/app"
)

// Ports are those of one node.
type Ports struct{ P2P, RPC, API, Metrics, Dispersal int }

// Account is money in a new chain.
type Account struct {
	Address string // bech32, "ordo1..."
	Amount  uint64 // uordo
}

// HomeOptions describe the home of one node.
type HomeOptions struct {
	Dir       string
	Moniker   string // what others see it called
	Host      string // that the ports are bound to; empty: 127.0.0.1
	Advertise string // host by which others reach this one; empty: Host
	Ports     Ports
	Peers     []string      // id@host:port, which the node always connects to
	BlockTime time.Duration // 0: 100 ms
	// Local allows peers on private addresses, several of them on one host, and no
	// others than those named.
	Local bool
	// DALayers are those on which a validator looks for what relayers claim.
	DALayers map[string]layers.Config
}

// ErrExists is returned where a home already holds a node.
var ErrExists = errors.New("a node's home exists there")

// InitHome makes the home of one node: keys, settings, and the genesis of the chain
// that it joins, or, where genesisFile is empty, that of a new chain without
// accounts and validators. It returns the node's ID, by which peers name it.
// Errors: ErrExists.
func InitHome(o HomeOptions, genesisFile, chainID string) (id string, err error) {
	genesis, err := givenOrNew(genesisFile, chainID)
	if err != nil {
		return "", err
	}
	n, err := newHome(o)
	if err != nil {
		return "", err
	}
	if err := writeGenesis(n.home, genesis); err != nil {
		return "", err
	}
	return n.id, n.write(o)
}

func givenOrNew(file, chainID string) (*genutiltypes.AppGenesis, error) {
	if file != "" {
		g, err := genutiltypes.AppGenesisFromFile(file)
		if err != nil {
			return nil, fmt.Errorf("read genesis: %w", err)
		}
		if err := g.ValidateAndComplete(); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		return g, nil
	}
	enc, err := app.NewEncoding()
	if err != nil {
		return nil, err
	}
	g, err := app.NewGenesis(enc)
	if err != nil {
		return nil, err
	}
	doc, err := g.Doc(chainID, time.Now().UTC())
	if err != nil {
		return nil, err
	}
	return appGenesis(doc), nil
}

// newNode is a home in the making.
type newNode struct {
	home      home
	id        string
	comet     *cmtcfg.Config
	consensus cryptotypes.PubKey
	attest    keys.Attestation
}

// newHome makes the directories and the keys.
func newHome(o HomeOptions) (*newNode, error) {
	h := home(o.Dir)
	if _, err := os.Stat(h.ordo()); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", o.Dir, ErrExists)
	}
	n := &newNode{home: h, comet: cometConfig(o.blockTime())}
	n.comet.SetRoot(o.Dir)
	for _, dir := range []string{filepath.Dir(h.comet()), h.data()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make home: %w", err)
		}
	}
	key, err := p2p.LoadOrGenNodeKey(n.comet.NodeKeyFile())
	if err != nil {
		return nil, fmt.Errorf("make node key: %w", err)
	}
	n.id = string(key.ID())
	signer, err := makeSigner(n.comet)
	if err != nil {
		return nil, err
	}
	if n.consensus, err = cryptocodec.FromCmtPubKeyInterface(signer.Key.PubKey); err != nil {
		return nil, fmt.Errorf("make validator key: %w", err)
	}
	if n.attest, err = h.attestationKeys(); err != nil {
		return nil, err
	}
	return n, nil
}

// attestationKeys returns those that are there, which a committee may know, or makes
// one.
func (h home) attestationKeys() (keys.Attestation, error) {
	a, err := keys.LoadAttestation(h.attestation())
	if !errors.Is(err, fs.ErrNotExist) {
		return a, err
	}
	if a, err = a.Add(); err != nil {
		return nil, fmt.Errorf("make attestation key: %w", err)
	}
	return a, a.Save(h.attestation())
}

func (o HomeOptions) blockTime() time.Duration {
	if o.BlockTime == 0 {
		return time.Duration(DefaultConfig().Pacing.BlockTime)
	}
	return o.BlockTime
}

func (o HomeOptions) address(port int) string {
	host := o.Host
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// write stores the settings; ordo.toml, which marks a home as complete, last.
func (n *newNode) write(o HomeOptions) error {
	c := n.comet
	c.Moniker = o.Moniker
	c.P2P.ListenAddress = "tcp://" + o.address(o.Ports.P2P)
	// The RPC has calls that cost much: it is for this machine only.
	c.RPC.ListenAddress = "tcp://127.0.0.1:" + strconv.Itoa(o.Ports.RPC)
	c.P2P.PersistentPeers = strings.Join(o.Peers, ",")
	if o.Local {
		c.P2P.AddrBookStrict, c.P2P.AllowDuplicateIP, c.P2P.PexReactor = false, true, false
	}
	if err := c.ValidateBasic(); err != nil {
		return fmt.Errorf("CometBFT settings: %w", err)
	}
	cmtcfg.WriteConfigFile(n.home.comet(), c)

	ours := DefaultConfig()
	ours.API.Listen, ours.Metrics.Listen = o.address(o.Ports.API), ""
	if o.Ports.Metrics != 0 {
		ours.Metrics.Listen = "127.0.0.1:" + strconv.Itoa(o.Ports.Metrics)
	}
	ours.Dispersal.Listen = o.address(o.Ports.Dispersal)
	if o.Advertise != "" {
		ours.Dispersal.Advertise = net.JoinHostPort(o.Advertise, strconv.Itoa(o.Ports.Dispersal))
		ours.Dispersal.AdvertiseAPI = "http://" + net.JoinHostPort(o.Advertise, strconv.Itoa(o.Ports.API))
	}
	if len(o.DALayers) > 0 {
		ours.DA.Layers = o.DALayers
	}
	ours.Pacing.BlockTime = config.Duration(o.blockTime())
	if idle := time.Duration(ours.Pacing.IdleInterval); idle < o.blockTime() {
		ours.Pacing.IdleInterval = config.Duration(o.blockTime())
	}
	if err := ours.validate(); err != nil {
		return err
	}
	return config.Write(n.home.ordo(), &ours)
}

// NetworkOptions describe a network of validators whose homes one person makes.
type NetworkOptions struct {
	Dir        string // validators' homes are Dir/validator-0, Dir/validator-1, ...
	ChainID    string
	Validators int
	Stakes     []uint64      // uordo, one per validator; empty: the same for each
	BlockTime  time.Duration // 0: 100 ms
	Ports      func(i int) Ports
	Host       func(i int) string // where validator i listens and is reached; nil: 127.0.0.1
	Accounts   []Account
	Start      time.Time                // of the chain; zero: now
	DALayers   map[string]layers.Config // as of HomeOptions
}

// DefaultStake is what each validator of a new network has at stake, in uordo.
const DefaultStake = 1_000_000_000_000

// operatorFunds is what an operator has beside its stake, for fees.
const operatorFunds = 1_000_000_000

// OperatorKey is the name under which the key of a validator's operator stands in
// the keyring of its home, backend "test".
const OperatorKey = "operator"

// ValidatorHome is the home of validator i of a network.
func ValidatorHome(dir string, i int) string { return filepath.Join(dir, "validator-"+strconv.Itoa(i)) }

func (o NetworkOptions) validate() error {
	switch {
	case o.Validators < 1 || o.Validators > 100:
		return fmt.Errorf("%d validators, want 1 to 100", o.Validators)
	case len(o.Stakes) > 0 && len(o.Stakes) != o.Validators:
		return fmt.Errorf("%d stakes for %d validators", len(o.Stakes), o.Validators)
	case o.ChainID == "":
		return errors.New("the chain ID is empty")
	case o.Ports == nil:
		return errors.New("no ports are given")
	}
	return nil
}

func (o NetworkOptions) host(i int) string {
	if o.Host == nil {
		return ""
	}
	return o.Host(i)
}

func (o NetworkOptions) stake(i int) uint64 {
	if len(o.Stakes) == 0 {
		return DefaultStake
	}
	return o.Stakes[i]
}

// InitNetwork makes the homes of all validators of a new network, with one genesis. Errors: ErrExists.
func InitNetwork(o NetworkOptions) error {
	if err := o.validate(); err != nil {
		return err
	}
	enc, err := app.NewEncoding()
	if err != nil {
		return err
	}
	genesis, err := app.NewGenesis(enc)
	if err != nil {
		return err
	}
	for _, a := range o.Accounts {
		addr, err := sdk.AccAddressFromBech32(a.Address)
		if err != nil {
			return fmt.Errorf("account %q, want an address that starts with %s1: %w", a.Address, app.Prefix, err)
		}
		if err := genesis.AddAccount(addr, a.Amount); err != nil {
			return err
		}
	}
	nodes := make([]*newNode, o.Validators)
	options := make([]HomeOptions, o.Validators)
	for i := range nodes {
		options[i] = HomeOptions{
			Dir: ValidatorHome(o.Dir, i), Moniker: "validator-" + strconv.Itoa(i),
			Host: o.host(i), Ports: o.Ports(i), BlockTime: o.BlockTime, Local: true, DALayers: o.DALayers,
		}
		if nodes[i], err = newHome(options[i]); err != nil {
			return err
		}
		tx, operator, err := nodes[i].bond(enc, o.ChainID, options[i].Moniker, o.stake(i))
		if err != nil {
			return err
		}
		if err := genesis.AddAccount(operator, o.stake(i)+operatorFunds); err != nil {
			return err
		}
		genesis.AddValidators(tx)
		genesis.AddAttester(operator, nodes[i].attest.Newest().Public().(ed25519.PublicKey),
			options[i].address(options[i].Ports.Dispersal), "http://"+options[i].address(options[i].Ports.API))
	}
	start := o.Start
	if start.IsZero() {
		start = time.Now()
	}
	doc, err := genesis.Doc(o.ChainID, start.UTC())
	if err != nil {
		return err
	}
	file := appGenesis(doc)
	if err := SealGenesis(enc, file); err != nil {
		return err
	}
	for i, n := range nodes {
		if err := writeGenesis(n.home, file); err != nil {
			return err
		}
		for _, j := range o.peersOf(i) {
			options[i].Peers = append(options[i].Peers, nodes[j].id+"@"+options[j].address(options[j].Ports.P2P))
		}
		if err := n.write(options[i]); err != nil {
			return err
		}
	}
	return nil
}

// maxMesh is how many validators all connect to all for consensus, whatever their stakes.
const maxMesh = 8

// peersOf returns whom validator i connects to for consensus, and they to it: one that is back, at another
// address as well, dials all of them at once. Votes and parts of blocks come once from each peer, so that
// many peers cost much. In a ring where each of n is connected to the nearest
// on both sides, (n-1)/3 + 1 of them or more, the others stay connected whichever (n-1)/3 fail, and they are
// all that consensus stands up to, where the stakes are the same: of small ones more may fail, and
// so all connect to all where they differ. Lanes connect everyone to everyone besides.
func (o NetworkOptions) peersOf(i int) (peers []int) {
	n := o.Validators
	ring := n > maxMesh && !slices.ContainsFunc(o.Stakes, func(s uint64) bool { return s != o.Stakes[0] })
	reach := ((n-1)/3 + 2) / 2 // to each side
	for d := 1; d < n; d++ {
		if !ring || d <= reach || n-d <= reach {
			peers = append(peers, (i+d)%n)
		}
	}
	return peers
}

// bond makes the operator's key and the transaction that bonds the validator.
func (n *newNode) bond(enc *app.Encoding, chainID, moniker string, stake uint64) (json.RawMessage, sdk.AccAddress, error) {
	ring, err := keyring.New(app.Name, keyring.BackendTest, string(n.home), nil, enc.Codec)
	if err != nil {
		return nil, nil, fmt.Errorf("open keyring: %w", err)
	}
	if _, err := ring.Key(OperatorKey); err == nil { // of a home that was never completed
		if err := ring.Delete(OperatorKey); err != nil {
			return nil, nil, fmt.Errorf("replace operator key: %w", err)
		}
	}
	key := secp256k1.GenPrivKey()
	if err := ring.ImportPrivKeyHex(OperatorKey, fmt.Sprintf("%x", key.Bytes()), string(hd.Secp256k1Type)); err != nil {
		return nil, nil, fmt.Errorf("store operator key: %w", err)
	}
	tx, err := app.NewValidatorTx(enc, chainID, moniker, key, n.consensus, stake)
	return tx, sdk.AccAddress(key.PubKey().Address()), err
}

func writeGenesis(h home, g *genutiltypes.AppGenesis) error {
	if err := g.SaveAs(h.genesis()); err != nil {
		return fmt.Errorf("write genesis: %w", err)
	}
	return nil
}
