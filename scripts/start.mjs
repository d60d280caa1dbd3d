// `npm start`: installs and builds what is missing, then compares the three rules of Fig. 3C on three seeds.
import { guarded, prepare } from './lib/prepare.mjs'
import { run } from './lib/run.mjs'

// The first three seeds, and so many iterations that two cores train them within two minutes: neither is chosen by its results.
const [SEEDS, ITERATIONS] = ['1-3', '800']

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
    SEEDS,
    '--iterations',
    ITERATIONS,
    ...extra
  ])
  return code
})
