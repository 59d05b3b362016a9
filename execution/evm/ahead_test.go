package evm_test

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/holiman/uint256"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/evm"
)

// A node that was told of blocks before their turn, of some wrongly and of some not at all, makes
// the same of them as one that was not: also under a fork that comes between, before which a
// transaction that is valid behind it is none.
func TestPrepareChangesNothing(t *testing.T) {
	t.Parallel()
	const blocks = 60
	fork := uint64(epoch.Add(blocks / 2 * 100 * time.Millisecond).Unix())
	genesis := evm.DevGenesis(chainID, nil)
	genesis.Config.PragueTime, genesis.Config.OsakaTime = &fork, &fork
	to := common.HexToAddress("0x1234")
	wrong := append(invalid(t), nil, []byte("garbage"))
	random := rand.New(rand.NewPCG(1, 2))
	var order []execution.Block
	setCode, nonce := map[bool]int{}, uint64(0)
	for height := uint64(1); height <= blocks; height++ {
		var txs [][]byte
		for range random.IntN(80) {
			switch random.IntN(4) {
			case 0:
				txs = append(txs, wrong[random.IntN(len(wrong))])
			case 1:
				auth, err := types.SignSetCode(key(t, 3), types.SetCodeAuthorization{ChainID: *uint256.NewInt(chainID), Address: to})
				if err != nil {
					t.Fatal(err)
				}
				txs = append(txs, sign(t, key(t, 2), &types.SetCodeTx{
					ChainID: uint256.NewInt(chainID), Nonce: uint64(setCode[true]), Gas: 200_000, To: to,
					GasTipCap: uint256.NewInt(1), GasFeeCap: uint256.NewInt(10_000_000_000), AuthList: []types.SetCodeAuthorization{auth},
				}))
				active := uint64(block(height).Time.Unix()) >= fork
				setCode[active]++
			default:
				txs = append(txs, transfer(t, 0, nonce, to))
				nonce++
			}
		}
		order = append(order, block(height, txs...))
	}
	if setCode[false] == 0 || setCode[true] == 0 {
		t.Fatalf("the fork does not come between: %v", setCode)
	}

	told, plain := openGenesis(t, t.TempDir(), genesis), openGenesis(t, t.TempDir(), genesis)
	next := 0
	for i, b := range order {
		for ; next < min(i+random.IntN(6), len(order)); next++ {
			ahead := order[next]
			switch random.IntN(5) {
			case 0:
				continue
			case 1:
				ahead.Transactions = append(slices.Clone(ahead.Transactions), transfer(t, 1, 0, to))
			case 2:
				ahead.Transactions = slices.Clone(ahead.Transactions)
				slices.Reverse(ahead.Transactions)
			}
			told.Prepare(ahead)
		}
		next = max(next, i+1)
		got, want := execute(t, told, b), execute(t, plain, b)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("block %d: %+v, want %+v", b.Height, got, want)
		}
	}
	if head := plain.BlockChain().CurrentBlock(); head.GasUsed == 0 || len(execute(t, plain, block(blocks+1, wrong...)).Skipped) != len(wrong) {
		t.Fatal("the order has nothing in it")
	}
}

// What is told and never comes is bounded, and does not keep a client from closing or from
// being told of what comes next.
func TestPrepareIsBounded(t *testing.T) {
	t.Parallel()
	c := open(t, t.TempDir())
	tx := transfer(t, 0, 0, common.HexToAddress("0x1234"))
	many := make([][]byte, 4000)
	for i := range many {
		many[i] = tx
	}
	for height := uint64(2); height < 200; height++ {
		c.Prepare(block(height, many...))
	}
	blocks, bytes := c.Prepared()
	if blocks < 2 || bytes > 16<<20 {
		t.Errorf("%d blocks and %d bytes are kept, want several of at most 16 MiB", blocks, bytes)
	}
	execute(t, c, block(300, tx))
	if blocks, bytes := c.Prepared(); blocks != 0 || bytes != 0 {
		t.Errorf("%d blocks and %d bytes are kept below what was executed", blocks, bytes)
	}
	c.Prepare(block(301, many...))
	if blocks, _ := c.Prepared(); blocks != 1 {
		t.Errorf("%d blocks are kept, want the next", blocks)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c.Prepare(block(302, many...))
	if blocks, _ := c.Prepared(); blocks != 0 {
		t.Error("a closed client takes a block")
	}
}
