import { createPublicClient, createWalletClient, http, webSocket } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { chain, funded } from '../lib/devnet.mjs'
import { contracts } from '../lib/contracts.mjs'

export const reader = createPublicClient({ chain, transport: http(), pollingInterval: 50 })
export const wallet = (account) => createWalletClient({ account, chain, transport: http() })
export const socket = () => createPublicClient({ chain, transport: webSocket() })

export const accounts = async (purse, count, ether) => (await funded(purse, count, ether)).map((key) => privateKeyToAccount(key))

export async function mined(hash) {
  return reader.waitForTransactionReceipt({ hash: await hash })
}

export async function deploy(account, name, args = []) {
  const { abi, bytecode } = contracts()[name]
  const receipt = await mined(wallet(account).deployContract({ abi, bytecode, args }))
  return { abi, address: receipt.contractAddress, receipt }
}
