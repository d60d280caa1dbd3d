// Carries out a stretch of the fuzzer's plans and tells the process that started it of each: see fuzz-api.mjs.
import fc from 'fast-check'
import { calls } from '../../__test__/helpers/hostile/calls.ts'
import { attemptFile, filePlans, hdf5Plans } from '../../__test__/helpers/hostile/files.ts'
import { Judge, plans } from '../../__test__/helpers/hostile/judge.ts'
import { makeFiles, removeFiles } from '../../__test__/helpers/hostile/world.ts'

const [kind, seed, count, given] = process.argv.slice(2)
const files = await makeFiles()
using judge = new Judge(files)

const KINDS = {
  calls: [plans, plan => judge.attempt(plan)],
  files: [filePlans, plan => attemptFile(files, plan)],
  hdf5: [hdf5Plans, plan => attemptFile(files, plan)]
}
const [arbitrary, attempt] = KINDS[kind]

/** Resolves once the other process has it, so that it knows what a crash was about. */
const tell = message => new Promise(resolve => process.send(message, resolve))

let unhandled
process.on('unhandledRejection', reason => {
  unhandled = reason
})

// Each function once as it should be called: a table that is wrong tests nothing.
if (kind === 'calls' && given === undefined) {
  for (const call of Object.keys(calls)) {
    const verdict = await judge.attempt({ call, damages: [] })
    if (verdict.outcome !== 'value')
      await tell({ plan: { call, damages: [] }, verdict: { ...verdict, finding: 'fails undamaged' } })
  }
}
const listed =
  given === undefined ? fc.sample(arbitrary, { seed: Number(seed), numRuns: Number(count) }) : [JSON.parse(given)]
for (const plan of listed) {
  await tell({ begins: plan })
  const begun = performance.now()
  const verdict = await attempt(plan)
  if (unhandled !== undefined) verdict.finding ??= `left a rejection unhandled: ${unhandled?.stack ?? unhandled}`
  unhandled = undefined
  await tell({ plan, verdict, ms: performance.now() - begun, peak: process.resourceUsage().maxRSS / 1024 })
}
await removeFiles(files)
process.disconnect()
process.exit(0)
