import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { network } from 'hardhat'

describe('Auction, with hardhat-ethers', async () => {
  const { ethers, provider } = await network.create()
  const [seller, first, second] = await ethers.getSigners()

  it('deploys, and answers calls', async () => {
    const auction = await ethers.deployContract('Auction', [7n])
    await auction.waitForDeployment()
    assert.equal(await auction.highest(), 7n)
    assert.equal(await auction.seller(), seller.address)
  })

  it('takes bids and tells of them in events', async () => {
    const auction = await ethers.deployContract('Auction', [7n])
    await auction.waitForDeployment()
    const receipt = await (await auction.connect(first).bid({ value: 8n })).wait()
    assert.equal(receipt.logs[0].fragment.name, 'Bid')
    assert.deepEqual([...receipt.logs[0].args], [first.address, 8n])
    await (await auction.connect(second).bid({ value: 9n })).wait()
    assert.equal((await auction.queryFilter(auction.filters.Bid(first.address))).length, 1)
    assert.equal(await auction.owed(first.address), 8n)
    await assert.rejects(auction.connect(first).bid({ value: 9n }), (e) => auction.interface.parseError(e.data)?.name === 'TooLow')
  })

  it('attaches to what is deployed, by its artifact', async () => {
    const { target } = await (await ethers.deployContract('Auction', [1n])).waitForDeployment()
    const auction = await ethers.getContractAt('Auction', target)
    assert.equal(await auction.highest(), 1n)
    assert.ok((await ethers.provider.getBlockNumber()) > 0)
  })

  it('reaches the node below by its provider', async () => {
    const accounts = await provider.request({ method: 'eth_accounts' })
    assert.equal(accounts.length, 3)
    assert.match(await provider.request({ method: 'eth_chainId' }), /^0x/)
    const signature = await provider.request({ method: 'personal_sign', params: ['0x00', accounts[0]] })
    assert.equal(ethers.verifyMessage('0x00', signature).length, 42)
    const hash = await provider.request({ method: 'eth_sendTransaction', params: [{ from: accounts[0], to: accounts[1], value: '0x1' }] })
    assert.equal((await ethers.provider.waitForTransaction(hash)).status, 1)
  })
})
