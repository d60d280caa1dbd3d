// One workload and rule: ours and every peer's form checked against each other, then timed in turns.
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { waitQuiet } from '../lib/quiet.mjs'
import { PYTHON } from './setup.mjs'
import { Worker } from './worker.mjs'

/** Above this relative difference of gradients, or with other spikes and a difference, the work is not the same. */
export const LIMIT = 1e-3

const FORMS = {
  jax: { bptt: ['recursion', 'stacked', 'autodiff'], eprop: ['recursion', 'stacked', 'autodiff', 'traces'] },
  torch: {
    bptt: ['recursion-compiled', 'recursion', 'autodiff'],
    eprop: ['recursion-compiled', 'recursion', 'autodiff']
  },
  nest: { bptt: [], eprop: ['bsshslm'] },
  spyx: { bptt: ['run', 'projected'], eprop: ['run', 'projected'] },
  braintrace: { bptt: [], eprop: ['d-rtrl', 'd-rtrl-vmap'] }
}
/** Traces of one synapse each, and trials one after another, take minutes on these. */
const SLOW = new Set([
  'W2 traces',
  'W-dense traces',
  'W-dense bsshslm',
  'W2 bsshslm',
  'W d-rtrl-vmap',
  'W2 d-rtrl',
  'W2 d-rtrl-vmap',
  'W-dense d-rtrl',
  'W-dense d-rtrl-vmap'
])
/** Dale's law and rewiring are in the JAX peer only; PyTorch's matrices are dense as they are. */
const formsOf = (library, rule, workload) =>
  (workload === 'W-paper' && library !== 'jax') || (workload === 'W-dense' && library === 'torch')
    ? []
    : FORMS[library][rule].filter(form => !SLOW.has(`${workload} ${form}`))

const LEAST_MS = 250
const here = name => fileURLToPath(new URL(name, import.meta.url))

const startOurs = ({ file, rule, threads }, precision, env) =>
  Worker.start(process.execPath, [here('ours.mjs'), file, rule, String(threads), precision], env)

const startPeer = ({ file, rule, threads }, library, form, precision) =>
  Worker.start(PYTHON, [here(`${library}_peer.py`), file, rule, form, String(threads), precision], {
    OMP_NUM_THREADS: String(threads),
    PYTHONDONTWRITEBYTECODE: '1'
  })

const median = values => {
  const sorted = values.toSorted((a, b) => a - b)
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2
}

const largest = differences => Math.max(...Object.values(differences))

/** The same comparison in double precision: whether it is the mathematics that differs, or rounding at a threshold. */
async function inDouble(contest, library, form, folder) {
  const gradients = join(folder, 'gradients-f64.json')
  const ours = await startOurs(contest, 'f64')
  const peer = await startPeer(contest, library, form, 'f64')
  const mine = await ours.ask(`check ${gradients}`)
  const theirs = await peer.ask(`check ${gradients}`)
  ours.close()
  peer.close()
  return { difference: largest(theirs.differences), spikes: [mine.spikes, theirs.spikes] }
}

async function timed(worker, count) {
  const others = await waitQuiet()
  // The first step after a pause finds cold caches and sleeping threads.
  await worker.ask('step 1')
  const { ms } = await worker.ask(`step ${count}`)
  return { ms: median(ms), others: others ?? 0 }
}

/** Starts a form, compares it with ours and times two iterations after one that compiles. */
async function enter(contest, library, form, mine, gradients, folder) {
  const worker = await startPeer(contest, library, form, 'f32')
  const check = await worker.ask(`check ${gradients}`)
  const entry = { library, form, worker, ...worker.about, loss: check.loss, spikes: check.spikes }
  if (check.differences === null) entry.otherRule = true
  else {
    entry.difference = largest(check.differences)
    if (!(entry.difference <= LIMIT)) entry.double = await inDouble(contest, library, form, folder)
  }
  await worker.ask('step 1')
  entry.ms = (await timed(worker, 2)).ms
  console.log(describe(entry, mine))
  return entry
}

function describe({ peer, form, loss, spikes, difference, ms, double, otherRule }, mine) {
  const time = `${ms.toFixed(1)} ms`
  if (otherRule)
    return `  ${peer} ${form}: another e-prop, one trial at a time, for information; ${spikes} spikes; ${time}`
  const agreement = `loss ${loss.toPrecision(7)} (ours ${mine.loss.toPrecision(7)}), spikes ${spikes} (ours ${mine.spikes}), largest relative gradient difference ${difference.toExponential(1)}`
  const verdict =
    double === undefined
      ? ''
      : `; NOT THE SAME WORK, no ratio (in double precision: difference ${double.difference.toExponential(1)}, spikes ${double.spikes.join(' and ')})`
  return `  ${peer} ${form}: ${agreement}; ${time}${verdict}`
}

/** Alternates ours and theirs; the order changes from round to round. */
async function rounds(ours, peer, count) {
  const lengths = new Map()
  for (const worker of [ours, peer]) {
    const { ms } = await timed(worker, 1)
    lengths.set(worker, Math.min(20, Math.max(1, Math.ceil(LEAST_MS / ms))))
  }
  const results = []
  for (let round = 0; round < count; round++) {
    const times = new Map()
    let others = 0
    for (const worker of round % 2 === 0 ? [ours, peer] : [peer, ours]) {
      const result = await timed(worker, lengths.get(worker))
      times.set(worker, result.ms)
      others = Math.max(others, result.others)
    }
    results.push({ ours: times.get(ours), theirs: times.get(peer), others })
  }
  return results
}

/**
 * Runs a contest `{ workload, file, rule, threads, simd }` against some libraries. Of each library the fastest form that
 * does the same work is timed in turns with ours.
 */
export async function runContest(contest, libraries, { folder, count }) {
  const { workload, rule, simd } = contest
  console.log(`\n${workload}, ${rule}`)
  const ours = await startOurs(contest, 'f32', simd === undefined ? {} : { MDGL_SIMD: simd })
  const gradients = join(folder, 'gradients.json')
  const mine = await ours.ask(`check ${gradients}`)
  await ours.ask('step 2')
  const rows = []
  for (const library of libraries) {
    const entries = []
    for (const form of formsOf(library, rule, workload)) {
      const entry = await enter(contest, library, form, mine, gradients, folder)
      entries.push(entry)
      entries.sort((a, b) => Number('double' in a) - Number('double' in b) || a.ms - b.ms)
      for (const slower of entries.slice(1)) slower.worker.close()
    }
    const best = entries[0]
    if (best === undefined) continue
    const results = 'double' in best ? [] : await rounds(ours, best.worker, count)
    best.worker.close()
    const forms = entries.map(({ form, ms }) => ({ form, ms }))
    rows.push({ ...contest, ...best, worker: undefined, mine, forms, results: summary(results) })
    if (results.length > 0) console.log(`  ${ratioLine(rows.at(-1))}`)
  }
  ours.close()
  return rows
}

function summary(results) {
  if (results.length === 0) return null
  const ratios = results.map(({ ours, theirs }) => theirs / ours)
  return {
    ours: median(results.map(({ ours }) => ours)),
    theirs: median(results.map(({ theirs }) => theirs)),
    ratio: median(ratios),
    least: Math.min(...ratios),
    most: Math.max(...ratios),
    others: Math.max(...results.map(({ others }) => others))
  }
}

const ratioLine = ({ peer, form, results: { ours, theirs, ratio, least, most } }) =>
  `ours ${ours.toFixed(1)} ms, ${peer} ${form} ${theirs.toFixed(1)} ms: ${ratio.toFixed(1)} times (${least.toFixed(1)} to ${most.toFixed(1)})`
