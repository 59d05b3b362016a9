// JSON-RPC itself: errors by their codes and data, batches, what EIP-7966 asks of
// eth_sendRawTransactionSync, the pending block, bounds. By plain requests, so that no
// library smooths anything.
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { encodeDeployData, encodeErrorResult, encodeFunctionData, keccak256, numberToHex, parseGwei } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { ask, chain, funded, post, rollup, until } from '../lib/devnet.mjs'
import { contracts } from '../lib/contracts.mjs'

let alice, faults, token
const { Faults, Token } = contracts()
const stranger = () => privateKeyToAccount(generatePrivateKey()).address

async function result(method, ...params) {
  const { result, error } = await ask(method, ...params)
  assert.equal(error, undefined, `${method}: ${JSON.stringify(error)}`)
  return result
}

async function fails(code, text, method, ...params) {
  const { error } = await ask(method, ...params)
  assert.ok(error, `${method} succeeded`)
  assert.equal(error.code, code, `${method}: ${JSON.stringify(error)}`)
  assert.match(error.message, text)
  return error
}

const nonceOf = async (account, tag = 'pending') => Number(await result('eth_getTransactionCount', account.address, tag))

async function signed(account, fields = {}) {
  return account.signTransaction({
    type: 'eip1559', chainId: chain.id, to: stranger(), value: 1n, gas: 21000n, maxFeePerGas: parseGwei('20'), maxPriorityFeePerGas: 1n,
    nonce: fields.nonce ?? await nonceOf(account), ...fields,
  })
}

async function deploy({ abi, bytecode }, args) {
  const receipt = await result('eth_sendRawTransactionSync', await signed(alice, { to: undefined, value: 0n, gas: 3_000_000n, data: encodeDeployData({ abi, bytecode, args }) }))
  return receipt.contractAddress
}

before(async () => {
  [alice] = (await funded(8, 1)).map((key) => privateKeyToAccount(key))
  faults = await deploy(Faults)
  token = await deploy(Token, ['Coin', 'CN'])
})

test('a revert is code 3 with the data of the error, from calls and estimates, at latest and pending', async () => {
  const call = (functionName, args = []) => ({ from: alice.address, to: faults, data: encodeFunctionData({ abi: Faults.abi, functionName, args }) })
  const refused = encodeErrorResult({ abi: Faults.abi, errorName: 'Refused', args: [alice.address, 6n] })
  for (const method of ['eth_call', 'eth_estimateGas']) {
    for (const tag of ['latest', 'pending']) {
      assert.equal((await fails(3, /^execution reverted$/, method, call('custom', [6n]), tag)).data, refused)
      assert.match((await fails(3, /^execution reverted: a reason in words$/, method, call('reason'), tag)).data, /^0x08c379a0/)
      assert.match((await fails(3, /^execution reverted: arithmetic underflow or overflow$/, method, call('overflow', [1n]), tag)).data, /^0x4e487b71.*11$/)
      assert.equal((await fails(3, /^execution reverted$/, method, call('silent'), tag)).data, '0x')
    }
  }
})

test('errors of the protocol have their codes', async () => {
  await fails(-32601, /the method eth_nothing does not exist/, 'eth_nothing')
  await fails(-32602, /missing value for required argument/, 'eth_getBalance')
  await fails(-32602, /invalid argument 0/, 'eth_getBalance', '0x12', 'latest')
  await fails(-32602, /invalid argument 1/, 'eth_getBalance', alice.address, 'newest')
  assert.equal((await post('{"jsonrpc":"2.0","id":1,"meth')).error.code, -32700)
  assert.equal((await post('1')).error.code, -32600)
  assert.equal(await result('eth_getTransactionByHash', `0x${'11'.repeat(32)}`), null)
  assert.equal(await result('eth_getTransactionReceipt', `0x${'11'.repeat(32)}`), null)
  assert.equal(await result('eth_getBlockByNumber', '0xffffffff', false), null)
})

test('batches: answers in order, each its own; notifications have none; bounded', async () => {
  const answers = await post([
    { jsonrpc: '2.0', id: 'a', method: 'eth_chainId' }, { jsonrpc: '2.0', id: 2, method: 'eth_nothing' }, { jsonrpc: '2.0', method: 'eth_chainId' },
    { jsonrpc: '2.0', id: 4, method: 'eth_blockNumber' },
  ])
  assert.deepEqual(answers.map((a) => a.id), ['a', 2, 4])
  assert.equal(answers[0].result, numberToHex(chain.id))
  assert.equal(answers[1].error.code, -32601)
  const many = await post(Array.from({ length: 5000 }, (_, id) => ({ jsonrpc: '2.0', id, method: 'eth_chainId' })))
  assert.match(JSON.stringify(many), /batch too large/)
})

test('a browser may ask from any page', async () => {
  const answer = await fetch(rollup.rpc, { method: 'OPTIONS', headers: { origin: 'http://example.org', 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' } })
  assert.ok(answer.ok)
  assert.equal(answer.headers.get('access-control-allow-origin'), '*')
})

test('eth_sendRawTransactionSync takes an absent, null, 0, number or hex timeout', async () => {
  for (const timeout of [[], [null], [0], ['0x0'], [5000], ['0x1388']]) {
    const raw = await signed(alice)
    const receipt = await result('eth_sendRawTransactionSync', raw, ...timeout)
    assert.equal(receipt.status, '0x1', JSON.stringify(timeout))
    assert.equal(receipt.transactionHash, keccak256(raw))
    assert.deepEqual(await result('eth_getTransactionReceipt', receipt.transactionHash), receipt)
  }
})

test('eth_sendRawTransactionSync: code 4 when time is up, and the transaction goes on', async () => {
  const raw = await signed(alice)
  const error = await fails(4, /wasn't processed|timeout/i, 'eth_sendRawTransactionSync', raw, 1)
  assert.equal(error.data, keccak256(raw))
  await until('the receipt', () => result('eth_getTransactionReceipt', keccak256(raw)))
})

test('eth_sendRawTransactionSync: code 5 for who cannot pay, 6 for a nonce ahead', async () => {
  const poor = privateKeyToAccount(generatePrivateKey())
  const broke = await ask('eth_sendRawTransactionSync', await signed(poor, { nonce: 0 }))
  assert.match(broke.error.message, /insufficient funds/)
  const nonce = await nonceOf(alice)
  const error = await fails(6, /nonce too high/, 'eth_sendRawTransactionSync', await signed(alice, { nonce: nonce + 2 }))
  assert.equal(error.data, numberToHex(nonce))
  assert.equal(await nonceOf(alice), nonce, 'it was not taken in')
  await fails(-32000, /nonce too low/, 'eth_sendRawTransactionSync', await signed(alice, { nonce: 0 }))
})

test('a transaction may be waited for until it is certified: pending state has it', async () => {
  const to = stranger()
  const receipt = await result('eth_sendRawTransactionSync', await signed(alice, { to, value: 7n }), null, { until: 'certified' })
  assert.equal(receipt.status, '0x1')
  assert.equal(await result('eth_getBalance', to, 'pending'), '0x7')
  await until('the ordered one', async () => (await result('eth_getBalance', to, 'latest')) === '0x7')
})

test('the pending tag is answered everywhere', async () => {
  const mint = { from: alice.address, to: token, data: encodeFunctionData({ abi: Token.abi, functionName: 'mint', args: [alice.address, 1n] }) }
  const slot = `0x${'0'.repeat(63)}2`
  assert.equal(await result('eth_getStorageAt', token, slot, 'pending'), `0x${'0'.repeat(64)}`)
  assert.equal(await result('eth_getCode', token, 'pending'), Token.deployed)
  assert.equal((await result('eth_getProof', token, [slot], 'pending')).storageProof[0].value, '0x0')
  assert.ok(Number(await result('eth_estimateGas', mint, 'pending')) > 21000)
  assert.equal((await result('eth_createAccessList', mint, 'pending')).accessList.length, 1)
  assert.equal((await result('eth_simulateV1', { blockStateCalls: [{ calls: [mint] }] }, 'pending'))[0].calls[0].status, '0x1')
  const pending = await result('eth_getBlockByNumber', 'pending', false)
  const latest = await result('eth_getBlockByNumber', 'latest', false)
  assert.ok(Number(pending.number) > Number(latest.number) - 1)
  assert.deepEqual([pending.hash, pending.nonce, pending.miner], [null, null, null])
  assert.ok((await result('eth_feeHistory', '0x2', 'pending', [50])).baseFeePerGas.length >= 2)
  assert.ok(Array.isArray(await result('eth_getLogs', { fromBlock: 'latest', toBlock: 'pending', address: token })))
  assert.ok(Array.isArray(await result('eth_getBlockReceipts', 'pending')))
})

test('calls at pending take overrides of state, block and precompiles', async () => {
  const batch = contracts().Batch
  const at = stranger()
  const number = await result('eth_call', { to: at, data: encodeFunctionData({ abi: batch.abi, functionName: 'getBlockNumber' }) }, 'pending', { [at]: { code: batch.deployed } }, { number: '0xabcdef' })
  assert.equal(BigInt(number), 0xabcdefn)
  const identity = '0x0000000000000000000000000000000000000004'
  const moved = stranger()
  assert.equal(await result('eth_call', { to: moved, data: '0x1234' }, 'pending', { [identity]: { movePrecompileToAddress: moved } }), '0x1234')
})

test('the queue is shown as a pool: ready, and waiting for a nonce', async () => {
  const [key] = await funded(8, 1)
  const account = privateKeyToAccount(key)
  await result('eth_sendRawTransaction', await signed(account, { nonce: 3 }))
  const shown = await result('txpool_contentFrom', account.address)
  assert.deepEqual(Object.keys(shown.queued), ['3'])
  assert.deepEqual(shown.pending, {})
  assert.ok(Number((await result('txpool_status')).queued) >= 1)
})

test('filters and subscriptions that cannot be are refused', async () => {
  await fails(-32000, /filter not found/, 'eth_getFilterChanges', '0x1')
  await fails(-32601, /notifications not supported/, 'eth_subscribe', 'newHeads')
  await fails(-32000, /exceed max addresses/, 'eth_getLogs', { fromBlock: 'earliest', address: Array.from({ length: 1100 }, (_, i) => numberToHex(i, { size: 20 })) })
  await fails(-32602, /invalid block range/, 'eth_getLogs', { fromBlock: '0x2', toBlock: '0x1' })
})

test('the traces that explorers ask for', async () => {
  const { transactionHash } = await result('eth_sendRawTransactionSync', await signed(alice, { to: faults, value: 0n, gas: 100_000n, data: encodeFunctionData({ abi: Faults.abi, functionName: 'custom', args: [1n] }) }))
  const trace = await result('debug_traceTransaction', transactionHash, { tracer: 'callTracer' })
  assert.equal(trace.error, 'execution reverted')
  assert.equal(trace.to, faults)
  const prestate = await result('debug_traceTransaction', transactionHash, { tracer: 'prestateTracer' })
  assert.ok(Object.keys(prestate).includes(alice.address.toLowerCase()))
})
