package evm

import (
	"crypto/sha256"
	"encoding/binary"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/consensus/misc/eip1559"
	"github.com/ethereum/go-ethereum/consensus/misc/eip4844"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"

	"github.com/ordo-network/ordo/execution"
)

const (
	heightLen    = 8 // bytes of a sequencer height in a header's extra data
	randomDomain = "ordo/evm/prevrandao/v1\x00"
)

// SequencerHeight returns the height of the sequencer block that a rollup block
// was made from. For a genesis without extra data it is 0.
func SequencerHeight(h *types.Header) uint64 {
	if len(h.Extra) != heightLen {
		return 0
	}
	return binary.BigEndian.Uint64(h.Extra)
}

// SequencerHash returns the hash of the sequencer block that a rollup block was
// made from; zero for a genesis.
func SequencerHash(h *types.Header) execution.Hash {
	if h.ParentBeaconRoot == nil {
		return execution.Hash{}
	}
	return execution.Hash(*h.ParentBeaconRoot)
}

// newHeader returns the header of the next block, complete but for what execution
// yields: roots, bloom, gas used.
func newHeader(config *params.ChainConfig, parent *types.Header, b execution.Block) *types.Header {
	// Several rollup blocks may share one second. The clock of the order never
	// falls; the genesis time may lie ahead of it.
	time := parent.Time
	if t := b.Time.Unix(); t > 0 && uint64(t) > time {
		time = uint64(t)
	}
	root := common.Hash(b.Hash)
	excess := eip4844.CalcExcessBlobGas(config, parent, time)
	return &types.Header{
		ParentHash: parent.Hash(),
		UncleHash:  types.EmptyUncleHash,
		Coinbase:   parent.Coinbase, // of the genesis: a setting that all nodes must share
		Difficulty: new(big.Int),
		Number:     new(big.Int).Add(parent.Number, common.Big1),
		GasLimit:   parent.GasLimit, // of the genesis
		Time:       time,
		Extra:      binary.BigEndian.AppendUint64(nil, b.Height),
		MixDigest:  prevRandao(b.Hash),
		BaseFee:    eip1559.CalcBaseFee(config, parent),
		// The sequencer block stands where Ethereum has the beacon block, so that
		// contracts read it through EIP-4788.
		ParentBeaconRoot: &root,
		BlobGasUsed:      new(uint64),
		ExcessBlobGas:    &excess,
	}
}

// prevRandao is what contracts read as PREVRANDAO. Whoever proposes the sequencer
// block knows it beforehand and can choose among values: it varies from block to
// block and is no source of secure randomness.
func prevRandao(sequencer execution.Hash) common.Hash {
	return sha256.Sum256(append([]byte(randomDomain), sequencer[:]...))
}
