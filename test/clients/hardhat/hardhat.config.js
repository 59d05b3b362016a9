// A Hardhat 3 project as a team would have it: its contract, its tests, one network.
// The compiler is the one from npm, so that nothing is downloaded.
import { fileURLToPath } from 'node:url'
import hardhatEthers from '@nomicfoundation/hardhat-ethers'
import hardhatNodeTestRunner from '@nomicfoundation/hardhat-node-test-runner'
import hardhatViem from '@nomicfoundation/hardhat-viem'
import { defineConfig } from 'hardhat/config'

const url = process.env.DEVNET_RPC ?? 'http://127.0.0.1:8545'

export default defineConfig({
  plugins: [hardhatEthers, hardhatNodeTestRunner, hardhatViem],
  solidity: {
    version: '0.8.37',
    path: fileURLToPath(new URL('../node_modules/solc/soljson.js', import.meta.url)),
  },
  paths: { sources: './contracts', tests: { nodejs: './test' } },
  chainDescriptors: {
    [Number(process.env.DEVNET_CHAIN ?? 31337)]: { name: 'Ordo devnet', chainType: 'l1', hardforkHistory: { prague: { blockNumber: 0 } } },
  },
  networks: {
    fork: { type: 'edr-simulated', chainType: 'l1', forking: { url } },
    devnet: {
      type: 'http',
      chainType: 'l1',
      url,
      accounts: process.env.DEVNET_KEYS?.split(',') ?? [],
    },
  },
})
