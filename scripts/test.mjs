// `npm test`: cargo's tests and ava's; the last line is the count of both together.
// With arguments only ava runs, on the files named: `npm test -- __test__/cli.test.ts`.
import { readCargo, readTap } from './lib/counts.mjs'
import { guarded, prepare } from './lib/prepare.mjs'
import { run } from './lib/run.mjs'

const chosen = process.argv.slice(2)

async function cargo() {
  const { code, output } = await run('cargo', ['test', '--workspace', '--no-fail-fast', '--color=never'], {
    output: 'both'
  })
  return readCargo(output, code)
}

async function ava() {
  const { code, output } = await run('ava', ['--tap', ...chosen], { output: 'both' })
  return readTap(output, code)
}

let counts = []
await guarded(async () => {
  // Until the tests have run, a failed build is what has failed.
  counts = [{ passed: 0, failed: 1 }]
  await prepare()
  counts = chosen.length > 0 ? [await ava()] : [await cargo(), await ava()]
  return 0
})

const passed = counts.reduce((sum, count) => sum + count.passed, 0)
const failed = counts.reduce((sum, count) => sum + count.failed, 0)
console.log(`\n${passed} passed, ${failed} failed`)
// Each runner must have run something: a runner that found no test is not a pass.
if (failed > 0 || counts.some(count => count.passed === 0)) process.exitCode = 1
