// Drives every rollup of a devnet through viem, as a user's program would: transfers,
// a contract with events over HTTP and WebSocket, block tags, refusals. The
// endpoints file is the argument; the last line of the output is JSON, and the exit
// status says whether all of it held.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import {
  ContractFunctionRevertedError, createPublicClient, createWalletClient, decodeEventLog, defineChain, http, parseEther, webSocket,
} from 'viem'
import { generatePrivateKey, mnemonicToAccount, privateKeyToAccount } from 'viem/accounts'

const MNEMONIC = 'test test test test test test test test test test test junk'
const POLL = 50

const endpoints = JSON.parse(await readFile(process.argv[2], 'utf8'))
const { abi, bytecode } = JSON.parse(await readFile(new URL('../contract/Tally.json', import.meta.url), 'utf8'))

// Account 9: the other tests leave it alone, so its nonces are ours.
const account = mnemonicToAccount(MNEMONIC, { addressIndex: 9 })

function clients(rollup) {
  const chain = defineChain({
    id: rollup.chain_id, name: rollup.name,
    nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
    rpcUrls: { default: { http: [rollup.rpc], webSocket: [rollup.ws] } },
  })
  return {
    chain,
    wallet: createWalletClient({ account, chain, transport: http() }),
    reader: createPublicClient({ chain, transport: http(), pollingInterval: POLL }),
    socket: createPublicClient({ chain, transport: webSocket() }),
  }
}

async function until(what, seconds, condition) {
  const deadline = Date.now() + seconds * 1000
  for (;;) {
    const result = await condition()
    if (result) return result
    if (Date.now() > deadline) throw new Error(`waited ${seconds} s in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, POLL))
  }
}

async function transfers({ wallet, reader }) {
  const to = privateKeyToAccount(generatePrivateKey()).address
  const before = await reader.getBalance({ address: account.address })
  const latencies = []
  for (let i = 0; i < 3; i++) {
    const began = Date.now()
    const hash = await wallet.sendTransaction({ to, value: parseEther('1') })
    const receipt = await reader.waitForTransactionReceipt({ hash })
    latencies.push(Date.now() - began)
    assert.equal(receipt.status, 'success')
    assert.equal((await reader.getTransaction({ hash })).blockHash, receipt.blockHash)
  }
  assert.equal(await reader.getBalance({ address: to }), parseEther('3'))
  assert.ok((await reader.getBalance({ address: account.address })) < before - parseEther('3'), 'the sender pays gas')
  return latencies
}

async function contract({ wallet, reader, socket }) {
  const deployment = await reader.waitForTransactionReceipt({ hash: await wallet.deployContract({ abi, bytecode, args: [40n] }) })
  const address = deployment.contractAddress
  assert.equal(deployment.status, 'success')

  const heard = []
  const stop = socket.watchContractEvent({ address, abi, eventName: 'Counted', onLogs: (logs) => heard.push(...logs), onError: (e) => { throw e } })
  // The subscription is made in the background; a log of before it would not be heard.
  await until('an event over WebSocket', 20, async () => {
    if (heard.length > 0) return true
    const receipt = await reader.waitForTransactionReceipt({ hash: await wallet.writeContract({ address, abi, functionName: 'add', args: [1n] }) })
    assert.equal(decodeEventLog({ abi, ...receipt.logs[0] }).args.by, account.address)
    return false
  })
  const total = await reader.readContract({ address, abi, functionName: 'total' })
  const hash = await wallet.writeContract({ address, abi, functionName: 'add', args: [2n] })
  await reader.waitForTransactionReceipt({ hash })
  await until('the last event over WebSocket', 20, async () => heard.some((log) => log.transactionHash === hash && log.args.total === total + 2n))
  stop()

  const logs = await reader.getContractEvents({ address, abi, eventName: 'Counted', fromBlock: deployment.blockNumber })
  assert.equal(logs.at(-1).args.total, total + 2n)
  assert.equal(logs.length, Number(total + 2n - 40n) - 1, 'one event for each call')
  await assert.rejects(reader.simulateContract({ account, address, abi, functionName: 'add', args: [0n] }),
    (e) => e.walk((cause) => cause instanceof ContractFunctionRevertedError)?.data?.errorName === 'Nothing')
  return { address, hash }
}

async function tags({ reader }, hash) {
  const { blockNumber, blockHash } = await reader.getTransactionReceipt({ hash })
  for (const blockTag of ['safe', 'finalized']) {
    await until(`block ${blockNumber} to be ${blockTag}`, 60, async () => {
      try {
        return (await reader.getBlock({ blockTag })).number >= blockNumber
      } catch {
        return false // geth's way to say that there is none yet
      }
    })
  }
  assert.equal((await reader.getBlock({ blockNumber })).hash, blockHash)
}

async function refusals({ wallet, reader, chain }) {
  const nonce = await reader.getTransactionCount({ address: account.address })
  const request = { to: account.address, value: 0n, gas: 21000n, maxFeePerGas: 10n ** 10n, maxPriorityFeePerGas: 1n, nonce }
  const sign = (changes, by = account) => by.signTransaction({ ...request, chainId: chain.id, type: 'eip1559', ...changes })
  const refused = async (serializedTransaction, text) =>
    assert.rejects(reader.sendRawTransaction({ serializedTransaction }), (e) => new RegExp(text, 'i').test(e.details ?? e.message), text)
  await refused(await sign({ chainId: chain.id + 1000 }), 'invalid chain id|invalid sender')
  await refused(await sign({ nonce: 0 }), 'nonce too low')
  await refused(await sign({ value: parseEther('1000000') }), 'insufficient funds')
  await refused(await sign({ gas: 20999n }), 'intrinsic gas too low')
  await refused(await sign({ nonce: 0 }, privateKeyToAccount(generatePrivateKey())), 'insufficient funds')
}

async function drive(rollup) {
  const c = clients(rollup)
  assert.equal(await c.reader.getChainId(), rollup.chain_id)
  const latencies = await transfers(c)
  const { address, hash } = await contract(c)
  await refusals(c)
  await tags(c, hash)
  ;(await c.socket.transport.getRpcClient()).close()
  return { rollup: rollup.name, receipt_ms: latencies, contract: address, hash }
}

const results = await Promise.all(endpoints.rollups.map(drive))
console.log(JSON.stringify(results))
