// The rollup under test, from a devnet's endpoints file, and what the suites share:
// funded accounts, plain requests, and waiting for a condition.
import { readFileSync } from 'node:fs'
import { createPublicClient, createWalletClient, defineChain, http, parseEther } from 'viem'
import { generatePrivateKey, mnemonicToAccount, privateKeyToAccount } from 'viem/accounts'

const MNEMONIC = 'test test test test test test test test test test test junk'

export const endpoints = JSON.parse(readFileSync(process.env.ORDO_ENDPOINTS ?? 'endpoints.json', 'utf8'))
export const rollup = endpoints.rollups[0]

export const chain = defineChain({
  id: rollup.chain_id,
  name: rollup.name,
  nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
  rpcUrls: { default: { http: [rollup.rpc], webSocket: [rollup.ws] } },
})

/** @returns count private keys of accounts nobody else knows, each with some ether of the purse's */
export async function funded(purse, count, ether = '10') {
  const wallet = createWalletClient({ account: mnemonicToAccount(MNEMONIC, { addressIndex: purse }), chain, transport: http() })
  const reader = createPublicClient({ chain, transport: http(), pollingInterval: 50 })
  const keys = Array.from({ length: count }, () => generatePrivateKey())
  let nonce = await reader.getTransactionCount({ address: wallet.account.address, blockTag: 'pending' })
  const hashes = []
  for (const key of keys) {
    hashes.push(await wallet.sendTransaction({ to: privateKeyToAccount(key).address, value: parseEther(ether), nonce: nonce++ }))
  }
  await Promise.all(hashes.map((hash) => reader.waitForTransactionReceipt({ hash })))
  return keys
}

let last = 0

/** @returns the whole JSON-RPC answer, error or not */
export async function ask(method, ...params) {
  return post({ jsonrpc: '2.0', id: ++last, method, params })
}

/** @returns whatever the door answers to this body */
export async function post(body) {
  const answer = await fetch(rollup.rpc, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  return answer.json()
}

/** @returns the first true answer of the condition, or throws after so many seconds */
export async function until(what, condition, seconds = 20) {
  const deadline = Date.now() + seconds * 1000
  for (;;) {
    const result = await condition()
    if (result) return result
    if (Date.now() > deadline) throw new Error(`waited ${seconds} s in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
