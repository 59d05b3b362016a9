package app

import (
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmttypes "github.com/cometbft/cometbft/types"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

// ownRoom is more than the ordering header and the framing of both first transactions take.
const ownRoom = 512

// ProposerPatience is for how long a proposer waits that lacks a certificate which others
// have reported, as it is on its way: a proposal without it is refused, and costs all
// validators a round. A proposal that comes late does so, too: CometBFT's timeout for it
// is to be twice as long or longer.
const ProposerPatience = 120 * time.Millisecond

const glance = 5 * time.Millisecond

// choose returns the certificates of this node's proposal in canonical order: first
// those that are required, then what else its lanes offer. Whether it has all that is
// required shows when it evaluates its own proposal.
func (a *App) choose(rules *ordering.Rules, required []order.Tip, maxTxBytes int64, votes abci.ExtendedCommitInfo) ([]*order.Certificate, error) {
	for since := time.Now(); ; {
		certs, err := a.fill(rules, required, maxTxBytes, votes)
		if err != nil || time.Since(since) >= ProposerPatience || order.CheckReach(rules.Limits, rules.Height, certs, rules.Lane, required) == nil {
			return certs, err
		}
		time.Sleep(glance)
	}
}

func (a *App) fill(rules *ordering.Rules, required []order.Tip, maxTxBytes int64, votes abci.ExtendedCommitInfo) ([]*order.Certificate, error) {
	filled := order.Fill(rules.Limits, rules.Height, a.offered(rules), required)
	placed, _, err := order.Arrange(filled, rules.Lane, rules.Committee)
	if err != nil {
		return nil, err
	}
	// The limits leave room for the votes of any ordinary validator set. Where the block
	// is smaller all the same, what comes last waits.
	room := maxTxBytes - ownRoom - cmttypes.ComputeProtoSizeForTxs([]cmttypes.Tx{make([]byte, votes.Size())})
	certs := make([]*order.Certificate, 0, len(placed))
	for _, p := range placed {
		if room -= int64(ordering.CertificateSizeInManifest(p.Certificate.Size())); room < 0 {
			break
		}
		certs = append(certs, p.Certificate)
	}
	return certs, nil
}

// offered returns, of the lanes' candidates, those that the block can take. Lanes live
// apart from the chain; whatever they offer, this node proposes what it would accept.
func (a *App) offered(rules *ordering.Rules) [][]*order.Certificate {
	var out [][]*order.Certificate
	seen := make(map[order.Owner]bool)
	for _, queue := range a.lanes.Candidates() {
		if len(queue) == 0 || seen[queue[0].Header.Owner] {
			continue
		}
		owner := queue[0].Header.Owner
		seen[owner] = true
		mark := rules.Lane(owner).Mark
		var run []*order.Certificate
		for _, c := range queue {
			if c.Header.Mark.Compare(mark) <= 0 {
				continue
			}
			if c.Header.Owner != owner || !mark.Takes(&c.Header) || rules.Committee(c.Header.Epoch) == nil {
				break
			}
			mark = c.Header.Mark
			run = append(run, c)
		}
		out = append(out, run)
	}
	return out
}

// blockLimits bounds the certificates of a block. Those that it must carry have to fit
// into CometBFT's block, so they get at most half of what evidence leaves of it: the
// other half is for votes and ordinary transactions, and governance is heard under load.
func blockLimits(p ordering.Params, c cmtproto.ConsensusParams) order.BlockLimits {
	l := order.BlockLimits{
		Certificates: int(p.MaxBlockCertificates), CertificateBytes: int(p.MaxBlockCertificateBytes), BatchBytes: p.MaxBlockBytes,
	}
	if c.Block != nil && c.Block.MaxBytes >= 0 {
		room := c.Block.MaxBytes
		if c.Evidence != nil {
			room -= c.Evidence.MaxBytes
		}
		l.CertificateBytes = min(l.CertificateBytes, int(max(room, 0)/2))
	}
	return l
}
