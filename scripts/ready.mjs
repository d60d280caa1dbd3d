// `npm run ready`: all that CI runs. `--checks-only` leaves the tests out, for .ci/run, which calls `npm test` itself.
import { runChecks } from './lib/checks.mjs'
import { guarded, prepare } from './lib/prepare.mjs'
import { run } from './lib/run.mjs'

await guarded(async () => {
  await prepare()
  const failures = await runChecks()
  const tests = process.argv.includes('--checks-only') ? 0 : (await run('node', ['scripts/test.mjs'])).code
  return failures > 0 || tests !== 0 ? 1 : 0
})
