// The project's own commands, as a team runs them: build, then test on the devnet.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { funded, rollup } from '../lib/devnet.mjs'

const cwd = fileURLToPath(new URL('.', import.meta.url))
let env

function hardhat(...args) {
  const cli = fileURLToPath(new URL('../node_modules/.bin/hardhat', import.meta.url))
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...args], { cwd, env, encoding: 'utf8' })
  assert.equal(status, 0, `hardhat ${args.join(' ')}:\n${stdout}${stderr}`)
  return stdout
}

before(async () => {
  env = {
    ...process.env, DEVNET_RPC: rollup.rpc, DEVNET_CHAIN: rollup.chain_id, DEVNET_KEYS: (await funded(4, 3)).join(','), HARDHAT_DISABLE_TELEMETRY_PROMPT: 'true',
  }
  delete env.NODE_TEST_CONTEXT // these are not tests of this runner
})

test('hardhat build, by the solc of npm', () => {
  assert.match(hardhat('build', '--force'), /Compiled 1 Solidity file with solc 0\.8\.37/)
})

test('hardhat test --network devnet', (t) => {
  const [, passing] = hardhat('test', 'nodejs', '--network', 'devnet').match(/^\s*(\d+) passing/m)
  console.log(`  ${passing} tests of the Hardhat project passed`)
  assert.ok(Number(passing) >= 10)
})
