// The searchers' own library, against the rollup's door in place of a relay.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createRequire } from 'node:module'
import { ContractFactory, getAddress, JsonRpcProvider, keccak256, parseUnits, Wallet } from 'ethers'
import { ask, funded, rollup, until } from '../lib/devnet.mjs'
import { contracts } from '../lib/contracts.mjs'

const require = createRequire(import.meta.url)
const { FlashbotsBundleProvider, FlashbotsBundleResolution } = require('@flashbots/ethers-provider-bundle')

const FEES = { type: 2, maxFeePerGas: parseUnits('20', 'gwei'), maxPriorityFeePerGas: parseUnits('1', 'gwei'), chainId: rollup.chain_id }
const network = { chainId: BigInt(rollup.chain_id), name: rollup.name }
let provider, alice, bob, relay, faults
const stranger = () => Wallet.createRandom().address
const transfer = (signer, fields = {}) => ({ signer, transaction: { ...FEES, to: stranger(), value: 1n, gasLimit: 21000n, ...fields } })

/** @returns the number of the block so many after the head */
const ahead = async (blocks) => (await provider.getBlockNumber()) + blocks

before(async () => {
  provider = new JsonRpcProvider(rollup.rpc, undefined, { polling: true, pollingInterval: 50, cacheTimeout: -1 })
  ;[alice, bob] = (await funded(5, 2)).map((key) => new Wallet(key, provider))
  relay = await FlashbotsBundleProvider.create(provider, Wallet.createRandom(), rollup.rpc, network)
  const { abi, bytecode } = contracts().Faults
  faults = await new ContractFactory(abi, bytecode, alice).deploy()
  await faults.waitForDeployment()
})

after(() => provider.destroy())

test('simulate: what each transaction would do, nothing of it done', async () => {
  const to = stranger()
  const txs = await relay.signBundle([transfer(alice, { to, value: 5n }), transfer(bob, { to, value: 6n })])
  const simulation = await relay.simulate(txs, await ahead(1))
  assert.equal(simulation.error, undefined)
  assert.equal(simulation.firstRevert, undefined)
  assert.equal(simulation.totalGasUsed, 42000)
  assert.equal(simulation.results.length, 2)
  assert.deepEqual(simulation.results.map((r) => [getAddress(r.fromAddress), r.gasUsed]), [[alice.address, 21000], [bob.address, 21000]])
  assert.equal(BigInt(simulation.coinbaseDiff ?? 0) >= 0n, true)
  assert.equal(simulation.bundleHash, FlashbotsBundleProvider.generateBundleHash(simulation.results.map((r) => r.txHash)))
  assert.equal(await provider.getBalance(to), 0n)
})

test('simulate tells of reverts with their reason', async () => {
  const data = faults.interface.encodeFunctionData('reason')
  const txs = await relay.signBundle([transfer(alice), transfer(bob, { to: await faults.getAddress(), value: 0n, gasLimit: 100_000n, data })])
  const simulation = await relay.simulate(txs, await ahead(1))
  assert.equal(simulation.firstRevert.revert, 'a reason in words')
  assert.match(simulation.firstRevert.error, /execution reverted/)
})

test('simulate refuses what cannot be applied', async () => {
  const simulation = await relay.simulate(await relay.signBundle([transfer(alice, { nonce: 99 })]), await ahead(1))
  assert.match(simulation.error.message, /nonce too high/)
})

/** Sends bundles for one block after another until one is in. */
async function included(make, opts) {
  for (let tries = 1; ; tries++) {
    const sent = await relay.sendBundle(await make(), await ahead(2 + tries % 4), opts)
    assert.equal(sent.error, undefined, sent.error?.message)
    const outcome = await Promise.race([sent.wait(), new Promise((resolve) => setTimeout(resolve, 10_000, 'timeout'))])
    if (outcome === FlashbotsBundleResolution.BundleIncluded) return sent
    assert.notEqual(outcome, 'timeout')
    assert.equal(outcome, FlashbotsBundleResolution.BlockPassedWithoutInclusion)
    const { result } = await ask('ordo_bundleStatus', sent.bundleHash)
    assert.match(JSON.stringify(result), /block/, 'a bundle that missed its block has a reason')
    assert.ok(tries < 20, `20 bundles missed their block, the last: ${JSON.stringify(result)}`)
  }
}

test('a bundle for one block is in that block, whole and in order, or in none', async () => {
  const to = stranger()
  const sent = await included(() => [transfer(alice, { to, value: 3n }), transfer(bob, { to, value: 4n })])
  const receipts = await sent.receipts()
  assert.equal(receipts.length, 2)
  assert.equal(receipts[0].blockNumber, receipts[1].blockNumber)
  assert.equal(receipts[0].index + 1, receipts[1].index)
  assert.equal(await provider.getBalance(to), 7n)
})

test('revertingTxHashes may revert, others not', async () => {
  const data = faults.interface.encodeFunctionData('reason')
  const bundle = async () => [transfer(alice), transfer(bob, { to: await faults.getAddress(), value: 0n, gasLimit: 100_000n, data })]
  const before = await bob.getNonce()
  const refused = await relay.sendBundle(await bundle(), await ahead(3))
  await refused.wait()
  assert.equal(await bob.getNonce(), before)
  // The hashes have to be known before: signed once, for a block far enough, until it is in.
  const signed = await relay.signBundle(await bundle())
  const sent = await included(async () => signed.map((signedTransaction) => ({ signedTransaction })), { revertingTxHashes: [keccak256(signed[1])] })
  const receipts = await sent.receipts()
  assert.deepEqual(receipts.map((r) => r.status), [1, 0])
})

test('a bundle is replaced and cancelled by its searcher alone', async () => {
  const replacementUuid = crypto.randomUUID()
  const target = await ahead(100_000)
  const first = await relay.sendBundle([transfer(alice)], target, { replacementUuid })
  const second = await relay.sendBundle([transfer(alice, { value: 2n })], target, { replacementUuid })
  const status = async ({ bundleHash }) => (await ask('ordo_bundleStatus', bundleHash)).result
  await until('the first to be replaced', async () => (await status(first)).status === 'dropped')
  assert.equal((await status(second)).status, 'held')
  const thief = await FlashbotsBundleProvider.create(provider, Wallet.createRandom(), rollup.rpc, network)
  assert.ok((await thief.cancelBundles(replacementUuid)).error)
  assert.deepEqual((await relay.cancelBundles(replacementUuid)).bundleHashes, [second.bundleHash])
  assert.equal((await status(second)).status, 'dropped')
  assert.match((await status(second)).reason, /cancel/)
})

test('what cannot be is refused at once', async () => {
  const past = await relay.sendBundle([transfer(alice)], 1)
  assert.match(past.error.message, /past/)
  const low = await relay.sendBundle([transfer(alice, { nonce: 0 })], await ahead(3))
  assert.match(low.error.message, /nonce too low/)
  const { error } = await ask('eth_sendBundle', { txs: [], blockNumber: '0x1' })
  assert.match(error.message, /0 transactions/)
})
