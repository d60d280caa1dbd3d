// `npm run bench:events`: how long `binnedEvents` holds the caller's thread for recorded events in any order.
// Prints Markdown and writes it into docs/embedding.md. --events N is for a look, which is printed and not written.
import { parseArgs } from 'node:util'
import { circumstances, markdown, writeGenerated } from './lib/generated.mjs'
import { guarded, prepare } from './lib/prepare.mjs'
import { waitQuiet } from './lib/quiet.mjs'

const { values } = parseArgs({ options: { events: { type: 'string' } } })
const events = Number(values.events ?? 1_000_000)
const CALLS = 20
const UNITS = 700
/** In ms. */
const DURATION = 1000

/** Recordings of a class of arrays that the events are shared out to. */
function recordings(library, trials, Times) {
  const random = library.fixedRandom(1)
  const each = events / trials
  return Array.from({ length: trials }, () => ({
    times: Times.from({ length: each }, () => random.uniform() * DURATION),
    units: Uint32Array.from({ length: each }, () => random.integer(UNITS))
  }))
}

/** Median, least and most ms of a call, and the median of its processor time. */
function timed(library, given, dt) {
  const [walls, processor] = [[], []]
  for (let call = 0; call < CALLS; call++) {
    const [begun, used] = [performance.now(), process.cpuUsage()]
    library.binnedEvents(given, { duration: DURATION, dt })
    walls.push(performance.now() - begun)
    const { user, system } = process.cpuUsage(used)
    processor.push((user + system) / 1000)
  }
  for (const list of [walls, processor]) list.sort((a, b) => a - b)
  return [walls[CALLS / 2], walls[0], walls[CALLS - 1], processor[CALLS / 2]].map(ms => ms.toFixed(0))
}

await guarded(async () => {
  await prepare()
  const load = await waitQuiet()
  const library = await import('../dist/index.js')
  const cases = [
    ['one recording, `dt` 1', 1, Float64Array, 1],
    ['one recording, `dt` 0.1', 1, Float64Array, 0.1],
    ['one recording, a list of numbers', 1, Array, 1],
    ['1000 recordings, `dt` 1', 1000, Float64Array, 1]
  ]
  const rows = cases.map(([name, trials, Times, dt]) => [
    name,
    ...timed(library, recordings(library, trials, Times), dt)
  ])
  const text = [
    markdown([[`${events} events, ms per call`, 'median', 'least', 'most', 'processor time, median'], ...rows]),
    `${CALLS} calls each; \`npm run bench:events\` on ${circumstances(load)}`
  ].join('\n\n')
  console.log(text)
  if (values.events === undefined) writeGenerated('docs/embedding.md', 'events', text)
  return 0
})
