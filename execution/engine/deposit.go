package engine

import (
	"bytes"
	"encoding/binary"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/trie"

	"github.com/ordo-network/ordo/execution"
)

// An OP Stack block begins with a deposit that tells the predeploy L1Block of the L1
// block it hangs on (OP Stack specification, "L1 Attributes Deposited Transaction"), and
// clients cannot tell the receipts of a block without. Here that block is the
// sequencer's: its height, time and hash. It mints nothing, and sets every fee for an
// L1's data to nothing. It is the only deposit there is.

const (
	// depositGas is the gas limit that the specification gives it.
	depositGas = 1_000_000

	selectorEcotone = 0x440a5e20 // setL1BlockValuesEcotone()
	selectorIsthmus = 0x098999be // setL1BlockValuesIsthmus()
)

var (
	depositFrom = common.HexToAddress("0xDeaDDEaDDeAdDeAdDEAdDEaddeAddEAdDEAd0001")
	depositTo   = common.HexToAddress("0x4200000000000000000000000000000000000015")
)

// attributesDeposit is the first transaction of the block made from a sequencer block.
func attributesDeposit(f *forks, b execution.Block) (hexutil.Bytes, error) {
	selector := uint32(selectorEcotone)
	if f.isthmus {
		selector = selectorIsthmus
	}
	word := make([]byte, 32)
	data := binary.BigEndian.AppendUint32(nil, selector)
	data = append(data, word[:8]...) // scalars of the base fee and the blob base fee: none
	data = append(data, word[:8]...) // number of the block since the L1's: each is the first
	data = binary.BigEndian.AppendUint64(data, uint64(b.Time.Unix()))
	data = binary.BigEndian.AppendUint64(data, b.Height)
	data = append(data, word...)                // base fee
	data = append(append(data, word[1:]...), 1) // blob base fee, as low as it gets
	data = append(data, b.Hash[:]...)
	data = append(data, word...) // batcher: nobody
	if f.isthmus {
		data = append(data, word[:12]...) // operator fee: none
	}
	inner := crypto.Keccak256(b.Hash[:], word)
	raw, err := rlp.EncodeToBytes(&struct {
		Source common.Hash
		From   common.Address
		To     common.Address
		Mint   []byte
		Value  []byte
		Gas    uint64
		System bool
		Data   []byte
	}{
		Source: crypto.Keccak256Hash(append(word[:31:31], 1), inner), // 1 is the domain of these deposits
		From:   depositFrom, To: depositTo, Gas: depositGas, Data: data,
	})
	return append(hexutil.Bytes{typeDeposit}, raw...), err
}

// rawTransactions are hashed for a block's header, whatever their types.
type rawTransactions [][]byte

// Len implements types.DerivableList.
func (r rawTransactions) Len() int { return len(r) }

// EncodeIndex implements types.DerivableList.
func (r rawTransactions) EncodeIndex(i int, w *bytes.Buffer) { w.Write(r[i]) }

func (r rawTransactions) root() common.Hash { return types.DeriveSha(r, trie.NewStackTrie(nil)) }
