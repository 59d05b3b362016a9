// ethers 6: its providers over HTTP (with its batches) and WebSocket, wallets with its
// nonce manager, contracts, events, and the errors that it knows.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  AbiCoder, Contract, ContractFactory, id, Interface, isError, JsonRpcProvider, keccak256, NonceManager, parseEther, parseUnits, toBeHex, Transaction, Wallet, WebSocketProvider,
  ZeroAddress, zeroPadValue,
} from 'ethers'
import { funded, rollup, until } from '../lib/devnet.mjs'
import { contracts } from '../lib/contracts.mjs'

let provider, ws, alice, bob, token, faults, deployed
const stranger = () => Wallet.createRandom().address

async function deploy(wallet, name, ...args) {
  const { abi, bytecode } = contracts()[name]
  const contract = await new ContractFactory(abi, bytecode, wallet).deploy(...args)
  await contract.waitForDeployment()
  return contract
}

before(async () => {
  provider = new JsonRpcProvider(rollup.rpc, undefined, { polling: true, pollingInterval: 50, cacheTimeout: -1 })
  ws = new WebSocketProvider(rollup.ws)
  const keys = await funded(2, 2)
  ;[alice, bob] = keys.map((key) => new Wallet(key, provider))
  token = await deploy(alice, 'Token', 'Coin', 'CN')
  faults = await deploy(alice, 'Faults')
  deployed = await token.deploymentTransaction().wait()
})

after(async () => {
  provider.destroy()
  await ws.destroy()
})

test('the network is known by its chain ID', async () => {
  assert.equal((await provider.getNetwork()).chainId, BigInt(rollup.chain_id))
  assert.equal((await ws.getNetwork()).chainId, BigInt(rollup.chain_id))
})

test('a transfer: filled in, waited for, paid', async () => {
  const to = stranger()
  const balance = await provider.getBalance(alice.address)
  const response = await alice.sendTransaction({ to, value: parseEther('0.25') })
  assert.equal(response.type, 2)
  const receipt = await response.wait()
  assert.equal(receipt.status, 1)
  assert.equal(receipt.gasUsed, 21000n)
  assert.equal(await provider.getBalance(to), parseEther('0.25'))
  assert.equal(await provider.getBalance(alice.address), balance - parseEther('0.25') - receipt.fee)
  const stored = await provider.getTransaction(response.hash)
  assert.equal(stored.blockHash, receipt.blockHash)
  assert.equal(Transaction.from(stored).hash, response.hash, 'the signature covers what the node says')
  assert.equal(await receipt.confirmations() >= 1, true)
})

test('transactions of types 0, 1 and 4', async () => {
  const legacy = await (await alice.sendTransaction({ to: bob.address, value: 1n, type: 0 })).wait()
  assert.equal((await provider.getTransaction(legacy.hash)).type, 0)
  const accessList = [{ address: await token.getAddress(), storageKeys: [zeroPadValue('0x02', 32)] }]
  const listed = await (await token.mint(bob.address, 1n, { type: 1, accessList })).wait()
  assert.equal(listed.status, 1)
  assert.deepEqual((await provider.getTransaction(listed.hash)).accessList, accessList)
  const batch = await deploy(alice, 'Batch')
  const auth = await bob.authorize({ address: await batch.getAddress(), nonce: (await bob.getNonce()) + 1 })
  const receipt = await (await bob.sendTransaction({ to: bob.address, type: 4, authorizationList: [auth] })).wait()
  assert.equal(receipt.status, 1)
  assert.equal(receipt.type, 4)
  assert.equal(await provider.getCode(bob.address), `0xef0100${(await batch.getAddress()).slice(2).toLowerCase()}`)
  const own = new Contract(bob.address, contracts().Batch.abi, bob)
  const to = stranger()
  const executed = await (await own.execute([{ to, value: 5n, data: '0x' }])).wait()
  assert.equal(executed.logs[0].fragment.name, 'Executed')
  assert.equal(await provider.getBalance(to), 5n)
})

test('the nonce manager sends many at once', async () => {
  const [key] = await funded(2, 1)
  const manager = new NonceManager(new Wallet(key, provider))
  const to = stranger()
  const fees = await provider.getFeeData()
  const sent = await Promise.all(Array.from({ length: 10 }, () =>
    manager.sendTransaction({ to, value: 1n, gasLimit: 21000n, maxFeePerGas: fees.maxFeePerGas, maxPriorityFeePerGas: fees.maxPriorityFeePerGas })))
  assert.deepEqual(sent.map((t) => t.nonce).sort((a, b) => a - b), [...Array(10).keys()])
  for (const t of sent) assert.equal((await t.wait()).status, 1)
  assert.equal(await provider.getBalance(to), 10n)
  assert.equal(await provider.getTransactionCount(manager, 'latest'), 10)
  assert.equal(await provider.getTransactionCount(manager, 'pending'), 10)
})

test('fee data', async () => {
  const [fees, block] = await Promise.all([provider.getFeeData(), provider.getBlock('latest')])
  assert.ok(fees.maxFeePerGas >= block.baseFeePerGas)
  assert.ok(fees.maxPriorityFeePerGas >= 0n && fees.gasPrice >= 0n)
})

test('a contract: calls, writes, events with their arguments', async () => {
  assert.equal(await token.name(), 'Coin')
  const receipt = await (await token.mint(alice.address, parseUnits('3', 18))).wait()
  const { fragment, args } = receipt.logs[0]
  assert.equal(fragment.name, 'Transfer')
  assert.deepEqual([...args], [ZeroAddress, alice.address, parseUnits('3', 18)])
  assert.equal(await token.transfer.staticCall(bob.address, 1n), true)
  assert.ok((await token.transfer.estimateGas(bob.address, 1n)) > 21000n)
  await (await token.approve(bob.address, 10n)).wait()
  await (await token.connect(bob).transferFrom(alice.address, bob.address, 10n)).wait()
  assert.equal(await token.balanceOf(alice.address), parseUnits('3', 18) - 10n)
  assert.equal(await token.balanceOf(alice.address, { blockTag: deployed.blockNumber }), 0n)
})

test('queryFilter by arguments and blocks', async () => {
  const to = stranger()
  const receipt = await (await token.mint(to, 9n)).wait()
  const logs = await token.queryFilter(token.filters.Transfer(null, to), deployed.blockNumber)
  assert.equal(logs.length, 1)
  assert.equal(logs[0].transactionHash, receipt.hash)
  assert.equal(logs[0].args.value, 9n)
  const inBlock = await provider.getLogs({ blockHash: receipt.blockHash, address: await token.getAddress() })
  assert.ok(inBlock.some((l) => l.transactionHash === receipt.hash))
})

test('reverts carry reason, custom error and panic', async () => {
  const failure = (promise) => promise.then(() => assert.fail('succeeded'), (e) => e)
  const reason = await failure(faults.reason.staticCall())
  assert.ok(isError(reason, 'CALL_EXCEPTION'))
  assert.equal(reason.reason, 'a reason in words')
  const custom = await failure(faults.custom(7n))
  assert.equal(custom.revert.name, 'Refused')
  assert.deepEqual([...custom.revert.args], [alice.address, 7n])
  const panic = await failure(faults.overflow(1n))
  assert.equal(panic.revert.name, 'Panic')
  assert.equal(panic.revert.args[0], 17)
  assert.equal((await failure(faults.silent.staticCall())).data, '0x')
  const estimate = await failure(faults.custom.estimateGas(8n))
  assert.equal(estimate.action, 'estimateGas')
  assert.equal(faults.interface.parseError(estimate.data).name, 'Refused')
  const mined = await failure((await faults.getFunction('custom').send(9n, { gasLimit: 100_000n })).wait())
  assert.ok(isError(mined, 'CALL_EXCEPTION'))
  assert.equal(mined.receipt.status, 0)
})

test('refusals are the errors that ethers knows', async () => {
  const someone = stranger()
  const fees = { gasLimit: 21000n, maxFeePerGas: parseUnits('20', 'gwei'), maxPriorityFeePerGas: 1n }
  const code = (expected) => (e) => isError(e, expected)
  await assert.rejects(alice.sendTransaction({ to: someone, nonce: 0, ...fees }), code('NONCE_EXPIRED'))
  await assert.rejects(alice.sendTransaction({ to: someone, value: parseEther('1000000'), ...fees }), code('INSUFFICIENT_FUNDS'))
  const nonce = (await alice.getNonce('pending')) + 1
  await alice.sendTransaction({ to: someone, nonce, value: 1n, ...fees })
  await assert.rejects(alice.sendTransaction({ to: someone, nonce, value: 2n, ...fees }), code('REPLACEMENT_UNDERPRICED'))
  await (await alice.sendTransaction({ to: someone, nonce: nonce - 1, ...fees })).wait()
})

test('a replaced transaction is reported as such to who waits for it', async () => {
  const [key] = await funded(2, 1)
  const someone = stranger()
  const eve = new Wallet(key, provider)
  const fees = (gwei) => ({ gasLimit: 21000n, maxFeePerGas: parseUnits(String(gwei), 'gwei'), maxPriorityFeePerGas: parseUnits(String(gwei / 10), 'gwei') })
  const old = await eve.sendTransaction({ to: someone, nonce: 1, value: 1n, ...fees(20) })
  const waiting = old.replaceableTransaction(await provider.getBlockNumber()).wait().catch((e) => e)
  const better = await eve.sendTransaction({ to: someone, nonce: 1, value: 1n, ...fees(40) })
  await (await eve.sendTransaction({ to: someone, nonce: 0, ...fees(20) })).wait()
  await better.wait()
  const error = await waiting
  assert.ok(isError(error, 'TRANSACTION_REPLACED'), String(error))
  assert.equal(error.replacement.hash, better.hash)
  assert.equal(error.cancelled, false)
})

test('blocks, with transactions and by tag', async () => {
  const block = await provider.getBlock(deployed.blockNumber, true)
  assert.equal(block.hash, deployed.blockHash)
  assert.ok(block.prefetchedTransactions.some((t) => t.hash === deployed.hash))
  assert.equal((await block.getTransaction(deployed.index)).hash, deployed.hash)
  assert.equal((await provider.getBlock('pending')).hash, null)
  await until('finality', async () => (await provider.getBlock('finalized').catch(() => null))?.number >= deployed.blockNumber, 60)
})

test('storage, proofs and raw methods', async () => {
  const address = await token.getAddress()
  const slot = keccak256(AbiCoder.defaultAbiCoder().encode(['address', 'uint256'], [alice.address, 3]))
  assert.equal(BigInt(await provider.getStorage(address, slot)), await token.balanceOf(alice.address))
  const proof = await provider.send('eth_getProof', [address, [slot], 'latest'])
  assert.equal(BigInt(proof.storageProof[0].value), await token.balanceOf(alice.address))
  const call = { from: alice.address, to: address, data: token.interface.encodeFunctionData('mint', [bob.address, 1n]) }
  assert.ok(Number((await provider.send('eth_createAccessList', [call, 'latest'])).gasUsed) > 21000)
  const [simulated] = await provider.send('eth_simulateV1', [{ blockStateCalls: [{ calls: [call] }] }, 'latest'])
  assert.equal(simulated.calls[0].status, '0x1')
  assert.equal(await provider.send('eth_chainId', []), toBeHex(rollup.chain_id))
})

test('listeners over polling: blocks, contract events, a transaction', async () => {
  const heard = []
  await token.on('Transfer', (from, to, value, { log }) => heard.push([to, value, log.transactionHash]))
  const numbers = []
  await provider.on('block', (n) => numbers.push(n))
  const to = stranger()
  const hashes = []
  await until('an event by polling', async () => {
    hashes.push((await (await token.mint(to, 4n)).wait()).hash)
    return heard.some((h) => h[0] === to && h[1] === 4n && hashes.includes(h[2]))
  })
  await until('block numbers', () => numbers.length > 1)
  await token.removeAllListeners()
  await provider.removeAllListeners()
})

test('listeners over WebSocket: blocks, contract events, pending transactions', async () => {
  const live = new Contract(await token.getAddress(), contracts().Token.abi, ws)
  const [heard, numbers, pending] = [[], [], []]
  await live.on(live.filters.Transfer(null, bob.address), (event) => heard.push(event.log.transactionHash))
  await ws.on('block', (n) => numbers.push(n))
  await ws.on('pending', (hash) => pending.push(hash))
  let hash
  await until('an event over WebSocket', async () => {
    hash = (await (await token.mint(bob.address, 2n)).wait()).hash
    return heard.length > 0
  })
  await until('the others', () => numbers.length > 0 && pending.includes(hash) && heard.includes(hash))
  await live.removeAllListeners()
  await ws.removeAllListeners()
})

test('a wallet over WebSocket sends and waits', async () => {
  const receipt = await (await alice.connect(ws).sendTransaction({ to: bob.address, value: 1n })).wait()
  assert.equal(receipt.status, 1)
  const raw = await alice.signTransaction(await alice.populateTransaction({ to: bob.address, value: 1n }))
  const sync = await ws.send('eth_sendRawTransactionSync', [raw])
  assert.equal(sync.transactionHash, keccak256(raw))
  assert.equal(new Interface(['event Transfer(address,address,uint256)']).getEvent('Transfer').topicHash, id('Transfer(address,address,uint256)'))
})
