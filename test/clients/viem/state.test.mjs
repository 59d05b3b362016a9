// What is read: blocks, state, proofs, calls and their failures, many calls in one,
// whole blocks tried out.
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import {
  AbiDecodingZeroDataError, BaseError, ContractFunctionExecutionError, ContractFunctionRevertedError, createPublicClient, encodeFunctionData, hexToBigInt, http, keccak256, pad, parseEther, RawContractError,
  toHex,
} from 'viem'
import { chain, until } from '../lib/devnet.mjs'
import { contracts } from '../lib/contracts.mjs'
import { accounts, deploy, mined, reader, wallet } from './clients.mjs'

let alice, bob, token, faults, batch
const nowhere = '0x00000000000000000000000000000000000000aa'

before(async () => {
  [alice, bob] = await accounts(1, 2)
  token = await deploy(alice, 'Token', ['Coin', 'CN'])
  faults = await deploy(alice, 'Faults')
  batch = await deploy(alice, 'Batch')
  await mined(wallet(alice).writeContract({ ...token, functionName: 'mint', args: [alice.address, 1000n] }))
})

/** Slot of a mapping's value, as Solidity lays it out. */
const slotOf = (address, slot) => keccak256(pad(address) + toHex(slot, { size: 32 }).slice(2))

test('the chain says who it is', async () => {
  assert.equal(await reader.getChainId(), chain.id)
  assert.equal(await reader.request({ method: 'net_version' }), String(chain.id))
  assert.match(await reader.request({ method: 'web3_clientVersion' }), /./)
  assert.equal(await reader.request({ method: 'web3_sha3', params: ['0x68656c6c6f'] }), keccak256('0x68656c6c6f'))
  assert.equal(await reader.request({ method: 'eth_syncing' }), false)
  assert.deepEqual(await reader.request({ method: 'eth_accounts' }), [])
  assert.equal(await reader.request({ method: 'net_listening' }), true)
})

test('blocks by number, hash and tag agree, with and without transactions', async () => {
  const { blockNumber, blockHash, transactionHash } = token.receipt
  const [byNumber, byHash, full] = await Promise.all([
    reader.getBlock({ blockNumber }), reader.getBlock({ blockHash }), reader.getBlock({ blockNumber, includeTransactions: true }),
  ])
  assert.deepEqual(byNumber, byHash)
  assert.deepEqual(full.transactions.map((tx) => tx.hash), byNumber.transactions)
  assert.ok(byNumber.transactions.includes(transactionHash))
  assert.equal(await reader.getBlockTransactionCount({ blockNumber }), byNumber.transactions.length)
  assert.deepEqual(await reader.getTransaction({ blockHash, index: 0 }), full.transactions[0])
  const parent = await reader.getBlock({ blockNumber: blockNumber - 1n })
  assert.equal(byNumber.parentHash, parent.hash)
  assert.ok(byNumber.timestamp >= parent.timestamp)
  assert.equal((await reader.getBlock({ blockTag: 'earliest' })).number, 0n)
  const receipts = await reader.request({ method: 'eth_getBlockReceipts', params: [toHex(blockNumber)] })
  assert.deepEqual(receipts.map((r) => r.transactionHash), byNumber.transactions)
})

test('latest, safe, finalized and pending are blocks in this order', async () => {
  await until('safe', () => reader.getBlock({ blockTag: 'safe' }).catch(() => null), 60)
  const finalized = await until('finalized', () => reader.getBlock({ blockTag: 'finalized' }).catch(() => null), 60)
  const safe = await reader.getBlock({ blockTag: 'safe' })
  const latest = await reader.getBlock({ blockTag: 'latest' })
  const pending = await reader.getBlock({ blockTag: 'pending' })
  assert.ok(finalized.number <= safe.number && safe.number <= latest.number && latest.number < pending.number)
  assert.equal(pending.hash, null)
  await until(`block ${token.receipt.blockNumber} to be finalized`, async () => (await reader.getBlock({ blockTag: 'finalized' })).number >= token.receipt.blockNumber, 60)
})

test('state by number, tag and in the past', async () => {
  const { address } = token
  const value = { address, slot: slotOf(alice.address, 3n) }
  assert.equal(hexToBigInt(await reader.getStorageAt(value)), 1000n)
  assert.equal(hexToBigInt(await reader.getStorageAt({ ...value, blockNumber: token.receipt.blockNumber })), 0n)
  assert.equal(await reader.getCode({ address, blockNumber: token.receipt.blockNumber - 1n }), undefined)
  assert.equal(await reader.getCode({ address }), contracts().Token.deployed)
  for (const blockTag of ['latest', 'pending']) {
    assert.equal(await reader.readContract({ ...token, functionName: 'balanceOf', args: [alice.address], blockTag }), 1000n)
    assert.ok((await reader.getTransactionCount({ address: alice.address, blockTag })) >= 4)
  }
  assert.equal(await reader.readContract({ ...token, functionName: 'balanceOf', args: [alice.address], blockNumber: token.receipt.blockNumber }), 0n)
  assert.equal(await reader.getBalance({ address: nowhere }), 0n)
})

test('eth_getProof proves accounts and storage, and is of the block asked for', async () => {
  const proof = await reader.getProof({ address: token.address, storageKeys: [slotOf(alice.address, 3n), slotOf(bob.address, 3n)] })
  assert.equal(proof.address.toLowerCase(), token.address.toLowerCase())
  assert.equal(proof.codeHash, keccak256(contracts().Token.deployed))
  assert.equal(proof.storageProof[0].value, 1000n)
  assert.equal(proof.storageProof[1].value, 0n)
  assert.equal(keccak256(proof.storageProof[0].proof[0]), proof.storageHash)
  const block = await reader.getBlock({ blockNumber: token.receipt.blockNumber })
  const then = await reader.getProof({ address: token.address, storageKeys: [], blockNumber: block.number })
  assert.equal(keccak256(then.accountProof[0]), block.stateRoot)
  const absent = await reader.getProof({ address: nowhere, storageKeys: [], blockNumber: block.number })
  assert.equal(absent.balance, 0n)
  assert.equal(keccak256(absent.accountProof[0]), block.stateRoot)
})

test('failures of calls are told in full: reason, custom error, panic, nothing at all', async () => {
  const failure = async (functionName, args = []) => {
    const error = await reader.simulateContract({ ...faults, account: alice, functionName, args }).then(() => assert.fail(`${functionName} succeeded`), (e) => e)
    assert.ok(error instanceof ContractFunctionExecutionError, `${functionName}: ${error}`)
    return error.walk((e) => e instanceof ContractFunctionRevertedError) ?? error
  }
  const reason = await failure('reason')
  assert.equal(reason.reason, 'a reason in words')
  assert.equal(reason.data.errorName, 'Error')
  const custom = await failure('custom', [42n])
  assert.equal(custom.data.errorName, 'Refused')
  assert.deepEqual(custom.data.args, [alice.address, 42n])
  const panic = await failure('overflow', [1n])
  assert.equal(panic.data.errorName, 'Panic')
  assert.deepEqual(panic.data.args, [17n])
  assert.ok(await failure('silent') instanceof ContractFunctionRevertedError)
  assert.match((await failure('invalid')).message, /invalid opcode/)
  assert.match((await failure('endless')).message, /out of gas/)
})

test('the same failures when gas is estimated or ether is sent', async () => {
  const reverts = (text) => (e) => e instanceof BaseError && e.message.includes(text)
  await assert.rejects(reader.estimateContractGas({ ...faults, account: alice, functionName: 'reason' }), reverts('a reason in words'))
  await assert.rejects(reader.estimateContractGas({ ...faults, account: alice, functionName: 'custom', args: [5n] }), reverts('Refused'))
  await assert.rejects(wallet(alice).sendTransaction({ to: faults.address, value: 1n }), reverts('takes no ether'))
  await assert.rejects(reader.call({ account: alice, to: faults.address, data: encodeFunctionData({ ...faults, functionName: 'custom', args: [1n] }) }),
    (e) => e.walk((c) => c instanceof RawContractError || c.data)?.data !== undefined)
  await assert.rejects(reader.estimateGas({ account: alice, to: bob.address, value: parseEther('1000') }), reverts('exceeds the balance'))
  await assert.rejects(reader.readContract({ ...token, address: nowhere, functionName: 'name' }), (e) => e.walk((c) => c instanceof AbiDecodingZeroDataError) !== null)
})

test('calls with overrides of state and block', async () => {
  const { address, abi } = token
  const balanceOf = encodeFunctionData({ abi, functionName: 'balanceOf', args: [bob.address] })
  const { data } = await reader.call({ to: address, data: balanceOf, stateOverride: [{ address, stateDiff: [{ slot: slotOf(bob.address, 3n), value: toHex(77n, { size: 32 }) }] }] })
  assert.equal(hexToBigInt(data), 77n)
  assert.equal(await reader.readContract({ abi, address: nowhere, functionName: 'decimals', stateOverride: [{ address: nowhere, code: contracts().Token.deployed }] }), 18)
  const ether = await reader.call({ account: nowhere, to: bob.address, value: parseEther('5'), stateOverride: [{ address: nowhere, balance: parseEther('6') }] })
  assert.equal(ether.data, undefined)
  const number = await reader.call({ to: batch.address, data: encodeFunctionData({ ...batch, functionName: 'getBlockNumber' }), blockOverrides: { number: 123456n } })
  assert.equal(hexToBigInt(number.data), 123456n)
})

test('multicall, by the contract that all chains have, by another one and without', async () => {
  const calls = [
    { ...token, functionName: 'symbol' },
    { ...token, functionName: 'balanceOf', args: [alice.address] },
    { ...faults, functionName: 'custom', args: [3n] },
  ]
  for (const way of [{ multicallAddress: '0xcA11bde05977b3631167028862bE2a173976CA11' }, { multicallAddress: batch.address }, { deployless: true }]) {
    const [symbol, balance, failed] = await reader.multicall({ contracts: calls, ...way })
    assert.equal(symbol.result, 'CN')
    assert.equal(balance.result, 1000n)
    assert.equal(failed.status, 'failure')
    assert.match(failed.error.message, /Refused/)
  }
})

test('eth_simulateV1: blocks of calls on one another, with transfers traced and balances foretold', async () => {
  const { abi, address } = token
  const [first, second] = await reader.simulateBlocks({
    blocks: [
      { calls: [
        { account: alice, to: address, abi, functionName: 'transfer', args: [bob.address, 400n] },
        { account: bob, to: address, abi, functionName: 'transfer', args: [alice.address, 500n] },
      ] },
      { blockOverrides: { time: 5_000_000_000n }, calls: [{ to: address, abi, functionName: 'balanceOf', args: [bob.address] }] },
    ],
  })
  assert.equal(first.calls[0].status, 'success')
  assert.equal(first.calls[0].result, true)
  assert.equal(first.calls[0].logs.length, 1)
  assert.equal(first.calls[1].status, 'failure')
  assert.match(first.calls[1].error.message, /InsufficientBalance/)
  assert.equal(second.calls[0].result, 400n)
  assert.equal(second.number, first.number + 1n)
  assert.equal(second.timestamp, 5_000_000_000n)
  assert.equal(await reader.readContract({ ...token, functionName: 'balanceOf', args: [bob.address] }), 0n, 'nothing happened')

  const { assetChanges, results } = await reader.simulateCalls({
    account: alice, traceAssetChanges: true,
    calls: [{ to: bob.address, value: parseEther('1') }, { to: address, abi, functionName: 'transfer', args: [bob.address, 10n] }],
  })
  assert.ok(results.every((r) => r.status === 'success'))
  const ether = assetChanges.find((c) => c.token.symbol === 'ETH')
  const coin = assetChanges.find((c) => c.token.symbol === 'CN')
  assert.equal(ether.value.diff, -parseEther('1'))
  assert.equal(coin.value.diff, -10n)
})

test('eth_simulateV1 on the pending block', async () => {
  const [block] = await reader.simulateBlocks({ blockTag: 'pending', blocks: [{ calls: [{ account: alice, to: bob.address, value: 1n }] }] })
  assert.equal(block.calls[0].status, 'success')
})

test('requests in one batch are answered each', async () => {
  const bodies = []
  const batched = createPublicClient({ chain, transport: http(undefined, { batch: true, onFetchRequest: async (_, { body }) => { bodies.push(JSON.parse(body)) } }) })
  const [id, number, balance, failed] = await Promise.all([
    batched.getChainId(), batched.getBlockNumber(), batched.getBalance({ address: alice.address }), batched.request({ method: 'eth_nothing' }).catch((e) => e),
  ])
  assert.equal(id, chain.id)
  assert.ok(number > 0n && balance > 0n)
  assert.match(failed.message, /does not exist|not available/)
  assert.equal(bodies.length, 1)
  assert.equal(bodies[0].length, 4)
})
