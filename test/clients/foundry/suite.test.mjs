// cast and forge as their users call them, on the devnet.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { encodeAbiParameters, getCreate2Address } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { ask, funded, rollup, until } from '../lib/devnet.mjs'

const cwd = fileURLToPath(new URL('.', import.meta.url))
const binary = (name) => fileURLToPath(new URL(`../node_modules/@foundry-rs/${name}-linux-amd64/bin/${name}`, import.meta.url))
const env = { ...process.env, FOUNDRY_DISABLE_NIGHTLY_WARNING: '1', NO_COLOR: '1', ETH_RPC_URL: rollup.rpc }
delete env.NODE_TEST_CONTEXT

let key, sender, vault
const stranger = () => privateKeyToAccount(generatePrivateKey()).address

function run(name, args, { fails = false, extra = {} } = {}) {
  const { status, stdout, stderr } = spawnSync(binary(name), args.map(String), { cwd, env: { ...env, ...extra }, encoding: 'utf8' })
  assert.equal(status !== 0, fails, `${name} ${args.join(' ')}:\n${stdout}${stderr}`)
  return fails ? stdout + stderr : stdout.trim()
}

const cast = (...args) => run('cast', args)
const castFails = (...args) => run('cast', args, { fails: true })
const send = (...args) => JSON.parse(cast('send', '--json', '--private-key', key, ...args))
const create = () => JSON.parse(run('forge', ['create', '--json', '--broadcast', '--private-key', key, 'src/Vault.sol:Vault', '--constructor-args', 'devnet'])).deployedTo
/** Values as cast prints them for people: "1000 [1e3]". */
const number = (text) => BigInt(text.split(' ')[0])

before(async () => {
  [key] = await funded(6, 1)
  sender = privateKeyToAccount(key).address
  vault = create()
})

after(() => spawnSync('rm', ['-rf', `${cwd}/broadcast`]))

test('forge create deploys, with constructor arguments', () => {
  assert.equal(cast('call', vault, 'name()(string)'), '"devnet"')
  assert.ok(cast('code', vault).length > 100)
})

test('cast: chain, blocks, tags', () => {
  assert.equal(cast('chain-id'), String(rollup.chain_id))
  assert.match(cast('client'), /./)
  assert.ok(Number(cast('block-number')) > 0)
  assert.ok(BigInt(cast('base-fee')) > 0n)
  assert.ok(BigInt(cast('gas-price')) > 0n)
  const latest = JSON.parse(cast('block', '--json'))
  assert.match(latest.hash, /^0x[0-9a-f]{64}$/)
  for (const tag of ['earliest', 'safe', 'finalized', 'pending']) {
    assert.ok(BigInt(JSON.parse(cast('block', '--json', tag)).number) >= 0n, tag)
  }
  assert.ok(Number(cast('age', '--rpc-url', rollup.rpc).length) > 0)
})

test('cast send, receipt, tx, nonce, balance', () => {
  const to = stranger()
  const nonce = Number(cast('nonce', sender))
  const receipt = send('--value', '0.1ether', to)
  assert.equal(receipt.status, '0x1')
  assert.equal(BigInt(receipt.gasUsed), 21000n)
  assert.equal(cast('balance', to), String(10n ** 17n))
  assert.equal(cast('balance', '--ether', to), '0.100000000000000000')
  assert.equal(Number(cast('nonce', sender)), nonce + 1)
  assert.deepEqual(JSON.parse(cast('receipt', '--json', receipt.transactionHash)).blockHash, receipt.blockHash)
  const tx = JSON.parse(cast('tx', '--json', receipt.transactionHash))
  assert.equal(tx.blockHash, receipt.blockHash)
  assert.equal(tx.from, sender.toLowerCase())
})

test('cast send of types 0 and 1, and with an authorization', () => {
  assert.equal(send('--legacy', '--value', 1, stranger()).type, '0x0')
  const listed = send('--access-list', JSON.stringify([{ address: vault, storageKeys: [`0x${'0'.repeat(64)}`] }]), '--value', 5, vault, 'deposit(uint256)', 0)
  assert.equal(listed.status, '0x1')
  assert.equal(JSON.parse(cast('tx', '--json', listed.transactionHash)).accessList.length, 1)
  const set = send('--auth', vault, stranger(), '--value', 1)
  assert.equal(set.type, '0x4')
  assert.equal(cast('code', sender), `0xef0100${vault.slice(2).toLowerCase()}`)
  send('--auth', '0x0000000000000000000000000000000000000000', stranger())
  assert.equal(cast('code', sender), '0x')
})

test('cast call, estimate, access-list, storage, proof', () => {
  const deposited = send('--value', 1000, vault, 'deposit(uint256)', 2n ** 40n)
  assert.equal(deposited.logs.length, 1)
  const [amount] = cast('call', vault, 'deposits(address)(uint256,uint256)', sender).split('\n').map(number)
  assert.ok(amount >= 1000n)
  assert.ok(BigInt(cast('estimate', '--from', sender, '--value', 1, vault, 'deposit(uint256)', 0)) > 21000n)
  const list = cast('access-list', '--from', sender, '--value', 1, vault, 'deposit(uint256)', 0)
  assert.match(list.toLowerCase(), new RegExp(vault.toLowerCase()))
  assert.match(cast('storage', vault, 0), /^0x6465766e6574/)
  const proof = JSON.parse(cast('proof', vault, `0x${'0'.repeat(64)}`))
  assert.equal(proof.storageProof.length, 1)
  assert.ok(proof.accountProof.length > 0)
  assert.match(cast('codehash', vault), /^0x[0-9a-f]{64}$/)
})

test('cast tells of reverts by their custom errors', () => {
  send('--value', 7, vault, 'deposit(uint256)', 2n ** 40n)
  assert.match(castFails('call', '--from', sender, vault, 'withdraw()'), /Locked|0x|revert/)
  assert.match(castFails('call', vault, 'deposit(uint256)', 0), /Empty|0x3db2a12a|revert/)
  assert.match(castFails('send', '--private-key', key, vault, 'withdraw()'), /revert/)
  const failed = send('--gas-limit', 100000, vault, 'withdraw()')
  assert.equal(failed.status, '0x0')
})

test('cast logs finds events by signature and topic', () => {
  const { blockNumber } = send('--value', 9, vault, 'deposit(uint256)', 3)
  const logs = JSON.parse(cast('logs', '--json', '--address', vault, '--from-block', BigInt(blockNumber), 'Deposited(address indexed,uint256,uint256)', sender))
  assert.equal(logs.length, 1)
  assert.equal(logs[0].address.toLowerCase(), vault.toLowerCase())
  assert.deepEqual(JSON.parse(cast('logs', '--json', '--address', vault, '--from-block', BigInt(blockNumber), 'Deposited(address indexed,uint256,uint256)', stranger())), [])
})

test('cast mktx and publish, --async, nonces ahead', async () => {
  const to = stranger()
  const nonce = Number(cast('nonce', sender))
  const second = cast('mktx', '--private-key', key, '--nonce', nonce + 1, '--gas-limit', 21000, '--value', 1, to)
  const hash = cast('publish', '--async', second)
  assert.match(hash, /^0x[0-9a-f]{64}$/)
  assert.equal(cast('nonce', sender), String(nonce))
  const first = cast('send', '--async', '--private-key', key, '--nonce', nonce, '--value', 1, to)
  assert.match(cast('receipt', first, 'status'), /^(true|1)/)
  assert.match(cast('receipt', hash, 'status'), /^(true|1)/)
  assert.equal(cast('balance', to), '2')
  await until('the pending nonce', async () => (await ask('eth_getTransactionCount', sender, 'pending')).result === `0x${(nonce + 2).toString(16)}`)
})

test('cast refuses what the node refuses, with its words', () => {
  assert.match(castFails('send', '--private-key', key, '--nonce', 0, '--gas-limit', 21000, stranger()), /nonce too low/)
  assert.match(castFails('send', '--private-key', key, '--gas-limit', 21000, '--value', '1000000ether', stranger()), /insufficient funds/)
  assert.match(castFails('rpc', 'eth_nothing'), /does not exist/)
})

test('cast rpc and cast send --sync', () => {
  assert.equal(JSON.parse(cast('rpc', 'eth_chainId')), `0x${rollup.chain_id.toString(16)}`)
  const receipt = send('--sync', '--value', 1, stranger())
  assert.equal(receipt.status, '0x1')
})

test('cast subscribes over WebSocket', async () => {
  const child = spawn(binary('cast'), ['logs', '--subscribe', '--rpc-url', rollup.ws, '--address', vault], { cwd, env })
  let heard = ''
  child.stdout.on('data', (data) => { heard += data })
  await until('a log', () => {
    if (heard === '') send('--value', 3, vault, 'deposit(uint256)', 0)
    return heard.toLowerCase().includes(vault.slice(2).toLowerCase())
  })
  child.kill('SIGINT')
})

test('cast run replays a transaction with its trace', () => {
  const { transactionHash } = send('--value', 4, vault, 'deposit(uint256)', 1)
  const trace = cast('run', '--quick', transactionHash)
  assert.match(trace, /Transaction successfully executed/)
  assert.match(trace, /deposit|0x/)
})

test('forge test on a fork of the devnet', async () => {
  const [other] = await funded(6, 1)
  const deployed = create()
  const receipt = JSON.parse(cast('send', '--json', '--private-key', other, '--value', 1000, deployed, 'deposit(uint256)', 2n ** 40n))
  const out = run('forge', ['test', '--fork-url', rollup.rpc, '--fork-block-number', BigInt(receipt.blockNumber)], {
    extra: { DEPLOYED: deployed, DEPOSITOR: privateKeyToAccount(other).address, CHAIN: rollup.chain_id, BLOCK: String(BigInt(receipt.blockNumber)) },
  })
  const [, passed] = out.match(/(\d+) tests? passed, 0 failed/)
  console.log(`  ${passed} tests of the Foundry project passed on a fork`)
  assert.equal(Number(passed), 5)
})

test('forge script --broadcast sends its transactions and waits for them', () => {
  run('forge', ['script', 'script/Deploy.s.sol', '--rpc-url', rollup.rpc, '--private-key', key, '--broadcast', '--slow'])
  const out = run('forge', ['script', 'script/Deploy.s.sol', '--rpc-url', rollup.rpc, '--private-key', key, '--broadcast'])
  assert.match(out, /ONCHAIN EXECUTION COMPLETE & SUCCESSFUL/)
  const [first, second] = [...out.matchAll(/contract Vault (0x[0-9a-fA-F]{40})/g)].map((m) => m[1])
  assert.equal(cast('call', first, 'name()(string)'), '"first"')
  assert.equal(cast('balance', second), '22')
})

test('forge script --resume finds nothing left to send', () => {
  const out = run('forge', ['script', 'script/Deploy.s.sol', '--rpc-url', rollup.rpc, '--private-key', key, '--broadcast', '--resume'])
  assert.match(out, /ONCHAIN EXECUTION COMPLETE & SUCCESSFUL/)
})

test('forge script deploys with a salt, by the deterministic deployment factory', () => {
  const salt = generatePrivateKey()
  run('forge', ['script', '--broadcast', '--private-key', key, '--rpc-url', rollup.rpc, 'script/Salted.s.sol', '--sig', 'run(bytes32)', salt])
  const { bytecode } = JSON.parse(readFileSync(`${cwd}/out/Vault.sol/Vault.json`, 'utf8'))
  const initCode = bytecode.object + encodeAbiParameters([{ type: 'string' }], ['salted']).slice(2)
  const salted = getCreate2Address({ from: '0x4e59b44847b379578588920cA78FbF26c0B4956C', salt, bytecode: initCode })
  assert.equal(cast('call', salted, 'name()(string)'), '"salted"')
})
