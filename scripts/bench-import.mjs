// `npm run bench:import`: how long a program waits for `import 'mdgl'`, in fresh processes that take turns with ones that
// import nothing. Prints Markdown and writes it into docs/embedding.md. --runs N is for a look, which is printed and not written.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { circumstances, markdown, writeGenerated } from './lib/generated.mjs'
import { guarded, prepare } from './lib/prepare.mjs'
import { waitQuiet } from './lib/quiet.mjs'
import { ROOT } from './lib/run.mjs'

const { values } = parseArgs({ options: { runs: { type: 'string' } } })
const runs = Number(values.runs ?? 40)

const entry = join(ROOT, 'dist/index.js')
const url = JSON.stringify(pathToFileURL(entry).href)
const PROGRAMS = [
  ['nothing', ['--input-type=module', '--eval', '0']],
  ["`import 'mdgl'`", ['--input-type=module', '--eval', `import ${url}`]],
  ["`require('mdgl')`", ['--eval', `require(${JSON.stringify(entry)})`]]
]

function timeProcess(args) {
  const begun = performance.now()
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return performance.now() - begun
}

/** Of sorted times: a median, and the least, which other processes have disturbed least. */
const median = sorted => sorted[sorted.length >> 1]

function table() {
  const times = PROGRAMS.map(() => [])
  for (let run = 0; run < runs; run++) for (const [i, [, args]] of PROGRAMS.entries()) times[i].push(timeProcess(args))
  for (const list of times) list.sort((a, b) => a - b)
  const [bare] = times
  const cells = PROGRAMS.map(([name], i) => {
    const over =
      i === 0 ? ['–', '–'] : [median(times[i]) - median(bare), times[i][0] - bare[0]].map(ms => ms.toFixed(1))
    return [name, median(times[i]).toFixed(1), over[0], times[i][0].toFixed(1), over[1]]
  })
  return markdown([['a process that has', 'median, ms', 'over nothing', 'least, ms', 'over nothing'], ...cells])
}

await guarded(async () => {
  await prepare()
  const load = await waitQuiet()
  const text = [table(), `${runs} processes each, in turns; \`npm run bench:import\` on ${circumstances(load)}`].join(
    '\n\n'
  )
  console.log(text)
  if (values.runs === undefined) writeGenerated('docs/embedding.md', 'import', text)
  return 0
})
