package follower

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cometbft/cometbft/crypto/ed25519"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmttypes "github.com/cometbft/cometbft/types"
)

// Trust is where verification starts: what its caller believes without proof. It
// is a genesis, a height with its hash, or a block that was verified before.
type Trust struct {
	chainID string
	known   Checkpoint // zero where only a height and a hash are trusted
	height  uint64     // the height of known, or of hash
	hash    [32]byte
}

// TrustGenesis trusts the validators of a genesis document to sign the first
// block. The document must name them; one whose validators come out of its
// application state alone does not say who they are.
func TrustGenesis(doc *cmttypes.GenesisDoc) (Trust, error) {
	if len(doc.Validators) == 0 {
		return Trust{}, fmt.Errorf("trust genesis of %q: it names no validators; use a genesis that does, or a trusted height and hash", doc.ChainID)
	}
	if doc.GenesisTime.IsZero() {
		return Trust{}, fmt.Errorf("trust genesis of %q: it has no time", doc.ChainID)
	}
	for i, v := range doc.Validators {
		if v.PubKey == nil {
			return Trust{}, fmt.Errorf("trust genesis of %q: validator %d has no public key", doc.ChainID, i)
		}
	}
	complete := *doc // completing changes it
	complete.Validators = slices.Clone(doc.Validators)
	if err := complete.ValidateAndComplete(); err != nil {
		return Trust{}, fmt.Errorf("trust genesis: %w", err)
	}
	list := make([]*cmttypes.Validator, len(complete.Validators))
	for i, v := range complete.Validators {
		list[i] = cmttypes.NewValidator(v.PubKey, v.Power)
	}
	set := new(cmttypes.ValidatorSet)
	if err := set.UpdateWithChangeSet(list); err != nil {
		return Trust{}, fmt.Errorf("trust genesis of %q: %w", doc.ChainID, err)
	}
	vals, err := newValidators(set)
	if err != nil {
		return Trust{}, fmt.Errorf("trust genesis of %q: %w", doc.ChainID, err)
	}
	// Genesis stands as the block before the first: its validators are the next ones.
	// The first block has the time of genesis, and time must rise from block to block.
	header := &cmttypes.Header{
		ChainID: complete.ChainID, Height: complete.InitialHeight - 1, Time: complete.GenesisTime.Add(-1),
		ValidatorsHash: vals.hash, NextValidatorsHash: vals.hash,
	}
	return trustCheckpoint(Checkpoint{header: header, validators: vals}), nil
}

// TrustHeader trusts the block at the height to be the one with the hash.
func TrustHeader(chainID string, height uint64, hash [32]byte) (Trust, error) {
	if chainID == "" || len(chainID) > cmttypes.MaxChainIDLen {
		return Trust{}, fmt.Errorf("trust header: chain ID of %d bytes, want 1 to %d", len(chainID), cmttypes.MaxChainIDLen)
	}
	if height == 0 || height > maxHeight {
		return Trust{}, fmt.Errorf("trust header: height %d, want 1 to %d", height, uint64(maxHeight))
	}
	if hash == ([32]byte{}) {
		return Trust{}, errors.New("trust header: the hash is zero")
	}
	return Trust{chainID: chainID, height: height, hash: hash}, nil
}

// TrustCheckpoint trusts a block that was verified before. The checkpoint must not be zero.
func TrustCheckpoint(c Checkpoint) (Trust, error) {
	if c.IsZero() {
		return Trust{}, errors.New("trust checkpoint: there is none")
	}
	return trustCheckpoint(c), nil
}

func trustCheckpoint(c Checkpoint) Trust {
	return Trust{chainID: c.header.ChainID, known: c, height: c.Height()}
}

// ChainID returns the chain that the trust is for.
func (t Trust) ChainID() string { return t.chainID }

// Checkpoint is the last verified block, as much of it as verifying the next one
// takes. It is immutable; the zero Checkpoint is none.
type Checkpoint struct {
	header     *cmttypes.Header
	validators *validators
}

// IsZero reports whether there is no checkpoint.
func (c Checkpoint) IsZero() bool { return c.header == nil }

// Height returns the height of the block, 0 where there is none.
func (c Checkpoint) Height() uint64 {
	if c.IsZero() {
		return 0
	}
	return uint64(c.header.Height)
}

// Time returns the time of the block.
func (c Checkpoint) Time() time.Time {
	if c.IsZero() {
		return time.Time{}
	}
	return c.header.Time
}

// ChainID returns the chain of the block.
func (c Checkpoint) ChainID() string {
	if c.IsZero() {
		return ""
	}
	return c.header.ChainID
}

const checkpointVersion = 1

// Encode returns the checkpoint as bytes; nothing where there is none. Whoever can
// write them decides what is believed: store them as one stores state.
func (c Checkpoint) Encode() []byte {
	if c.IsZero() {
		return nil
	}
	// Neither message can fail to encode: both were decoded, or made from types.
	header, err := c.header.ToProto().Marshal()
	if err != nil {
		return nil
	}
	out := append([]byte{checkpointVersion}, byte(len(header)>>8), byte(len(header)))
	out = append(out, header...)
	return append(out, c.validators.encoded...)
}

// DecodeCheckpoint reads what Encode wrote.
func DecodeCheckpoint(raw []byte) (Checkpoint, error) {
	if len(raw) == 0 {
		return Checkpoint{}, nil
	}
	if raw[0] != checkpointVersion {
		return Checkpoint{}, fmt.Errorf("checkpoint of version %d, want %d", raw[0], checkpointVersion)
	}
	if len(raw) < 3 || len(raw)-3 < int(raw[1])<<8|int(raw[2]) {
		return Checkpoint{}, fmt.Errorf("checkpoint of %d bytes ends early", len(raw))
	}
	size := int(raw[1])<<8 | int(raw[2])
	var pb cmtproto.Header
	if err := pb.Unmarshal(raw[3 : 3+size]); err != nil {
		return Checkpoint{}, fmt.Errorf("decode checkpoint: %w", err)
	}
	header, err := cmttypes.HeaderFromProto(&pb)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("decode checkpoint: %w", err)
	}
	vals, err := decodeValidators(raw[3+size:])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("decode checkpoint: %w", err)
	}
	if !bytes.Equal(vals.hash, header.ValidatorsHash) {
		return Checkpoint{}, fmt.Errorf("decode checkpoint: header names validators %X, there are %X", header.ValidatorsHash, vals.hash)
	}
	return Checkpoint{header: &header, validators: vals}, nil
}

// validators is a set with its hash and its encoding, made once per change of the
// set. It is immutable, and canonical: proposer and priorities, which change with
// each block and which no hash covers, are set to fixed values.
type validators struct {
	set     *cmttypes.ValidatorSet
	hash    []byte
	encoded []byte
}

func newValidators(set *cmttypes.ValidatorSet) (*validators, error) {
	for i, v := range set.Validators {
		// The chain admits no other keys. What CometBFT knows beyond them is not exposed
		// to whoever sends a set.
		if _, ok := v.PubKey.(ed25519.PubKey); !ok {
			return nil, fmt.Errorf("validator %d has a key of type %T, want ed25519: %w", i, v.PubKey, ErrValidators)
		}
		v.ProposerPriority = 0
	}
	if len(set.Validators) == 0 {
		return nil, fmt.Errorf("no validators: %w", ErrValidators)
	}
	if power, err := set.TotalVotingPowerSafe(); err != nil || power == 0 {
		return nil, fmt.Errorf("validators with a total power of %d: %w", power, ErrValidators)
	}
	set.Proposer = set.Validators[0]
	pb, err := set.ToProto()
	if err != nil {
		return nil, fmt.Errorf("encode validators: %w", err)
	}
	encoded, err := pb.Marshal()
	if err != nil {
		return nil, fmt.Errorf("encode validators: %w", err)
	}
	return &validators{set: set, hash: set.Hash(), encoded: encoded}, nil
}

func decodeValidators(raw []byte) (*validators, error) {
	if err := atMost("validator set", len(raw), maxValidatorsBytes); err != nil {
		return nil, err
	}
	var pb cmtproto.ValidatorSet
	if err := pb.Unmarshal(raw); err != nil {
		return nil, fmt.Errorf("decode validators: %w: %w", err, ErrMalformed)
	}
	// It refuses nil entries, negative power and a total that would overflow, each of
	// which would panic later on.
	set, err := cmttypes.ValidatorSetFromProto(&pb)
	if err != nil {
		return nil, fmt.Errorf("decode validators: %w: %w", err, ErrMalformed)
	}
	return newValidators(set)
}

// trustingPeriod and clock drift: the defaults of CometBFT's light client.
const (
	// DefaultTrustingPeriod is how long the validators of a block are believed after it.
	DefaultTrustingPeriod = 168 * time.Hour
	// DefaultClockDrift is how far ahead of the local clock a block's time may lie.
	DefaultClockDrift = 10 * time.Second
)
