// Every kind of transaction, the fees and nonces that a wallet fills in, and refusals.
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import {
  createPublicClient, encodeFunctionData, FeeCapTooLowError, getContractAddress, http, InsufficientFundsError, IntrinsicGasTooLowError, keccak256, NonceTooLowError, parseEther, parseGwei,
  parseTransaction, recoverTransactionAddress, toHex,
} from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { verifyAuthorization } from 'viem/utils'
import { chain, until } from '../lib/devnet.mjs'
import { accounts, deploy, mined, reader, wallet } from './clients.mjs'

let alice, bob, carol, dave, token
const stranger = () => privateKeyToAccount(generatePrivateKey()).address

before(async () => {
  [alice, bob, carol, dave] = await accounts(0, 4)
  token = await deploy(alice, 'Token', ['Coin', 'CN'])
})

test('a transfer filled in by the wallet is EIP-1559, is found, and moves the ether', async () => {
  const to = stranger()
  const balance = await reader.getBalance({ address: alice.address })
  const hash = await wallet(alice).sendTransaction({ to, value: parseEther('0.5') })
  const receipt = await mined(hash)
  const tx = await reader.getTransaction({ hash })
  assert.equal(receipt.status, 'success')
  assert.equal(receipt.type, 'eip1559')
  assert.equal(receipt.gasUsed, 21000n)
  assert.equal(receipt.contractAddress, null)
  assert.deepEqual(receipt.logs, [])
  assert.equal(tx.blockHash, receipt.blockHash)
  assert.equal(tx.transactionIndex, receipt.transactionIndex)
  assert.equal(tx.from, alice.address.toLowerCase())
  assert.equal(tx.chainId, chain.id)
  assert.equal(await reader.getBalance({ address: to }), parseEther('0.5'))
  assert.equal(await reader.getBalance({ address: alice.address }), balance - parseEther('0.5') - receipt.gasUsed * receipt.effectiveGasPrice)
  const block = await reader.getBlock({ blockHash: receipt.blockHash })
  assert.ok(receipt.effectiveGasPrice >= block.baseFeePerGas)
  assert.ok(receipt.effectiveGasPrice <= tx.maxFeePerGas)
})

test('a legacy transaction', async () => {
  const receipt = await mined(wallet(alice).sendTransaction({ to: bob.address, value: 1n, type: 'legacy' }))
  const tx = await reader.getTransaction({ hash: receipt.transactionHash })
  assert.equal(receipt.status, 'success')
  assert.equal(tx.type, 'legacy')
  assert.equal(receipt.effectiveGasPrice, tx.gasPrice)
})

test('an EIP-2930 transaction with the access list that the node makes', async () => {
  const { abi, address } = token
  const data = encodeFunctionData({ abi, functionName: 'mint', args: [alice.address, 5n] })
  const { accessList, gasUsed } = await reader.createAccessList({ account: alice, to: address, data })
  assert.equal(accessList.length, 1)
  assert.equal(accessList[0].address, address)
  assert.equal(accessList[0].storageKeys.length, 2, 'totalSupply and the balance')
  const receipt = await mined(wallet(alice).sendTransaction({ to: address, data, accessList, type: 'eip2930' }))
  const tx = await reader.getTransaction({ hash: receipt.transactionHash })
  assert.equal(receipt.status, 'success')
  assert.equal(tx.type, 'eip2930')
  assert.deepEqual(tx.accessList, accessList)
  assert.equal(receipt.gasUsed, gasUsed, 'the node foretold the gas')
})

test('an EIP-7702 authorization makes an account run code, and takes it away again', async () => {
  const batch = await deploy(alice, 'Batch')
  const [a, b] = [stranger(), stranger()]
  const authorization = await wallet(bob).signAuthorization({ account: bob, contractAddress: batch.address, executor: 'self' })
  assert.ok(await verifyAuthorization({ address: bob.address, authorization }))
  const args = [[{ to: a, value: 3n, data: '0x' }, { to: b, value: 4n, data: '0x' }]]
  const receipt = await mined(wallet(bob).writeContract({ ...batch, address: bob.address, functionName: 'execute', args, authorizationList: [authorization] }))
  assert.equal(receipt.status, 'success')
  assert.equal(receipt.type, 'eip7702')
  assert.equal(receipt.logs.at(-1).address, bob.address.toLowerCase())
  assert.deepEqual([await reader.getBalance({ address: a }), await reader.getBalance({ address: b })], [3n, 4n])
  assert.equal(await reader.getCode({ address: bob.address }), `0xef0100${batch.address.slice(2).toLowerCase()}`)
  assert.equal((await reader.getDelegation({ address: bob.address })).toLowerCase(), batch.address.toLowerCase())
  const tx = await reader.getTransaction({ hash: receipt.transactionHash })
  assert.equal(tx.authorizationList.length, 1)
  assert.equal(tx.authorizationList[0].address.toLowerCase(), batch.address.toLowerCase())

  const gone = await wallet(bob).signAuthorization({ account: bob, contractAddress: '0x0000000000000000000000000000000000000000', executor: 'self' })
  await mined(wallet(bob).sendTransaction({ to: bob.address, authorizationList: [gone] }))
  assert.equal(await reader.getCode({ address: bob.address }), undefined)
})

test('a sponsor pays for the delegation of an account without ether', async () => {
  const batch = await deploy(alice, 'Batch')
  const poor = privateKeyToAccount(generatePrivateKey())
  const authorization = await wallet(poor).signAuthorization({ contractAddress: batch.address })
  const receipt = await mined(wallet(alice).sendTransaction({ to: poor.address, authorizationList: [authorization] }))
  assert.equal(receipt.status, 'success')
  assert.equal(await reader.getCode({ address: poor.address }), `0xef0100${batch.address.slice(2).toLowerCase()}`)
  assert.equal(await reader.getTransactionCount({ address: poor.address }), 1)
})

test('a deployment has the address that its sender and nonce make', async () => {
  const nonce = await reader.getTransactionCount({ address: carol.address })
  const { address, receipt } = await deploy(carol, 'Faults')
  assert.equal(address.toLowerCase(), getContractAddress({ from: carol.address, nonce: BigInt(nonce) }).toLowerCase())
  assert.equal(receipt.to, null)
  assert.ok((await reader.getCode({ address })).length > 100)
})

test('fees: what the node proposes is enough, and is consistent', async () => {
  const [fees, price, tip, history, block] = await Promise.all([
    reader.estimateFeesPerGas(), reader.getGasPrice(), reader.estimateMaxPriorityFeePerGas(),
    reader.getFeeHistory({ blockCount: 4, rewardPercentiles: [25, 75] }), reader.getBlock(),
  ])
  assert.ok(fees.maxFeePerGas >= block.baseFeePerGas)
  assert.ok(fees.maxPriorityFeePerGas >= 0n && tip >= 0n)
  assert.ok(price >= tip)
  const blocks = history.gasUsedRatio.length
  assert.ok(blocks >= 1 && blocks <= 4)
  assert.equal(history.baseFeePerGas.length, blocks + 1)
  assert.equal(history.reward.length, blocks)
  assert.ok(history.reward.every((r) => r.length === 2))
  const oldest = await reader.getBlock({ blockNumber: history.oldestBlock })
  assert.equal(history.baseFeePerGas[0], oldest.baseFeePerGas)
})

test('gas estimates suffice, also where a call needs much more than it uses', async () => {
  const faults = await deploy(carol, 'Faults')
  const gas = await reader.estimateContractGas({ ...faults, account: alice, functionName: 'hungry', args: [900_000n] })
  assert.ok(gas > 900_000n)
  const receipt = await mined(wallet(alice).writeContract({ ...faults, functionName: 'hungry', args: [900_000n], gas }))
  assert.equal(receipt.status, 'success')
  assert.ok(receipt.gasUsed < 100_000n)
  assert.equal(await reader.estimateGas({ account: alice, to: bob.address, value: 1n }), 21000n)
})

test('a reverted transaction has a receipt that says so, and pays', async () => {
  const faults = await deploy(carol, 'Faults')
  const receipt = await mined(wallet(alice).writeContract({ ...faults, functionName: 'custom', args: [7n], gas: 100_000n }))
  assert.equal(receipt.status, 'reverted')
  assert.deepEqual(receipt.logs, [])
  const drained = await mined(wallet(alice).writeContract({ ...faults, functionName: 'endless', gas: 90_000n }))
  assert.equal(drained.status, 'reverted')
  assert.equal(drained.gasUsed, 90_000n)
})

test('many transactions of one sender at once are executed in the order of their nonces', async () => {
  const first = await reader.getTransactionCount({ address: carol.address, blockTag: 'pending' })
  const to = stranger()
  const count = 20
  const fees = await reader.estimateFeesPerGas()
  const hashes = await Promise.all(Array.from({ length: count }, (_, i) =>
    wallet(carol).sendTransaction({ to, value: 1n, nonce: first + i, gas: 21000n, ...fees })))
  assert.ok((await reader.getTransactionCount({ address: carol.address, blockTag: 'pending' })) >= first + count)
  const receipts = await Promise.all(hashes.map((hash) => mined(hash)))
  for (let i = 1; i < count; i++) {
    const [a, b] = [receipts[i - 1], receipts[i]]
    assert.ok(a.blockNumber < b.blockNumber || (a.blockNumber === b.blockNumber && a.transactionIndex < b.transactionIndex))
  }
  assert.equal(await reader.getTransactionCount({ address: carol.address }), first + count)
  assert.equal(await reader.getBalance({ address: to }), BigInt(count))
})

test('a transaction with a nonce ahead waits for the one before it', async () => {
  const [eve] = await accounts(0, 1)
  const second = await wallet(eve).sendTransaction({ to: bob.address, value: 1n, nonce: 1, gas: 21000n })
  assert.equal(await reader.getTransactionCount({ address: eve.address, blockTag: 'pending' }), 0, 'the gap is not counted')
  const waiting = await reader.getTransaction({ hash: second })
  assert.equal(waiting.blockHash, null)
  assert.equal(waiting.blockNumber, null)
  await assert.rejects(reader.getTransactionReceipt({ hash: second }), /could not be found/)
  const first = await wallet(eve).sendTransaction({ to: bob.address, value: 1n, nonce: 0, gas: 21000n })
  const [a, b] = [await mined(first), await mined(second)]
  assert.ok(a.blockNumber <= b.blockNumber)
})

test('a waiting transaction is replaced by one that pays 10 % more, not by one that pays less', async () => {
  const [eve] = await accounts(0, 1)
  const base = { value: 1n, nonce: 1, gas: 21000n, maxPriorityFeePerGas: parseGwei('1') }
  const to = stranger()
  const old = await wallet(eve).sendTransaction({ ...base, to: bob.address, maxFeePerGas: parseGwei('20') })
  await assert.rejects(wallet(eve).sendTransaction({ ...base, to, maxFeePerGas: parseGwei('21') }), /replacement transaction underpriced/)
  // viem knows a replacement by the sender and nonce of the old one, which it has to have seen.
  const [asked, watcher] = [[], createPublicClient({
    chain, pollingInterval: 50, transport: http(undefined, { onFetchResponse: async (r) => asked.push(await r.clone().text()) }),
  })]
  const seen = []
  const receipt = watcher.waitForTransactionReceipt({ hash: old, onReplaced: (r) => seen.push(r) })
  await until('viem to see the old one', () => asked.some((text) => text.includes(old)))
  const better = await wallet(eve).sendTransaction({ ...base, to, maxFeePerGas: parseGwei('22'), maxPriorityFeePerGas: parseGwei('1.1') })
  await mined(wallet(eve).sendTransaction({ to: bob.address, value: 1n, nonce: 0, gas: 21000n }))
  assert.equal((await mined(better)).status, 'success')
  assert.equal((await receipt).transactionHash, better, 'viem sees that the old one was replaced')
  assert.equal(seen[0].transaction.hash, better)
})

test('eth_sendRawTransactionSync gives the receipt at once', async () => {
  const request = await wallet(dave).prepareTransactionRequest({ to: bob.address, value: 1n })
  const serializedTransaction = await wallet(dave).signTransaction(request)
  const receipt = await reader.sendRawTransactionSync({ serializedTransaction })
  assert.equal(receipt.status, 'success')
  assert.equal(receipt.transactionHash, keccak256(serializedTransaction))
  assert.equal(parseTransaction(serializedTransaction).nonce ?? 0, request.nonce)
  assert.equal(await recoverTransactionAddress({ serializedTransaction }), dave.address)
  assert.deepEqual(await reader.getTransactionReceipt({ hash: receipt.transactionHash }), receipt)
  const byWallet = await wallet(dave).sendTransactionSync({ to: bob.address, value: 1n })
  assert.equal(byWallet.status, 'success')
  const written = await wallet(dave).writeContractSync({ ...token, functionName: 'mint', args: [dave.address, 1n] })
  assert.equal(written.logs.length, 1)
})

test('refusals are the errors that viem knows', async () => {
  const is = (kind) => (e) => e.walk((cause) => cause instanceof kind) !== null
  const request = { to: bob.address, gas: 21000n, maxFeePerGas: parseGwei('20'), maxPriorityFeePerGas: 1n }
  const send = async (changes, by = alice) => reader.sendRawTransaction({
    serializedTransaction: await by.signTransaction({ ...request, chainId: chain.id, type: 'eip1559', nonce: await reader.getTransactionCount({ address: by.address }), ...changes }),
  })
  const sent = (changes) => wallet(alice).sendTransaction({ ...request, ...changes })
  await assert.rejects(sent({ nonce: 0 }), is(NonceTooLowError))
  await assert.rejects(sent({ value: parseEther('1000000') }), is(InsufficientFundsError))
  await assert.rejects(sent({ gas: 20_999n }), is(IntrinsicGasTooLowError))
  await assert.rejects(sent({ maxFeePerGas: 1n }), is(FeeCapTooLowError))
  await assert.rejects(send({ chainId: chain.id + 1 }), /invalid chain id|invalid sender/)
  await assert.rejects(send({ gas: 10n ** 9n }), /gas limit|exceeds/)
  await assert.rejects(send({ maxPriorityFeePerGas: parseGwei('21') }), /max priority fee per gas higher than max fee per gas|tip.*fee cap/i)
  await assert.rejects(reader.sendRawTransaction({ serializedTransaction: '0x02c0' }), /rlp|too few|transaction/)
  await assert.rejects(send({ data: toHex(new Uint8Array(140_000)), gas: 5_000_000n }), /oversized|size|gas/)
})

test('a transaction sent twice is known, and is executed once', async () => {
  const nonce = await reader.getTransactionCount({ address: dave.address, blockTag: 'pending' })
  const to = stranger()
  const serializedTransaction = await dave.signTransaction({ to, value: 1n, gas: 21000n, nonce: nonce + 1, chainId: chain.id, maxFeePerGas: parseGwei('20'), maxPriorityFeePerGas: 1n })
  await reader.sendRawTransaction({ serializedTransaction })
  await assert.rejects(reader.sendRawTransaction({ serializedTransaction }), /already known/)
  await mined(wallet(dave).sendTransaction({ to, value: 1n, nonce }))
  await until('both', async () => (await reader.getBalance({ address: to })) === 2n)
})
