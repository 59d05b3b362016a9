package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmttypes "github.com/cometbft/cometbft/types"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	"github.com/spf13/cobra"
	"golang.org/x/crypto/sha3"

	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/internal/jsonrpc"
	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
)

// verifyOptions say what is believed, and where the rest is fetched from.
type verifyOptions struct {
	rpc         string
	sequencer   string
	genesis     string
	period      time.Duration
	trustHeight uint64
	trustHash   string
}

func newTxVerifyCmd() *cobra.Command {
	var network networkFlags
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify HASH",
		Short: "Check against the validators' signatures that a transaction was ordered",
		Long: `Check that the validators ordered a transaction, without believing any server. The
trusted genesis of the sequencer chain, or a block that you trust by its height and hash,
says who the validators are; from there everything is verified here: signatures, the path
to the block's data, the proof that these are all of the rollup's legs in the block, the
digest of the leg, and the transaction in it.`,
		Example: `  ordo tx verify 0x6b1f…
  ordo tx verify 0x6b1f… --rpc http://127.0.0.1:8545 --sequencer http://127.0.0.1:26602 --genesis genesis.json
  ordo tx verify 0x6b1f… --trust-height 1200 --trust-hash 8f0c…`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			hash, err := parseHash(args[0])
			if err != nil {
				return err
			}
			rollups, err := rollupClients(o.rpc, &network)
			if err != nil {
				return err
			}
			if err := o.complete(&network); err != nil {
				return err
			}
			return verifyTx(cmd.Context(), cmd.OutOrStdout(), rollups, hash, o)
		},
	}
	network.add(cmd)
	f := cmd.Flags()
	f.StringVar(&o.rpc, "rpc", "", "RPC of the rollup node that gives the proof (default: all rollups of the devnet)")
	f.StringVar(&o.sequencer, "sequencer", "", "API of the sequencer node that gives headers (default: the devnet's)")
	f.StringVar(&o.genesis, "genesis", "", "trusted genesis of the sequencer chain (default: the devnet's)")
	f.DurationVar(&o.period, "trusting-period", 14*24*time.Hour, "how old what is trusted may be: less than the sequencer chain's unbonding time")
	f.Uint64Var(&o.trustHeight, "trust-height", 0, "height of a trusted block, instead of --genesis")
	f.StringVar(&o.trustHash, "trust-hash", "", "hash of the trusted block, in hex")
	cmd.MarkFlagsRequiredTogether("trust-height", "trust-hash")
	cmd.MarkFlagsMutuallyExclusive("trust-height", "genesis")
	return cmd
}

// complete takes from the devnet what was not typed.
func (o *verifyOptions) complete(network *networkFlags) error {
	if o.sequencer != "" && (o.genesis != "" || o.trustHeight != 0) {
		return nil
	}
	e, err := network.load()
	if err != nil {
		return err
	}
	if o.sequencer == "" {
		o.sequencer = e.Sequencer
	}
	if o.genesis == "" && o.trustHeight == 0 {
		o.genesis = e.Genesis
	}
	return nil
}

// inclusionProof is the answer of ordo_getInclusionProof: nothing in it is believed.
type inclusionProof struct {
	Rollup           string           `json:"rollup"`
	RollupID         string           `json:"rollupId"`
	SequencerHeight  jsonrpc.Quantity `json:"sequencerHeight"`
	Leg              jsonrpc.Quantity `json:"leg"`
	TransactionIndex jsonrpc.Quantity `json:"transactionIndex"`
	RollupBlock      string           `json:"rollupBlock"`
}

// verifyTx fetches a proof and checks it, and says line by line what it checked.
func verifyTx(ctx context.Context, out io.Writer, rollups []*jsonrpc.Client, hash txHash, o verifyOptions) error {
	proof, err := fetchProof(ctx, rollups, hash)
	if err != nil {
		return err
	}
	rollup, block, err := proof.decode()
	if err != nil {
		return fmt.Errorf("the proof is malformed: %w", err)
	}
	checked := func(format string, args ...any) { fmt.Fprintf(out, "  ✓ "+format+"\n", args...) }
	fmt.Fprintf(out, "transaction %s on rollup %s\n", hash, proof.Rollup)

	trust, source, err := o.trust(block)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "  · trusted: %s\n", source)

	height := uint64(proof.SequencerHeight)
	verifier := follower.NewVerifier(rollup, trust, follower.Options{TrustingPeriod: o.period})
	if verifier.Height() > height {
		return fmt.Errorf("the transaction was ordered at height %d, below the trusted block: name a trusted block at or below it", height)
	}
	headers, err := skipTo(ctx, verifier, o.sequencer, rollup, height)
	if errors.Is(err, follower.ErrExpired) {
		return fmt.Errorf("NOT verified: %w: name a newer block that you trust with --trust-height and --trust-hash", err)
	}
	if err != nil {
		return fmt.Errorf("NOT verified: the headers from the trusted block to height %d do not hold: %w", height, err)
	}
	verified, err := verifier.Next(block, time.Now())
	if err != nil {
		return fmt.Errorf("NOT verified: %w", err)
	}
	signers, err := countSigners(verified.Proto)
	if err != nil {
		return fmt.Errorf("NOT verified: %w", err)
	}
	checked("light client: from there to height %d, by way of %s", height, plural(headers, "header"))
	checked("header of height %d, %X, signed by %d of %d validators with %d of %d voting power",
		height, verified.Hash, signers.count, signers.all, signers.power, signers.total)
	checked("ordering header is transaction 0 under the header's data hash")
	checked("namespace proof: %s, and no more, for rollup %s (%s) under the commitment", plural(len(verified.Legs), "leg"), proof.Rollup, rollup)

	at := verified.Find(func(tx []byte) bool { return keccakHex(tx) == string(hash) })
	if len(at) == 0 {
		return fmt.Errorf("NOT verified: the block at height %d is genuine, but none of its transactions for rollup %s hashes to %s", height, proof.Rollup, hash)
	}
	leg := verified.Legs[at[0].Leg]
	checked("leg %d of the block for this rollup, in bundle %s: digest %s over %s", at[0].Leg, leg.BundleID, leg.Digest, plural(len(leg.Transactions), "transaction"))
	checked("transaction %d of the leg hashes (Keccak-256) to %s", at[0].Index, hash)
	fmt.Fprintf(out, "verified: ordered at height %d, %s, as transaction %d of the block's %d for rollup %s\n",
		height, verified.Time.UTC().Format(time.RFC3339Nano), at[0].Offset, len(verified.Transactions()), proof.Rollup)
	return nil
}

func fetchProof(ctx context.Context, rollups []*jsonrpc.Client, hash txHash) (*inclusionProof, error) {
	var last error
	for _, r := range rollups {
		var p inclusionProof
		err := r.Call(ctx, &p, "ordo_getInclusionProof", hash)
		if err == nil {
			return &p, nil
		}
		if last == nil || !errors.Is(err, jsonrpc.ErrNull) {
			last = err
		}
	}
	return nil, fmt.Errorf("no proof for transaction %s (%w): wait until it is ordered, or name the rollup's node with --rpc", hash, last)
}

// decode reads the proof. The rollup's ID must be that of its name: the name is
// what the user is told.
func (p *inclusionProof) decode() (order.RollupID, *orderv1.RollupBlock, error) {
	rollup := order.NewRollupID(p.Rollup)
	if got := strings.TrimPrefix(p.RollupID, "0x"); got != rollup.String() {
		return rollup, nil, fmt.Errorf("rollup ID %s is not that of the name %q, %s", p.RollupID, p.Rollup, rollup)
	}
	raw, err := hex.DecodeString(strings.TrimPrefix(p.RollupBlock, "0x"))
	if err != nil {
		return rollup, nil, fmt.Errorf("decode rollup block: %w", err)
	}
	block, err := follower.DecodeBlock(raw)
	if err != nil {
		return rollup, nil, fmt.Errorf("decode rollup block: %w", err)
	}
	return rollup, block, nil
}

// trust returns where verification starts, and says it in words.
func (o verifyOptions) trust(block *orderv1.RollupBlock) (follower.Trust, string, error) {
	if o.trustHeight == 0 {
		app, err := genutiltypes.AppGenesisFromFile(o.genesis)
		if err != nil {
			return follower.Trust{}, "", fmt.Errorf("read the trusted genesis: %w", err)
		}
		doc, err := app.ToGenesisDoc()
		if err != nil {
			return follower.Trust{}, "", fmt.Errorf("read the trusted genesis: %w", err)
		}
		trust, err := follower.TrustGenesis(doc)
		return trust, fmt.Sprintf("genesis of %s with %s, %s", doc.ChainID, plural(len(doc.Validators), "validator"), o.genesis), err
	}
	trusted, err := follower.ParseTrustedBlock(o.trustHeight, o.trustHash)
	if err != nil {
		return follower.Trust{}, "", fmt.Errorf("--trust-hash: %w", err)
	}
	// The trusted hash covers the chain ID, so it may come from the proof.
	var header cmtproto.SignedHeader
	if err := header.Unmarshal(block.GetSignedHeader()); err != nil || header.Header == nil {
		return follower.Trust{}, "", errors.New("the proof is malformed: it has no header")
	}
	trust, err := follower.TrustHeader(header.Header.ChainID, trusted.Height, trusted.Hash)
	return trust, fmt.Sprintf("block %d of %s with hash %X", trusted.Height, header.Header.ChainID, trusted.Hash), err
}

// skipTo moves the verifier's trust to just below height, and returns how many
// headers that took.
func skipTo(ctx context.Context, v *follower.Verifier, sequencer string, rollup order.RollupID, height uint64) (headers int, err error) {
	if v.Height() == height {
		return 0, nil
	}
	client := sequencerv1connect.NewSequencerServiceClient(&http.Client{Timeout: rpcTimeout}, sequencer, connect.WithReadMaxBytes(maxHeaderAnswer))
	fetch := func(ctx context.Context, height uint64) (*orderv1.RollupBlock, error) {
		headers++
		resp, err := client.GetRollupBlock(ctx, connect.NewRequest(&sequencerv1.GetRollupBlockRequest{RollupId: rollup[:], Height: height}))
		if err != nil {
			return nil, fmt.Errorf("ask %s: %w", sequencer, err)
		}
		return resp.Msg.GetBlock(), nil
	}
	err = v.Skip(ctx, height-1, time.Now, fetch)
	return headers, err
}

// maxHeaderAnswer holds a block with all that it may order for one rollup.
const maxHeaderAnswer = 2 * order.MaxBatchBytes

// signers tells who signed a header.
type signers struct {
	count, all   int
	power, total int64
}

// countSigners reads a verified block for the user's eyes.
func countSigners(block *orderv1.RollupBlock) (signers, error) {
	var header cmtproto.SignedHeader
	if err := header.Unmarshal(block.GetSignedHeader()); err != nil {
		return signers{}, fmt.Errorf("decode signed header: %w", err)
	}
	var pb cmtproto.ValidatorSet
	if err := pb.Unmarshal(block.GetValidators()); err != nil {
		return signers{}, fmt.Errorf("decode validators: %w", err)
	}
	set, err := cmttypes.ValidatorSetFromProto(&pb)
	if err != nil {
		return signers{}, fmt.Errorf("decode validators: %w", err)
	}
	s := signers{all: set.Size(), total: set.TotalVotingPower()}
	for i, sig := range header.Commit.Signatures {
		if sig.BlockIdFlag != cmtproto.BlockIDFlagCommit {
			continue
		}
		if _, v := set.GetByIndex(int32(i)); v != nil {
			s.count++
			s.power += v.VotingPower
		}
	}
	return s, nil
}

// keccakHex is the hash that Ethereum gives to an encoded transaction.
func keccakHex(tx []byte) string {
	h := sha3.NewLegacyKeccak256()
	h.Write(tx)
	return "0x" + hex.EncodeToString(h.Sum(nil))
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
