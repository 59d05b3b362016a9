import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { network } from 'hardhat'
import { parseEther } from 'viem'

describe('a simulated network that forks the devnet', async () => {
  const devnet = await network.create('devnet')
  const [seller] = await devnet.viem.getWalletClients({ pollingInterval: 50 })
  const reader = await devnet.viem.getPublicClient({ pollingInterval: 50 })
  const auction = await devnet.viem.deployContract('Auction', [42n], { client: { public: reader, wallet: seller } })

  it('goes on from the state of the devnet, which it leaves as it is', async () => {
    // Without a number it would fork some blocks below the head, in fear of reorganizations.
    const forking = { enabled: true, url: process.env.DEVNET_RPC, blockNumber: Number(await reader.getBlockNumber()) }
    const { viem } = await network.create({ network: 'fork', override: { forking } })
    const there = await viem.getContractAt('Auction', auction.address)
    assert.equal(await there.read.highest(), 42n)
    const [account] = await viem.getWalletClients()
    await there.write.bid({ value: parseEther('1'), account: account.account })
    assert.equal(await there.read.highest(), parseEther('1'))
    assert.equal(await auction.read.highest(), 42n)
  })
})
