package evm

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/eth"
	"github.com/ethereum/go-ethereum/eth/ethconfig"
	"github.com/ethereum/go-ethereum/ethdb"
	gethlog "github.com/ethereum/go-ethereum/log"
	"github.com/ethereum/go-ethereum/node"
	"github.com/ethereum/go-ethereum/p2p"
)

const (
	chainName     = "evm"       // directory inside the data directory
	chainDatabase = "chaindata" // as geth names it
	fileHandles   = 256
)

// openGeth assembles geth on the data directory. Its services are never started:
// what they begin serves peers, the transaction pool and the log index. The pool is
// closed at once, or it would follow the chain, recovering the sender of each
// transaction again.
func openGeth(cfg Config) (_ *node.Node, _ *eth.Ethereum, err error) {
	logger := newGethLogger(cfg.Logger)
	gethlog.SetDefault(logger)

	// The key would name this node to peers. Without one geth would make one and
	// keep it.
	seed := sha256.Sum256([]byte("ordo/evm/no-peers"))
	key, err := crypto.ToECDSA(seed[:])
	if err != nil {
		return nil, nil, err
	}
	stack, err := node.New(&node.Config{
		Name:    chainName,
		DataDir: cfg.DataDir,
		Logger:  logger,
		P2P:     p2p.Config{PrivateKey: key, NoDial: true, NoDiscovery: true},
	})
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, stack.Close())
		}
	}()
	if err := prepareStored(stack, cfg.Genesis); err != nil {
		return nil, nil, err
	}
	backend, err := eth.New(stack, ethConfig(cfg))
	if err != nil {
		return nil, nil, err
	}
	// geth would warn of every crash so far at every start. They lose nothing here.
	rawdb.PopUncleanShutdownMarker(backend.ChainDb())
	if err := backend.TxPool().Close(); err != nil {
		return nil, nil, fmt.Errorf("close transaction pool: %w", err)
	}
	return stack, backend, nil
}

// closeGeth stops what openGeth assembled and closes the database.
func closeGeth(stack *node.Node, backend *eth.Ethereum) error {
	backend.BlobCache().Stop()
	backend.Downloader().Terminate()
	backend.BlockChain().Stop()
	return errors.Join(backend.Engine().Close(), stack.Close())
}

// ethConfig chooses geth's settings.
//
// State is kept by the hash scheme and written whole at each block (archive).
// Measured, a block of 150 transfers to new accounts costs 30 ms of processor
// time, and in blocks of 15 a transfer takes 3.5 kB of disk; by the path scheme it
// is 24 ms and 0.7 kB. But that one holds 128 blocks of state and more in memory.
// After a kill geth then goes back behind them, forgets the finalized block, and
// cuts off what its freezer took meanwhile. Here a block that was executed is on
// disk, and state is readable at every height: a window of 128 blocks would be 13
// seconds, less than safe and finalized may lag.
func ethConfig(cfg Config) *ethconfig.Config {
	cache := cfg.CacheMB
	if cache == 0 {
		cache = DefaultCacheMB
	}
	c := ethconfig.Defaults
	c.Genesis = cfg.Genesis
	c.SyncMode = ethconfig.FullSync
	c.DatabaseHandles = fileHandles

	c.StateScheme = rawdb.HashScheme
	c.NoPruning = true
	c.DatabaseCache = cache * 2 / 3 // below 64 MiB compactions take a quarter of the processor time
	c.TrieCleanCache = cache / 3
	c.TrieDirtyCache = 0
	c.SnapshotCache = 0 // it would have to be rebuilt after each crash

	c.TransactionHistory = 0 // all of it
	// The log index rewrites its last map at each head: more than a small block
	// costs otherwise. Searches go by the bloom filters of the headers.
	c.LogNoHistory = true
	c.TxPool.NoLocals = true
	c.TxPool.Journal = ""
	c.BlobPool.Datadir = ""
	return &c
}

// prepareStored makes sure that a data directory is one to open, and opens well.
func prepareStored(stack *node.Node, genesis *core.Genesis) (err error) {
	if rawdb.PreexistingDatabase(stack.ResolvePath(chainDatabase)) == "" {
		return nil
	}
	db, err := stack.OpenDatabaseWithOptions(chainDatabase, node.DatabaseOptions{Handles: fileHandles})
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()

	head := rawdb.ReadHeadHeader(db)
	if head == nil {
		return nil // killed while new: geth writes the genesis in one batch
	}
	if err := checkStored(db, head, genesis); err != nil {
		return err
	}
	// geth closed before it had begun with its index of transactions notes one that begins
	// above the head. It would drop the whole index for that, with a warning, while the next
	// block may be adding to it. Without a note it indexes what is there.
	if tail := rawdb.ReadTxIndexTail(db); tail != nil && *tail > head.Number.Uint64() {
		rawdb.DeleteTxIndexTail(db)
	}
	return nil
}

// checkStored refuses a chain that was made from another genesis. geth
// itself would take a changed chain ID, and would answer changed rules of the past
// by going back to where they still hold.
func checkStored(db ethdb.Database, head *types.Header, genesis *core.Genesis) error {
	stored := rawdb.ReadCanonicalHash(db, 0)
	config := rawdb.ReadChainConfig(db, stored)
	if config == nil {
		return nil // killed while new
	}
	const next = "use the genesis that it was made from, or another data directory"
	if want := genesis.ToBlock().Hash(); want != stored {
		return fmt.Errorf("%w: the chain on disk begins with %s, the genesis given makes %s; %s", ErrGenesis, stored, want, next)
	}
	if config.ChainID.Cmp(genesis.Config.ChainID) != 0 {
		return fmt.Errorf("%w: the chain on disk has chain ID %s, the genesis given has %s; %s", ErrGenesis, config.ChainID, genesis.Config.ChainID, next)
	}
	if err := config.CheckCompatible(genesis.Config, head.Number.Uint64(), head.Time); err != nil {
		return fmt.Errorf("%w: it changes rules of blocks that are on disk (%w); %s", ErrGenesis, err, next)
	}
	return nil
}
