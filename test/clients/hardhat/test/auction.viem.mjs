import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { network } from 'hardhat'
import { getAddress, parseEther } from 'viem'

describe('Auction, with hardhat-viem', async () => {
  const { viem, networkName } = await network.create()
  const reader = await viem.getPublicClient({ pollingInterval: 50 })
  const [seller, first, second] = await viem.getWalletClients({ pollingInterval: 50 })
  const deploy = (reserve) => viem.deployContract('Auction', [reserve], { client: { public: reader, wallet: seller } })
  const mined = async (hash) => reader.waitForTransactionReceipt({ hash: await hash })

  it('runs on the devnet, with the accounts given', async () => {
    assert.equal(networkName, 'devnet')
    assert.equal(seller.account.address !== first.account.address, true)
    assert.ok((await reader.getBalance({ address: second.account.address })) > parseEther('1'))
  })

  it('deploys with its constructor arguments', async () => {
    const auction = await deploy(100n)
    assert.equal(await auction.read.highest(), 100n)
    assert.equal(getAddress(await auction.read.seller()), getAddress(seller.account.address))
  })

  it('takes higher bids and owes what was outbid', async () => {
    const auction = await deploy(10n)
    await mined(auction.write.bid({ value: 20n, account: first.account }))
    await mined(auction.write.bid({ value: 30n, account: second.account }))
    assert.equal(await auction.read.owed([first.account.address]), 20n)
    assert.equal(getAddress(await auction.read.leader()), getAddress(second.account.address))
    await mined(auction.write.withdraw({ account: first.account }))
    assert.equal(await reader.getBalance({ address: auction.address }), 30n)
    const bids = await auction.getEvents.Bid({}, { fromBlock: 0n })
    assert.deepEqual(bids.map((b) => b.args.amount), [20n, 30n])
  })

  it('refuses low bids, strangers and latecomers, each with its own error', async () => {
    const auction = await deploy(10n)
    await assert.rejects(auction.write.bid({ value: 5n, account: first.account }), /TooLow\(uint256 offered, uint256 highest\)[\s\S]*\(5, 10\)/)
    await assert.rejects(auction.simulate.close({ account: first.account }), /NotSeller/)
    await mined(auction.write.close())
    await assert.rejects(auction.write.bid({ value: 50n, account: first.account }), /the auction is over/)
  })

  it('simulates what it will send', async () => {
    const auction = await deploy(1n)
    await mined(auction.write.bid({ value: 2n, account: first.account }))
    const { request } = await reader.simulateContract({ address: auction.address, abi: auction.abi, functionName: 'bid', value: 3n, account: second.account.address })
    assert.equal(request.functionName, 'bid')
  })
})
