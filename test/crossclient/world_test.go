package crossclient

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/evm"
)

const (
	chainID  = 31337
	gasLimit = 15_000_000
	poor     = 20 // accounts that have nothing at first
)

var epoch = time.Unix(1_900_000_000, 0)

func contract(n byte) common.Address { return common.Address{0xc0, 19: n} }

// The contracts that random transactions call.
var (
	storer    = contract(1)
	reverter  = contract(2)
	burner    = contract(3)
	logger    = contract(4)
	forwarder = contract(5)
	drainer   = contract(6)
	creator   = contract(7)
	reader    = contract(8)
	destroyer = contract(9)
)

var code = map[common.Address]string{
	storer:    "425f355500",            // storage[word] = time
	reverter:  "425f35555f5ffd",        // the same, then revert
	burner:    "5b5f56",                // loops until the gas is used up
	logger:    "425f5fa100",            // logs the time
	forwarder: "5f5f5f5f345f355af100",  // sends the value to the address in the first word
	drainer:   "5f5f5f5f47335af100",    // sends all it has to the caller
	creator:   "5f5f5ff000",            // creates a contract, which takes a nonce
	reader:    "600143034044" + "5500", // storage[randao] = hash of the block before
	destroyer: "33ff",
}

// genesis is the chain's, said in full: op-geth wants the blob schedule of every fork.
func genesis(t testing.TB) []byte {
	t.Helper()
	alloc := types.GenesisAlloc{}
	for address, hex := range code {
		alloc[address] = types.Account{Code: common.FromHex(hex), Balance: new(big.Int)}
	}
	g := evm.DevGenesis(chainID, alloc)
	g.GasLimit = gasLimit
	raw, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	return edit(t, raw, func(config map[string]any) {
		schedule := config["blobSchedule"].(map[string]any)
		schedule["osaka"] = schedule["prague"]
	})
}

// edit changes the settings in a genesis.
func edit(t testing.TB, genesis []byte, how func(config map[string]any)) []byte {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal(genesis, &all); err != nil {
		t.Fatal(err)
	}
	how(all["config"].(map[string]any))
	out, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// nonces are what a state says of accounts.
type nonces interface{ GetNonce(common.Address) uint64 }

// world makes random blocks: what people send, what they should not, and what nobody
// would. It looks at the state, to be right often enough.
type world struct {
	t      testing.TB
	rng    *rand.Rand
	keys   []*ecdsa.PrivateKey // rich ones first
	rich   int
	signer types.Signer
	state  nonces
	nonces map[common.Address]uint64 // after what the block holds so far
	past   [][]byte                  // transactions of earlier blocks, some
}

func newWorld(t testing.TB, seed uint64) *world {
	t.Helper()
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 7)), signer: types.LatestSignerForChainID(big.NewInt(chainID))}
	for _, a := range evm.DevAccounts {
		k, err := crypto.HexToECDSA(strings.TrimPrefix(a.PrivateKey, "0x"))
		if err != nil {
			t.Fatal(err)
		}
		w.keys = append(w.keys, k)
	}
	w.rich = len(w.keys)
	for i := range poor {
		seed := sha256.Sum256([]byte{byte(i), 'p'})
		k, err := crypto.ToECDSA(seed[:])
		if err != nil {
			t.Fatal(err)
		}
		w.keys = append(w.keys, k)
	}
	return w
}

// block returns the block of that sequencer height, on a state.
func (w *world) block(height uint64, on nonces) execution.Block {
	w.state, w.nonces = on, map[common.Address]uint64{}
	var txs [][]byte
	switch w.rng.IntN(12) {
	case 0: // empty
	case 1: // more than the block has room for
		for range 20 {
			txs = append(txs, w.call(w.someone(w.rich), &burner, uint64(500_000+w.rng.IntN(3_000_000)), nil, 0))
		}
		txs = append(txs, w.some(6)...)
	case 2: // hostile: transactions of accounts without funds, among a few others
		for range 40 {
			txs = append(txs, w.pay(w.rich+w.rng.IntN(poor), w.someone(len(w.keys)), params.Ether))
		}
		txs = append(txs, w.pay(0, 1, 1), w.pay(1, 2, 1))
	default:
		txs = w.some(w.rng.IntN(24))
	}
	if len(txs) > 0 && len(w.past) < 50 {
		w.past = append(w.past, txs[w.rng.IntN(len(txs))])
	}
	return execution.Block{
		Height: height, Hash: sha256.Sum256(binary.BigEndian.AppendUint64([]byte("cross client"), height)),
		Time: epoch.Add(time.Duration(height) * time.Second), Transactions: txs,
	}
}

func (w *world) some(n int) (txs [][]byte) {
	for range n {
		txs = append(txs, w.transactions()...)
		if len(txs) > 0 && w.rng.IntN(12) == 0 {
			txs = append(txs, txs[w.rng.IntN(len(txs))]) // once more
		}
	}
	return txs
}

// transactions returns one transaction, or several that belong together.
func (w *world) transactions() [][]byte {
	one := func(tx []byte) [][]byte { return [][]byte{tx} }
	from, to := w.someone(w.rich), w.someone(len(w.keys))
	word := make([]byte, 32)
	word[31] = byte(w.rng.IntN(8))
	switch w.rng.IntN(28) {
	case 0, 1, 2:
		return one(w.pay(from, to, int64(w.rng.IntN(1000))))
	case 3, 4:
		return one(w.call(from, &storer, 80_000, word, 0))
	case 5, 6:
		return one(w.call(from, &reverter, 80_000, word, 0))
	case 7:
		return one(w.call(from, &burner, uint64(30_000+w.rng.IntN(1_000_000)), nil, 0))
	case 8:
		return one(w.call(from, &logger, 60_000, nil, 0))
	case 9:
		return one(w.call(from, &reader, 80_000, nil, 0))
	case 10:
		return one(w.call(from, &destroyer, 60_000, nil, int64(w.rng.IntN(2))))
	case 11: // a contract whose code is the word, more or less
		return one(w.call(from, nil, 200_000, append([]byte{0x60, 0x01, 0x5f, 0x53, 0x60, 0x01, 0x5f, 0xf3}, word...), 0))
	case 12, 13: // funds in the block, spent in the block
		return w.funded(w.rich + w.rng.IntN(poor))
	case 14:
		return one(w.delegate(from, w.rich+w.rng.IntN(poor)))
	case 15: // whoever is delegated does something, maybe loses all it has
		target := w.address(w.rich + w.rng.IntN(poor))
		return one(w.call(from, &target, 120_000, nil, 0))
	case 16: // by the poor themselves
		return one(w.pay(w.rich+w.rng.IntN(poor), to, int64(w.rng.IntN(1000))))
	case 17: // a withdrawal request (EIP-7002), which the block's header tells of
		return one(w.call(from, &params.WithdrawalQueueAddress, 300_000, make([]byte, 56), 100))
	case 18:
		return one(w.legacy(from, to))
	default:
		return one(w.wrong(from, to))
	}
}

// funded gives a poor account a little and spends it at once.
func (w *world) funded(who int) [][]byte {
	word := make([]byte, 32)
	copy(word[12:], w.address(who).Bytes())
	const some = 21_000 * 100e9 * 3
	first := w.pay(w.someone(w.rich), who, some)
	if w.rng.IntN(2) == 0 {
		first = w.call(w.someone(w.rich), &forwarder, 100_000, word, some)
	}
	return [][]byte{first, w.pay(who, w.someone(len(w.keys)), 1), w.pay(who, w.someone(len(w.keys)), 1)}
}

// delegate lets an account have the code of a contract (EIP-7702).
func (w *world) delegate(from, who int) []byte {
	code := []common.Address{drainer, creator, storer, {}}[w.rng.IntN(4)]
	authority := w.address(who)
	auth, err := types.SignSetCode(w.keys[who], types.SetCodeAuthorization{
		ChainID: *uint256.NewInt(chainID), Address: code, Nonce: w.nonce(authority),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.nonces[authority]++
	return w.sign(from, &types.SetCodeTx{
		ChainID: uint256.NewInt(chainID), Nonce: w.take(from), Gas: 150_000, To: authority,
		GasTipCap: uint256.NewInt(1), GasFeeCap: uint256.NewInt(100e9), AuthList: []types.SetCodeAuthorization{auth},
	})
}

// wrong returns what is not applied, for one reason or another.
func (w *world) wrong(from, to int) []byte {
	target := w.address(to)
	data := &types.DynamicFeeTx{
		ChainID: big.NewInt(chainID), Nonce: w.nonce(w.address(from)), Gas: 21_000, To: &target, Value: big.NewInt(1),
		GasTipCap: big.NewInt(1), GasFeeCap: big.NewInt(100e9),
	}
	switch w.rng.IntN(14) {
	case 0: // garbage
		raw := make([]byte, w.rng.IntN(300))
		for i := range raw {
			raw[i] = byte(w.rng.Uint32())
		}
		return raw
	case 1: // underpriced, or just about
		data.GasFeeCap = big.NewInt(int64(w.rng.IntN(2e9)))
		data.GasTipCap = new(big.Int)
	case 2: // oversized
		data.Data = make([]byte, evm.MaxTransactionBytes+w.rng.IntN(1000))
	case 3: // another chain's
		raw, err := types.MustSignNewTx(w.keys[from], types.LatestSignerForChainID(big.NewInt(chainID+1)), &types.DynamicFeeTx{
			ChainID: big.NewInt(chainID + 1), Gas: 21_000, To: &target, GasTipCap: big.NewInt(1), GasFeeCap: big.NewInt(100e9),
		}).MarshalBinary()
		if err != nil {
			w.t.Fatal(err)
		}
		return raw
	case 4:
		data.Nonce += uint64(1 + w.rng.IntN(3))
	case 5:
		data.Nonce -= min(data.Nonce, 1)
	case 6:
		data.Gas = uint64(20_000 + w.rng.IntN(1000))
	case 7:
		data.Gas = gasLimit + uint64(w.rng.IntN(5e6))
	case 8:
		data.Value = new(big.Int).Lsh(big.NewInt(1), uint(100+w.rng.IntN(150)))
	case 9: // a deposit, which would mint
		return append([]byte{0x7e}, w.sign(from, data)...)
	case 10:
		return w.sign(from, &types.BlobTx{
			ChainID: uint256.NewInt(chainID), Gas: 21_000, To: target, Nonce: data.Nonce, BlobFeeCap: uint256.NewInt(1),
			GasTipCap: uint256.NewInt(1), GasFeeCap: uint256.NewInt(100e9), BlobHashes: []common.Hash{{1}},
		})
	case 11: // cut off
		raw := w.sign(from, data)
		return raw[:w.rng.IntN(len(raw))]
	case 12: // of long ago
		if len(w.past) > 0 {
			return w.past[w.rng.IntN(len(w.past))]
		}
	case 13: // calldata that costs more than the gas (EIP-7623)
		data.Data = make([]byte, 4000)
		data.Gas = 21_000 + 4*4000 + uint64(w.rng.IntN(30_000))
	}
	return w.sign(from, data)
}

func (w *world) someone(of int) int { return w.rng.IntN(of) }

func (w *world) address(i int) common.Address { return crypto.PubkeyToAddress(w.keys[i].PublicKey) }

func (w *world) nonce(a common.Address) uint64 { return w.state.GetNonce(a) + w.nonces[a] }

// take returns an account's next nonce and uses it up.
func (w *world) take(i int) uint64 {
	a := w.address(i)
	n := w.nonce(a)
	w.nonces[a]++
	return n
}

func (w *world) pay(from, to int, value int64) []byte {
	a := w.address(to)
	return w.call(from, &a, 21_000, nil, value)
}

func (w *world) call(from int, to *common.Address, gas uint64, data []byte, value int64) []byte {
	return w.sign(from, &types.DynamicFeeTx{
		ChainID: big.NewInt(chainID), Nonce: w.take(from), Gas: gas, To: to, Value: big.NewInt(value), Data: data,
		GasTipCap: big.NewInt(int64(w.rng.IntN(3))), GasFeeCap: big.NewInt(100e9),
		AccessList: types.AccessList{},
	})
}

// legacy returns a transaction of the old form, with or without a chain ID.
func (w *world) legacy(from, to int) []byte {
	a := w.address(to)
	data := &types.LegacyTx{Nonce: w.take(from), Gas: 30_000, To: &a, Value: big.NewInt(1), GasPrice: big.NewInt(100e9)}
	signer := w.signer
	if w.rng.IntN(2) == 0 {
		signer = types.HomesteadSigner{}
	}
	raw, err := types.MustSignNewTx(w.keys[from], signer, data).MarshalBinary()
	if err != nil {
		w.t.Fatal(err)
	}
	return raw
}

func (w *world) sign(from int, data types.TxData) []byte {
	raw, err := types.MustSignNewTx(w.keys[from], w.signer, data).MarshalBinary()
	if err != nil {
		w.t.Fatal(err)
	}
	return raw
}
