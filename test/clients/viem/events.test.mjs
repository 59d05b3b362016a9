// What is told as it happens: logs, filters, and subscriptions over WebSocket.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { encodeEventTopics, parseAbiItem, toHex } from 'viem'
import { until } from '../lib/devnet.mjs'
import { accounts, deploy, mined, reader, socket, wallet } from './clients.mjs'

const transfer = parseAbiItem('event Transfer(address indexed from, address indexed to, uint256 value)')
let alice, bob, token, ws

before(async () => {
  [alice, bob] = await accounts(1, 2)
  token = await deploy(alice, 'Token', ['Coin', 'CN'])
  ws = socket()
})

after(async () => (await ws.transport.getRpcClient()).close())

const mint = (to, value) => mined(wallet(alice).writeContract({ ...token, functionName: 'mint', args: [to, value] }))

/** Subscribes and resolves once the node has given the subscription its ID. */
async function subscribe(...params) {
  const heard = []
  const { unsubscribe } = await ws.transport.subscribe({ params, onData: (data) => heard.push(data.result), onError: (e) => heard.push(e) })
  return { heard, unsubscribe }
}

test('eth_getLogs by address, topics, ranges and block hash', async () => {
  const a = await mint(alice.address, 1n)
  const b = await mint(bob.address, 2n)
  const range = { address: token.address, fromBlock: token.receipt.blockNumber, toBlock: 'latest' }
  const all = await reader.getLogs({ ...range, event: transfer })
  assert.deepEqual(all.map((l) => l.args.value), [1n, 2n])
  assert.deepEqual(all.map((l) => l.transactionHash), [a.transactionHash, b.transactionHash])
  assert.ok(all.every((l) => l.removed === false && l.blockHash !== null && l.logIndex !== null))
  assert.deepEqual((await reader.getLogs({ ...range, event: transfer, args: { to: bob.address } })).map((l) => l.args.value), [2n])
  assert.deepEqual((await reader.getLogs({ ...range, event: transfer, args: { to: [alice.address, bob.address] } })).length, 2)
  assert.deepEqual((await reader.getLogs({ address: token.address, blockHash: a.blockHash })).filter((l) => l.transactionHash === a.transactionHash).length, 1)
  assert.deepEqual(await reader.getLogs({ ...range, event: parseAbiItem('event Other(uint256 x)') }), [])
  assert.deepEqual(await reader.getLogs({ ...range, fromBlock: b.blockNumber + 1n, toBlock: b.blockNumber + 1n }).catch(() => []), [])
  assert.deepEqual(all[0].blockNumber, a.logs[0].blockNumber)
  assert.deepEqual((await reader.getContractEvents({ ...token, eventName: 'Transfer', fromBlock: range.fromBlock })).length, 2)
})

test('filters: of events, of blocks, of pending transactions', async () => {
  const events = await reader.createContractEventFilter({ ...token, eventName: 'Transfer', fromBlock: token.receipt.blockNumber })
  const blocks = await reader.createBlockFilter()
  const pending = await reader.createPendingTransactionFilter()
  const before = (await reader.getFilterLogs({ filter: events })).length
  await reader.getFilterChanges({ filter: events })
  const receipt = await mint(alice.address, 3n)
  const changes = []
  await until('the event', async () => changes.push(...await reader.getFilterChanges({ filter: events })) && changes.some((l) => l.transactionHash === receipt.transactionHash))
  assert.equal(changes.at(-1).args.value, 3n)
  assert.equal((await reader.getFilterLogs({ filter: events })).length, before + 1)
  const hashes = []
  await until('the block', async () => hashes.push(...await reader.getFilterChanges({ filter: blocks })) && hashes.includes(receipt.blockHash))
  const sent = []
  await until('the transaction', async () => sent.push(...await reader.getFilterChanges({ filter: pending })) && sent.includes(receipt.transactionHash))
  for (const filter of [events, blocks, pending]) assert.equal(await reader.uninstallFilter({ filter }), true)
  await assert.rejects(reader.getFilterChanges({ filter: events }), /filter not found/)
})

test('viem watches events and blocks by polling', async () => {
  const logs = []
  const numbers = []
  const stops = [
    reader.watchContractEvent({ ...token, eventName: 'Transfer', onLogs: (l) => logs.push(...l) }),
    reader.watchBlockNumber({ onBlockNumber: (n) => numbers.push(n), emitMissed: true }),
  ]
  await until('an event', async () => {
    await mint(bob.address, 4n)
    return logs.length > 0
  })
  await until('block numbers', () => numbers.length > 1)
  for (let i = 1; i < numbers.length; i++) assert.equal(numbers[i], numbers[i - 1] + 1n)
  stops.forEach((stop) => stop())
})

test('eth_subscribe newHeads: every block, in order, as eth_getBlock has it', async () => {
  const { heard, unsubscribe } = await subscribe('newHeads')
  await mint(alice.address, 5n)
  await until('three heads', async () => heard.length > 2 || (await mint(alice.address, 5n), false))
  for (let i = 1; i < heard.length; i++) assert.equal(heard[i].parentHash, heard[i - 1].hash)
  const block = await reader.request({ method: 'eth_getBlockByHash', params: [heard[0].hash, false] })
  for (const [key, value] of Object.entries(heard[0])) assert.deepEqual(value ?? undefined, block[key], key)
  await unsubscribe()
})

test('eth_subscribe logs: those asked for, as their receipt has them', async () => {
  const topics = encodeEventTopics({ ...token, eventName: 'Transfer', args: { to: bob.address } })
  const { heard, unsubscribe } = await subscribe('logs', { address: token.address, topics })
  await mint(alice.address, 6n)
  const receipt = await mint(bob.address, 7n)
  await until('the log', () => heard.length > 0)
  assert.deepEqual(heard.map((l) => l.transactionHash), [receipt.transactionHash])
  const stored = await reader.request({ method: 'eth_getTransactionReceipt', params: [receipt.transactionHash] })
  assert.deepEqual(heard[0], stored.logs[0])
  await unsubscribe()
  await mint(bob.address, 8n)
  assert.equal(heard.length, 1, 'no log after the subscription ended')
})

test('eth_subscribe newPendingTransactions: hashes, or whole transactions', async () => {
  const hashes = await subscribe('newPendingTransactions')
  const whole = await subscribe('newPendingTransactions', true)
  const { transactionHash } = await mint(alice.address, 9n)
  await until('the hash', () => hashes.heard.includes(transactionHash))
  const tx = await until('the transaction', () => whole.heard.find((t) => t.hash === transactionHash))
  assert.equal(tx.from.toLowerCase(), alice.address.toLowerCase())
  assert.equal(tx.to.toLowerCase(), token.address.toLowerCase())
  assert.equal(tx.blockHash, null)
  await Promise.all([hashes.unsubscribe(), whole.unsubscribe()])
})

test("Ordo's own subscriptions, through viem: what is certified, and how far a transaction has come", async () => {
  const certified = await subscribe('certifiedTransactions')
  const { transactionHash } = await mint(alice.address, 11n)
  await until('the certified transaction', () => certified.heard.includes(transactionHash))
  const status = await subscribe('transactionStatus', transactionHash)
  const last = await until('finality', () => status.heard.find((s) => s.status === 'finalized'), 60)
  assert.equal(last.executed, true)
  await certified.unsubscribe()
})

test('one event is heard by a subscription of viem, with its block final', async () => {
  const heard = []
  const stop = ws.watchContractEvent({ ...token, eventName: 'Transfer', args: { from: '0x0000000000000000000000000000000000000000' }, onLogs: (l) => heard.push(...l) })
  const log = await until('an event', async () => {
    await mint(bob.address, 10n)
    return heard[0]
  })
  assert.equal(log.args.to, bob.address)
  stop()
})

test('reads over WebSocket are those over HTTP', async () => {
  const blockNumber = token.receipt.blockNumber
  assert.deepEqual(await ws.getBlock({ blockNumber }), await reader.getBlock({ blockNumber }))
  assert.deepEqual(await ws.request({ method: 'eth_getBlockReceipts', params: [toHex(blockNumber)] }), await reader.request({ method: 'eth_getBlockReceipts', params: [toHex(blockNumber)] }))
  await assert.rejects(ws.request({ method: 'eth_subscribe', params: ['nothing'] }), /nothing/)
})
