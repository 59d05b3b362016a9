package app

import (
	"bytes"
	"errors"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"
	cryptoenc "github.com/cometbft/cometbft/crypto/encoding"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmttypes "github.com/cometbft/cometbft/types"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/availability"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

// errVotes is returned for an extended commit that does not belong to its block.
var errVotes = errors.New("invalid extended commit")

// extendVote says with this validator's vote up to where it holds certificates, and what
// it found out about claims. It never fails, since CometBFT would not vote then: who has
// nothing to say is silent.
func (a *App) extendVote(_ sdk.Context, req *abci.RequestExtendVote) (*abci.ResponseExtendVote, error) {
	full := order.VoteExtension{Tips: a.lanes.Tips()}
	full.Confirmed, full.Denied = a.votes(uint64(req.Height))
	// CometBFT stops a node whose own extension is refused. Were it for the one, the
	// other is said all the same.
	for _, v := range []order.VoteExtension{full, {Tips: full.Tips}, {Confirmed: full.Confirmed, Denied: full.Denied}} {
		said := v.Encode()
		_, err := decodeExtension(said)
		if err == nil {
			return &abci.ResponseExtendVote{VoteExtension: said}, nil
		}
		a.Logger().Error("vote does not say all that it should", "height", req.Height, "error", err)
	}
	return &abci.ResponseExtendVote{}, nil
}

// verifyVoteExtension looks at form and bounds only: a vote is worth the same whatever
// its validator holds. It is not asked about votes that come after the commit.
func (a *App) verifyVoteExtension(ctx sdk.Context, req *abci.RequestVerifyVoteExtension) (*abci.ResponseVerifyVoteExtension, error) {
	said, err := decodeExtension(req.VoteExtension)
	if err != nil {
		a.metrics.mute.Inc()
		a.Logger().Error("vote refused", "height", req.Height, "validator", fmt.Sprintf("%X", req.ValidatorAddress), "reason", err)
		return &abci.ResponseVerifyVoteExtension{Status: abci.ResponseVerifyVoteExtension_REJECT}, nil
	}
	if owner, err := a.voter(ctx, req.ValidatorAddress); err == nil {
		a.lanes.Heard(owner, said.Tips)
	}
	return &abci.ResponseVerifyVoteExtension{Status: abci.ResponseVerifyVoteExtension_ACCEPT}, nil
}

// voter returns the lane owner that a consensus address stands for.
func (a *App) voter(ctx sdk.Context, address []byte) (order.Owner, error) {
	v, err := a.keepers.staking.GetValidatorByConsAddr(ctx, address)
	if err != nil {
		return order.Owner{}, err
	}
	operator, err := validators.StringToBytes(v.GetOperator())
	if err != nil {
		return order.Owner{}, err
	}
	return order.OwnerFromBytes(operator)
}

func decodeExtension(said []byte) (*order.VoteExtension, error) {
	if len(said) > ordering.MaxExtensionBytes {
		return nil, fmt.Errorf("%d bytes, at most %d: %w", len(said), ordering.MaxExtensionBytes, order.ErrInvalid)
	}
	return order.DecodeVoteExtension(said)
}

// extended reports whether the votes of the height before the block have extensions.
func extended(ctx sdk.Context, height int64, last abci.CommitInfo) bool {
	p := ctx.ConsensusParams().Abci
	return p != nil && p.VoteExtensionsEnableHeight > 0 && height > p.VoteExtensionsEnableHeight && len(last.Votes) > 0
}

// presentable returns the commit as this node puts it into its block. What others
// would not accept is left out, as a validator that did not vote would be: CometBFT
// takes votes that come late without asking anybody about their extensions.
func (a *App) presentable(ctx sdk.Context, height int64, commit abci.ExtendedCommitInfo) abci.ExtendedCommitInfo {
	if !extended(ctx, height, lastCommit(commit)) {
		return abci.ExtendedCommitInfo{}
	}
	out := abci.ExtendedCommitInfo{Round: commit.Round, Votes: make([]abci.ExtendedVoteInfo, len(commit.Votes))}
	for i, v := range commit.Votes {
		out.Votes[i] = v
		if v.BlockIdFlag != cmtproto.BlockIDFlagCommit {
			continue
		}
		if err := a.verifyExtension(ctx, height, commit.Round, v); err != nil {
			a.metrics.mute.Inc()
			a.Logger().Error("vote extension left out", "height", height, "validator", fmt.Sprintf("%X", v.Validator.Address), "reason", err)
			out.Votes[i].VoteExtension, out.Votes[i].ExtensionSignature = nil, nil
		}
	}
	return out
}

// lastCommit returns the commit without extensions, as the block has it.
func lastCommit(commit abci.ExtendedCommitInfo) abci.CommitInfo {
	out := abci.CommitInfo{Round: commit.Round}
	for _, v := range commit.Votes {
		out.Votes = append(out.Votes, abci.VoteInfo{Validator: v.Validator, BlockIdFlag: v.BlockIdFlag})
	}
	return out
}

// verifyExtension checks the size of a vote's extension and the validator's signature.
// The key is that of the state before the block, where the staking module has a new
// key from the first height on that is signed with it.
func (a *App) verifyExtension(ctx sdk.Context, height int64, round int32, v abci.ExtendedVoteInfo) error {
	if len(v.VoteExtension) > ordering.MaxExtensionBytes {
		return fmt.Errorf("extension of %d bytes, at most %d: %w", len(v.VoteExtension), ordering.MaxExtensionBytes, errVotes)
	}
	known, err := a.keepers.staking.GetPubKeyByConsAddr(ctx, v.Validator.Address)
	if err != nil {
		return fmt.Errorf("key of the validator: %w", err)
	}
	key, err := cryptoenc.PubKeyFromProto(known)
	if err != nil {
		return fmt.Errorf("key of the validator: %w", err)
	}
	said := cmttypes.VoteExtensionSignBytes(a.chainID, &cmtproto.Vote{Height: height - 1, Round: round, Extension: v.VoteExtension})
	if !key.VerifySignature(said, v.ExtensionSignature) {
		return fmt.Errorf("extension's signature does not verify: %w", errVotes)
	}
	return nil
}

// reports checks the extended commit that a block carries and returns what it says.
//
// baseapp.ValidateVoteExtensions is not enough here: it does not compare who voted,
// so that a proposer could make any validator silent; it does not look at what
// stands beside an absent vote; and it has no place for a vote whose extension no
// block can carry, by which one faulty validator could stop the chain. Here a proposer
// may leave out extensions, as CometBFT lets it leave out votes, and with the
// same bound: more than two thirds of the power must be heard. So what all honest
// validators hold is always reported by more than a third.
func (a *App) reports(ctx sdk.Context, height int64, commit abci.ExtendedCommitInfo, last abci.CommitInfo) (heard, error) {
	var said heard
	if !extended(ctx, height, last) {
		if len(commit.Votes) > 0 || commit.Round != 0 {
			return said, fmt.Errorf("%d votes at a height after one without vote extensions: %w", len(commit.Votes), errVotes)
		}
		return said, nil
	}
	if commit.Round != last.Round || len(commit.Votes) != len(last.Votes) {
		return heard{}, fmt.Errorf("%d votes of round %d, the block's last commit has %d of round %d: %w",
			len(commit.Votes), commit.Round, len(last.Votes), last.Round, errVotes)
	}
	var present uint64
	for i, v := range commit.Votes {
		want := last.Votes[i]
		if !bytes.Equal(v.Validator.Address, want.Validator.Address) || v.Validator.Power != want.Validator.Power || v.BlockIdFlag != want.BlockIdFlag {
			return heard{}, fmt.Errorf("vote %d is %X with power %d and flag %s, the block's last commit has %X with power %d and flag %s: %w", i,
				v.Validator.Address, v.Validator.Power, v.BlockIdFlag, want.Validator.Address, want.Validator.Power, want.BlockIdFlag, errVotes)
		}
		power := uint64(max(v.Validator.Power, 0))
		said.power += power
		if len(v.VoteExtension) == 0 && len(v.ExtensionSignature) == 0 {
			continue // did not vote for the block, or is left out
		}
		if v.BlockIdFlag != cmtproto.BlockIDFlagCommit {
			return heard{}, fmt.Errorf("vote %d has flag %s and an extension: %w", i, v.BlockIdFlag, errVotes)
		}
		if err := a.verifyExtension(ctx, height, commit.Round, v); err != nil {
			return heard{}, fmt.Errorf("vote %d of %X: %w", i, v.Validator.Address, err)
		}
		present += power
		// A late vote may say anything. That is signed, and no fault of the proposer.
		e, err := decodeExtension(v.VoteExtension)
		if err != nil {
			continue
		}
		if len(e.Tips) > 0 {
			said.reports = append(said.reports, order.Report{Power: power, Tips: e.Tips})
		}
		if len(e.Confirmed) > 0 || len(e.Denied) > 0 {
			said.ballots = append(said.ballots, availability.Ballot{Power: power, Confirmed: e.Confirmed, Denied: e.Denied})
		}
	}
	if present*3 <= said.power*2 { // CometBFT bounds the sum far below an overflow
		return heard{}, fmt.Errorf("extensions of power %d of %d, want more than two thirds: %w", present, said.power, errVotes)
	}
	return said, nil
}
