// What Ordo adds to the namespaces that wallets know: how far a transaction has come,
// and the proof of it; bundles over several rollups; subscriptions.
import assert from 'node:assert/strict'
import { createHash, createPublicKey, verify } from 'node:crypto'
import { after, before, test } from 'node:test'
import { encodeDeployData, encodeFunctionData, hexToBytes, keccak256, numberToHex, parseGwei } from 'viem'
import { generatePrivateKey, mnemonicToAccount, privateKeyToAccount } from 'viem/accounts'
import { ask, chain, endpoints, funded, rollup, until } from '../lib/devnet.mjs'
import { contracts } from '../lib/contracts.mjs'

const STAGES = ['received', 'certified', 'ordered', 'safe', 'finalized']
let alice, bob, ws, info
let last = 0
const answers = new Map()
const subscriptions = new Map()
const stranger = () => privateKeyToAccount(generatePrivateKey()).address

async function result(method, ...params) {
  const { result, error } = await ask(method, ...params)
  assert.equal(error, undefined, `${method}: ${JSON.stringify(error)}`)
  return result
}

const nonceOf = async (account) => Number(await result('eth_getTransactionCount', account.address, 'pending'))

async function signed(account, fields = {}) {
  return account.signTransaction({
    type: 'eip1559', chainId: chain.id, to: stranger(), value: 1n, gas: 21000n, maxFeePerGas: parseGwei('20'), maxPriorityFeePerGas: 1n,
    nonce: fields.nonce ?? await nonceOf(account), ...fields,
  })
}

/** @returns a list that grows by what the subscription tells; any namespace, which libraries do not let one do */
async function subscribe(namespace, ...params) {
  const heard = []
  const id = ++last
  const made = new Promise((resolve, reject) => answers.set(id, ({ result, error }) => {
    if (error) return reject(new Error(error.message))
    subscriptions.set(result, heard)
    resolve(heard)
  }))
  ws.send(JSON.stringify({ jsonrpc: '2.0', id, method: `${namespace}_subscribe`, params }))
  return made
}

async function connect() {
  ws = new WebSocket(rollup.ws)
  ws.onmessage = ({ data }) => {
    const message = JSON.parse(data)
    if (message.id !== undefined) answers.get(message.id)(message)
    else subscriptions.get(message.params.subscription)?.push(message.params.result)
  }
  await new Promise((resolve, reject) => { [ws.onopen, ws.onerror] = [resolve, reject] })
}

before(async () => {
  [alice, bob] = (await funded(3, 2)).map((key) => privateKeyToAccount(key))
  await connect()
  info = await result('ordo_info')
})

after(() => ws.close())

test('ordo_info says which rollup this is, and how far its node', () => {
  assert.equal(info.rollupId, `0x${rollup.rollup_id}`)
  assert.equal(info.name, rollup.name)
  assert.equal(info.sequencerChainID ?? info.sequencerChainId, endpoints.chain_id)
  assert.ok(Number(info.softHeight) >= Number(info.firmHeight))
})

test('ordo_subscribe transactionStatus follows a transaction to the end', async () => {
  const raw = await signed(alice)
  const hash = keccak256(raw)
  const heard = await subscribe('ordo', 'transactionStatus', hash)
  await result('eth_sendRawTransaction', raw)
  const last = await until('finality', () => heard.find((s) => s.status === 'finalized'), 60)
  const places = heard.map((s) => STAGES.indexOf(s.status))
  assert.ok(places.every((p, i) => p >= 0 && (i === 0 || p > places[i - 1])), heard.map((s) => s.status).join(', '))
  assert.equal(last.executed, true)
  const times = ['receivedAt', 'certifiedAt', 'orderedAt', 'safeAt', 'finalizedAt'].map((k) => Number(last[k]))
  assert.ok(times.every((t) => t > 1.7e12), `a time is missing: ${JSON.stringify(last)}`)
  assert.ok(times[0] <= times[1] && times[2] <= times[3] && times[3] <= times[4])
  const asked = await result('ordo_transactionStatus', hash)
  assert.equal(asked.status, 'finalized')
  const receipt = await result('eth_getTransactionReceipt', hash)
  assert.deepEqual([asked.blockNumber, asked.blockHash, asked.transactionIndex], [receipt.blockNumber, receipt.blockHash, receipt.transactionIndex])
  assert.equal(await result('ordo_transactionStatus', `0x${'11'.repeat(32)}`), null)
})

test('eth_subscribe certifiedTransactions and transactionReceipts', async () => {
  const certified = await subscribe('eth', 'certifiedTransactions')
  const whole = await subscribe('eth', 'certifiedTransactions', true)
  const receipts = await subscribe('eth', 'transactionReceipts')
  const raw = await signed(alice)
  await result('eth_sendRawTransaction', raw)
  const hash = keccak256(raw)
  await until('the hash', () => certified.includes(hash))
  const tx = await until('the transaction', () => whole.find((t) => t.hash === hash))
  assert.equal(tx.from, alice.address.toLowerCase())
  const batch = await until('the receipt', () => receipts.find((b) => b.some((r) => r.transactionHash === hash)))
  assert.deepEqual(batch.find((r) => r.transactionHash === hash), await result('eth_getTransactionReceipt', hash))
})

test('a transaction that can never be executed is dropped with a reason', async () => {
  const nonce = await nonceOf(bob)
  const old = await signed(bob, { nonce: nonce + 1 })
  await result('eth_sendRawTransaction', old)
  await result('eth_sendRawTransaction', await signed(bob, { nonce: nonce + 1, maxFeePerGas: parseGwei('40'), maxPriorityFeePerGas: 2n }))
  const status = await until('the drop', async () => {
    const s = await result('ordo_transactionStatus', keccak256(old))
    return s?.status === 'dropped' && s
  })
  assert.match(status.reason, /replaced/)
  await result('eth_sendRawTransactionSync', await signed(bob, { nonce }))
})

test('ordo_getReceipt: the payer signed that it accepted the transaction', async () => {
  const raw = await signed(alice)
  await result('eth_sendRawTransaction', raw)
  const r = await result('ordo_getReceipt', keccak256(raw))
  assert.equal(r.transactionHash, keccak256(raw))
  assert.equal(r.rollupId, info.rollupId)
  const id = Buffer.from(r.chainId)
  const time = Buffer.alloc(8)
  time.writeBigUInt64BE(BigInt(r.receivedAt))
  const message = Buffer.concat([
    Buffer.from('ordo/receipt/v1\0'), Buffer.from([id.length]), id,
    ...[r.rollupId, r.transactionHash, r.bundle].map(hexToBytes), time, hexToBytes(r.payer),
  ])
  const key = createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(hexToBytes(r.payer)).toString('base64url') } })
  assert.ok(verify(null, message, key, hexToBytes(r.signature)), 'the signature')
  message[20] ^= 1
  assert.ok(!verify(null, message, key, hexToBytes(r.signature)))
  assert.equal(await result('ordo_getReceipt', `0x${'11'.repeat(32)}`), null)
})

test('ordo_getInclusionProof is of the block that holds the transaction', async () => {
  const { transactionHash } = await result('eth_sendRawTransactionSync', await signed(alice))
  const proof = await result('ordo_getInclusionProof', transactionHash)
  const status = await result('ordo_transactionStatus', transactionHash)
  assert.equal(proof.sequencerHeight ?? proof.height, status.sequencerHeight)
})

test('a bundle over two rollups is ordered together, and each shows the other', { skip: endpoints.rollups.length < 2 && 'the devnet has one rollup' }, async () => {
  const other = endpoints.rollups[1]
  const mine = await signed(alice)
  const rpc = async (method, ...params) => (await (await fetch(other.rpc, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  })).json())
  const purse = mnemonicToAccount('test test test test test test test test test test test junk', { addressIndex: 3 })
  const nonce = Number((await rpc('eth_getTransactionCount', purse.address, 'pending')).result)
  const theirs = await purse.signTransaction({ type: 'eip1559', chainId: other.chain_id, to: stranger(), value: 1n, gas: 21000n, maxFeePerGas: parseGwei('20'), maxPriorityFeePerGas: 1n, nonce })
  const ref = await result('ordo_sendBundle', { legs: [{ rollup: rollup.name, transactions: [mine] }, { rollup: `0x${other.rollup_id}`, transactions: [theirs] }] })
  await until('both', async () => (await result('eth_getTransactionReceipt', keccak256(mine))) && (await rpc('eth_getTransactionReceipt', keccak256(theirs))).result)
  const here = await until('the bundle', async () => {
    const b = await result('ordo_getBundle', ref)
    return b?.legs.length > 0 && b
  })
  assert.equal(here.legs[0].applied, true)
  assert.equal(Number(here.legs[0].legCount), 2)
  assert.deepEqual(here.legs[0].legs.map((l) => l.rollupId), [info.rollupId, `0x${other.rollup_id}`])
  const there = (await rpc('ordo_getBundle', here.bundleId)).result
  assert.equal(there.sequencerHeight, here.sequencerHeight)
  assert.equal(Number(there.legs[0].legIndex), 1)
  const block = await result('ordo_getBlockBundles', here.blockNumber)
  assert.ok(block.bundles.some((b) => b.bundleId === here.bundleId))
})

test('all or nothing over rollups that are not executed together is not applied, and says why', { skip: endpoints.rollups.length < 2 && 'the devnet has one rollup' }, async () => {
  const raw = await signed(bob)
  const other = await bob.signTransaction({ type: 'eip1559', chainId: endpoints.rollups[1].chain_id, to: stranger(), gas: 21000n, maxFeePerGas: parseGwei('20'), maxPriorityFeePerGas: 1n, nonce: 0 })
  const answer = await ask('ordo_sendBundle', { allOrNothing: true, legs: [{ rollup: rollup.name, transactions: [raw] }, { rollup: endpoints.rollups[1].name, transactions: [other] }] })
  if (answer.error) {
    assert.match(answer.error.message, /domain|together/)
    return
  }
  const bundle = await until('the leg', async () => {
    const b = await result('ordo_getBundle', answer.result)
    return b?.legs.length > 0 && b
  })
  assert.equal(bundle.legs[0].applied, false)
  assert.match(bundle.legs[0].reason, /not executed together/)
  assert.equal(await result('eth_getTransactionReceipt', keccak256(raw)), null)
})

test('a bundle with a transaction that reverts is not applied, unless it may revert', async () => {
  const { Faults } = contracts()
  const { contractAddress } = await result('eth_sendRawTransactionSync', await signed(alice, { to: undefined, value: 0n, gas: 3_000_000n, data: encodeDeployData(Faults) }))
  const nonce = await nonceOf(alice)
  const good = await signed(alice, { nonce })
  const bad = await signed(alice, { nonce: nonce + 1, to: contractAddress, value: 0n, gas: 100_000n, data: encodeFunctionData({ ...Faults, functionName: 'reason' }) })
  const leg = { rollup: rollup.name, transactions: [good, bad] }
  const ref = await result('ordo_sendBundle', { legs: [{ ...leg, revertingTxHashes: [] }] })
  const refused = await until('the end', async () => {
    const s = await result('ordo_bundleStatus', ref)
    return (s.status === 'dropped' || s.transactions.some((t) => t.reason)) && s
  })
  assert.match(JSON.stringify(refused), /reverted: .*a reason in words/)
  assert.equal(await result('eth_getTransactionReceipt', keccak256(good)), null)
  await result('ordo_sendBundle', { legs: [{ ...leg, revertingTxHashes: [keccak256(bad)] }] })
  const receipt = await until('both', () => result('eth_getTransactionReceipt', keccak256(bad)))
  assert.equal(receipt.status, '0x0')
  const first = await result('eth_getTransactionReceipt', keccak256(good))
  assert.equal(first.blockNumber, receipt.blockNumber)
  assert.equal(numberToHex(Number(first.transactionIndex) + 1), receipt.transactionIndex)
})

test('a bundle that is held is cancelled by its name', async () => {
  const replacement = createHash('sha256').update(alice.address + Date.now()).digest('hex')
  const head = Number(await result('eth_blockNumber'))
  const raw = await signed(alice)
  const ref = await result('ordo_sendBundle', { legs: [{ rollup: rollup.name, transactions: [raw] }], minBlock: head + 100_000, maxBlock: head + 100_010, replacement })
  assert.equal((await result('ordo_bundleStatus', ref)).status, 'held')
  assert.equal(await result('ordo_cancelBundle', { replacement }), ref)
  const status = await result('ordo_bundleStatus', ref)
  assert.equal(status.status, 'dropped')
  assert.match(status.reason, /cancel/)
})
