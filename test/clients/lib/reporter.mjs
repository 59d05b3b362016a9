// What node's test runner found, in few lines: each failure in full, then the counts.
import { inspect } from 'node:util'

export default async function* report(events) {
  const began = Date.now()
  let passed = 0
  let failed = 0
  for await (const { type, data } of events) {
    const { name, details } = data ?? {}
    if (type === 'test:stderr' || type === 'test:stdout') yield data.message
    if (details?.type === 'suite' || data?.todo !== undefined) continue
    if (type === 'test:pass') passed++
    if (type === 'test:fail') {
      failed++
      yield `  ✖ ${name} (${data.file ?? ''}:${data.line ?? ''})\n${inspect(details.error.cause ?? details.error, { depth: 3 }).replaceAll(/^/gm, '      ')}\n`
    }
  }
  yield `  ${passed + failed} checks, ${failed} failed, in ${((Date.now() - began) / 1000).toFixed(1)} s\n`
}
