// `npm start`: installs and builds what is missing, then compares the three rules of Fig. 3C on one seed.
import { guarded, prepare } from './lib/prepare.mjs'
import { run } from './lib/run.mjs'

await guarded(async () => {
  await prepare()
  const extra = process.argv.slice(2)
  const { code } = await run('node', [
    'dist/cli/main.js',
    'compare',
    'evidence-accumulation',
    '--rules',
    'bptt,eprop,mdgl',
    '--seeds',
    '1',
    ...extra
  ])
  return code
})
