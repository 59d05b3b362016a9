package astria

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/ordo-network/ordo/execution"
	executionv2 "github.com/ordo-network/ordo/execution/astria/proto/astria/execution/v2"
)

const (
	// maxNameBytes bounds what a virtual machine may call a block or a session.
	maxNameBytes = 256
	// maxNumber bounds block numbers and heights, so that sums of two do not overflow.
	maxNumber = math.MaxInt64
	// hashDomain keeps hashes of names apart from other hashes.
	hashDomain = "ordo/astria/block/v1\x00"
)

// Parameters say what a session executes.
type Parameters struct {
	RollupID    execution.Hash
	ChainID     string // of the sequencer chain
	StartNumber uint64 // first rollup block; at least 1
	EndNumber   uint64 // last rollup block; 0 for no end
	StartHeight uint64 // sequencer block that becomes rollup block StartNumber; at least 1
	// CelestiaChainID is the service's, and tells nothing to Ordo, which knows the
	// rollup's DA layer by itself.
	CelestiaChainID string
	// LookAhead is by how many blocks soft may lead firm; 0 for no bound.
	LookAhead uint64
}

// Height returns the sequencer block that becomes the rollup block of that number. It
// counts on below the session's first, down to 0.
func (p Parameters) Height(number uint64) uint64 {
	if number >= p.StartNumber {
		return p.StartHeight + (number - p.StartNumber)
	}
	return p.StartHeight - min(p.StartHeight, p.StartNumber-number)
}

// Check says what is wrong with the parameters.
func (p Parameters) Check() error {
	switch {
	case p.StartNumber == 0 || p.StartNumber > maxNumber:
		return fmt.Errorf("the first rollup block is %d: want 1 to %d, 0 is the genesis", p.StartNumber, uint64(maxNumber))
	case p.StartHeight == 0 || p.StartHeight > maxNumber:
		return fmt.Errorf("the first sequencer block is %d: want 1 to %d", p.StartHeight, uint64(maxNumber))
	case p.EndNumber != 0 && p.EndNumber < p.StartNumber:
		return fmt.Errorf("the last rollup block, %d, comes before the first, %d", p.EndNumber, p.StartNumber)
	}
	return nil
}

func decodeParameters(m *executionv2.ExecutionSessionParameters) (Parameters, error) {
	if m == nil {
		return Parameters{}, errors.New("it is missing")
	}
	id := m.GetRollupId().GetInner()
	if len(id) != len(execution.Hash{}) {
		return Parameters{}, fmt.Errorf("the rollup ID has %d bytes, want 32", len(id))
	}
	p := Parameters{
		RollupID: execution.Hash(id), ChainID: m.GetSequencerChainId(), CelestiaChainID: m.GetCelestiaChainId(),
		StartNumber: m.GetRollupStartBlockNumber(), EndNumber: m.GetRollupEndBlockNumber(),
		StartHeight: m.GetSequencerStartBlockHeight(), LookAhead: m.GetCelestiaSearchHeightMaxLookAhead(),
	}
	return p, p.Check()
}

// block is a block as the service names it, checked, and what Ordo calls it.
type block struct {
	meta *executionv2.ExecutedBlockMetadata
	head execution.Head
}

// decodeBlock checks a block but for its place in the chain.
func (c *Client) decodeBlock(p Parameters, m *executionv2.ExecutedBlockMetadata) (block, error) {
	switch {
	case m == nil:
		return block{}, fmt.Errorf("it is missing: %w", ErrProtocol)
	case m.GetNumber() > maxNumber:
		return block{}, fmt.Errorf("its number is %d, want at most %d: %w", m.GetNumber(), uint64(maxNumber), ErrProtocol)
	case m.GetHash() == "" || len(m.GetHash()) > maxNameBytes || len(m.GetParentHash()) > maxNameBytes:
		return block{}, fmt.Errorf("its hashes have %d and %d characters, want 1 to %d and up to %d: %w",
			len(m.GetHash()), len(m.GetParentHash()), maxNameBytes, maxNameBytes, ErrProtocol)
	case m.GetTimestamp().CheckValid() != nil:
		return block{}, fmt.Errorf("its timestamp: %w: %w", ErrProtocol, m.GetTimestamp().CheckValid())
	}
	height, err := c.height(p, m.GetNumber())
	if err != nil {
		return block{}, err
	}
	return block{meta: m, head: execution.Head{
		Number: m.GetNumber(), Hash: hashOf(m.GetHash()), Height: height, Time: m.GetTimestamp().AsTime(),
	}}, nil
}

// height returns the sequencer block that a rollup block was made from.
func (c *Client) height(p Parameters, number uint64) (uint64, error) {
	if c.heights == nil || number < p.StartNumber {
		return p.Height(number), nil
	}
	height, ok, err := c.heights.get(number)
	if err == nil && !ok {
		err = fmt.Errorf("this node has no record of the sequencer block that rollup block %d was made from: "+
			"empty the execution client's data, or restore %s, which belongs with it", number, c.cfg.Dir)
	}
	return height, err
}

// hashOf returns the hash that Ordo knows a block by: 32 bytes that are written in
// hexadecimal as they are, whatever else a virtual machine writes by its SHA-256.
func hashOf(name string) execution.Hash {
	if raw, err := hex.DecodeString(strings.TrimPrefix(name, "0x")); err == nil && len(raw) == len(execution.Hash{}) {
		return execution.Hash(raw)
	}
	return sha256.Sum256([]byte(hashDomain + name))
}

// madeFrom reports whether the block says that it was made from that sequencer block,
// or nothing: the field is optional, and clients without room for it send zeros.
func madeFrom(m *executionv2.ExecutedBlockMetadata, sequencer execution.Hash) bool {
	name := strings.TrimPrefix(m.GetSequencerBlockHash(), "0x")
	if name == "" {
		return true
	}
	raw, err := hex.DecodeString(name)
	if err != nil || len(raw) != len(sequencer) {
		return false
	}
	return bytes.Equal(raw, sequencer[:]) || bytes.Equal(raw, make([]byte, len(sequencer)))
}

// clip makes text of the other side fit for a log line.
func clip(s string) string {
	const most = 300
	if len(s) > most {
		s = s[:most] + "…"
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "?")
	}
	return s
}
