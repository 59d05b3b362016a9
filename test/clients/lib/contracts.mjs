// The contracts that the suites deploy, compiled by the solc that npm brought, once:
// `node lib/contracts.mjs` writes build/contracts.json.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

const root = new URL('../', import.meta.url)
const built = new URL('build/contracts.json', root)

async function compile() {
  const { default: solc } = await import('solc')
  const names = readdirSync(new URL('contracts/', root))
  const output = JSON.parse(solc.compile(JSON.stringify({
    language: 'Solidity',
    sources: Object.fromEntries(names.map((name) => [name, { content: readFileSync(new URL(`contracts/${name}`, root), 'utf8') }])),
    settings: { optimizer: { enabled: true }, outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object'] } } },
  })))
  const wrong = (output.errors ?? []).filter((e) => e.severity === 'error')
  if (wrong.length > 0) throw new Error(wrong.map((e) => e.formattedMessage).join('\n'))
  return Object.fromEntries(Object.values(output.contracts).flatMap((file) => Object.entries(file).map(([name, c]) => [name, {
    abi: c.abi, bytecode: `0x${c.evm.bytecode.object}`, deployed: `0x${c.evm.deployedBytecode.object}`,
  }])))
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  mkdirSync(new URL('build/', root), { recursive: true })
  writeFileSync(built, JSON.stringify(await compile()))
}

/** @returns {{Token: object, Faults: object, Batch: object}} of each: abi, bytecode, deployed */
export const contracts = () => JSON.parse(readFileSync(built, 'utf8'))
