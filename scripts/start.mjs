// `npm start`: installs and builds what is missing, then compares the three rules of Fig. 3C on three seeds.
import { guarded, prepare } from './lib/prepare.mjs'
import { run } from './lib/run.mjs'

// Seeds 1 to 3 and so many iterations were chosen by time alone: about two minutes of training on two cores.
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
