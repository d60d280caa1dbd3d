// What data-parallel training costs on many ranks: what each rank computes is measured, one after another in this process, with the
// messages of all, in processor time, so that other load matters little; the time that messages take on their way is worked out.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { evidenceAccumulation, Model, train } from '../../dist/index.js'

const BLOCK = 16
const RANKS = [1, 10, 100, 300, 1000]
/** Trials of the batch that stays the same while ranks are added: at most one block per rank. */
const STRONG_BLOCKS = 1000
/** A stated network: 10 Gbit/s, 20 µs. */
const NETWORK = { name: '10 Gbit/s, 20 µs', alphaMs: 0.02, msPerByte: 1000 / 1.25e9 }
/** Ranks of which the time is taken, spread over all; of those with large shares, of so many blocks, one, and one iteration. */
const SAMPLES = 9
const LARGE = 50
/** The second has the memory of the first. */
const ITERATIONS = 2
const STOP = new Error('the message is known')

/**
 * An all-gather is two: of the lengths and of the bytes. Each goes in ⌈log₂ P⌉ rounds (`crates/mdgl-mpi/src/gather.rs`); in the last,
 * each rank has all others' bytes.
 */
const roundsOf = ranks => 2 * Math.ceil(Math.log2(ranks))
const bytesOf = (ranks, bytes) => (ranks - 1) * (8 + bytes)

const gatherMs = ({ alphaMs, msPerByte }, ranks, bytes) => roundsOf(ranks) * alphaMs + bytesOf(ranks, bytes) * msPerByte

/**
 * A reduction meets first, an all-gather of lengths; then messages go up a tree of ⌈log₂ P⌉ levels, of which the longest path is that to
 * rank 0, and the merged one comes down as many (`crates/mdgl-mpi/index.js`).
 */
function treeMs({ alphaMs, msPerByte }, ranks, { levels, bytes }) {
  const rounds = Math.ceil(Math.log2(ranks))
  const up = levels.reduce((sum, level) => sum + alphaMs + level.bytes * msPerByte, 0)
  return rounds * alphaMs + (ranks - 1) * 8 * msPerByte + up + rounds * (alphaMs + bytes * msPerByte)
}

/** Latency α of a message and time β a byte by least squares of relative errors. */
export function messageLine(rows) {
  const sums = { aa: 0, ab: 0, bb: 0, ay: 0, by: 0 }
  for (const { ranks, bytes, ms } of rows) {
    const [a, b] = [roundsOf(ranks) / ms, bytesOf(ranks, bytes) / ms]
    sums.aa += a * a
    sums.ab += a * b
    sums.bb += b * b
    sums.ay += a
    sums.by += b
  }
  const det = sums.aa * sums.bb - sums.ab * sums.ab
  const alphaMs = (sums.ay * sums.bb - sums.by * sums.ab) / det
  const msPerByte = (sums.aa * sums.by - sums.ab * sums.ay) / det
  return { name: 'shared memory of this machine', alphaMs, msPerByte }
}

/** What was measured, beside the fit. */
export function messageTable(rows) {
  const line = messageLine(rows)
  return [
    'All-gather, median; beside the fit:',
    '',
    '| ranks | bytes per rank | ms | fit, ms |',
    '|---|---|---|---|',
    ...rows.map(
      ({ ranks, bytes, ms }) =>
        `| ${ranks} | ${bytes} | ${ms.toFixed(3)} | ${gatherMs(line, ranks, bytes).toFixed(3)} |`
    ),
    '',
    `α = ${(1000 * line.alphaMs).toFixed(0)} µs per round, β = ${(1e6 * line.msPerByte).toFixed(3)} ns per byte (${(1e-6 / line.msPerByte).toFixed(2)} GB/s).`
  ].join('\n')
}

function deferred() {
  let open
  const promise = new Promise(resolve => {
    open = resolve
  })
  return { promise, open }
}

/** Processor time of all threads. */
function busyMs() {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

const median = values => values.toSorted((a, b) => a - b)[values.length >> 1]

/** Merges the messages of all ranks as the tree does: the largest of the merges of rank 0 and of the usual one, of each level. */
async function throughTree(messages, merge) {
  const levels = []
  let level = messages
  while (level.length > 1) {
    const [next, times] = [[], []]
    for (let i = 0; i < level.length; i += 2) {
      const begun = busyMs()
      next.push(i + 1 < level.length ? await merge(level[i], level[i + 1]) : level[i])
      if (i + 1 < level.length) times.push(busyMs() - begun)
    }
    levels.push({ ms: Math.max(times[0], median(times)), bytes: level[1].byteLength })
    level = next
  }
  return { message: level[0], levels, bytes: level[0].byteLength }
}

/**
 * One rank's iterations, each begun once the one before is over, creation of the trials with it. `exchange` is given its message and gives
 * those of all, or with `tree` the merged one. Times in ms: `before` its message, `after` those of all have come.
 */
async function iterate({ rank, size, blocks, iterations, tree = false }, exchange) {
  const times = []
  let begun
  let answered
  const gates = Array.from({ length: iterations }, deferred)
  const task = evidenceAccumulation()
  const batch = async context => {
    await gates[context.iteration - 1].promise
    return task.batch(context)
  }
  const answer = async (message, merge) => {
    times.push({ before: busyMs() - begun })
    const messages = await exchange(message, times.length - 1, merge)
    answered = busyMs()
    return messages
  }
  let agreed = false
  const allGather = message => {
    if (agreed) return answer(message)
    agreed = true
    return Promise.resolve(Array.from({ length: size }, () => message))
  }
  const model = Model.create(task.network({ seed: 1 }))
  const options = { rule: 'mdgl', threads: 1, batchSize: BLOCK * blocks, iterations, validateEvery: 0 }
  const training = train(
    model,
    { ...task, batch },
    { ...options, collective: { rank, size, allGather, ...(tree && { allReduce: answer }) } }
  )
  let hash
  try {
    for (const { open } of gates) {
      begun = busyMs()
      open()
      await training.next()
      times.at(-1).after = busyMs() - answered
      hash ??= createHash('sha256')
        .update(await model.toBytes())
        .digest('hex')
    }
  } catch (error) {
    if (error !== STOP) throw error
  }
  return { times, hash }
}

/** The first message of every rank, computed one after another. */
async function messagesOf(size, blocks) {
  const all = []
  for (let rank = 0; rank < size; rank++) {
    await iterate({ rank, size, blocks, iterations: 1 }, message => {
      all.push(message)
      throw STOP
    })
  }
  return all
}

/** What a rank of so many computes, and that its step is that of a single process. */
async function measure(size, blocks, expected) {
  const iterations = blocks / size >= LARGE ? 1 : ITERATIONS
  if (size === 1) {
    let bytes = 0
    const { times, hash } = await iterate({ rank: 0, size, blocks, iterations }, message => {
      bytes = message.byteLength
      return [message]
    })
    return { ranks: size, ...times.at(-1), bytes, hash }
  }
  const all = await messagesOf(size, blocks)
  const count = iterations === 1 ? 1 : SAMPLES
  const found = []
  for (let i = 0; i < count; i++) {
    const rank = Math.floor((i * size) / count)
    const { times, hash } = await iterate({ rank, size, blocks, iterations }, (_, iteration) => {
      if (iteration === 0) return all
      throw STOP
    })
    assert.equal(hash, expected, `rank ${rank} of ${size} has other weights than a single process`)
    found.push(times)
  }
  const bytes = all.reduce((sum, { byteLength }) => sum + byteLength, 0) / size
  const after = median(found.map(times => times[0].after))
  let merged
  const tree = await iterate({ rank: 0, size, blocks, iterations, tree: true }, async (_, iteration, merge) => {
    if (iteration > 0) throw STOP
    merged = await throughTree(all, merge)
    return merged.message
  })
  assert.equal(tree.hash, expected, `rank 0 of ${size} has other weights than a single process by a merged message`)
  const merges = merged.levels.reduce((sum, { ms }) => sum + ms, 0)
  const inTree = { ...merged, merges, before: tree.times.at(-1).before, after: tree.times[0].after }
  return { ranks: size, before: median(found.map(times => times.at(-1).before)), after, bytes, inTree }
}

function table(title, rows, block, network) {
  const lines = rows.map(({ ranks, blocks, before, after, bytes, alone, inTree }) => {
    const own = Math.ceil(blocks / ranks)
    const gathered = before + after + gatherMs(network, ranks, bytes)
    const { merges, ...tree } = inTree ?? { before, after, merges: 0 }
    const compute = Math.min(tree.before, own * block)
    const beside = tree.before - compute
    const messages = inTree === undefined ? 0 : treeMs(network, ranks, inTree)
    const all = tree.before + merges + tree.after + messages
    const repeated = beside + merges + tree.after
    const cells = [compute, beside, merges, tree.after, messages, all].map(ms => ms.toFixed(1))
    const last = [(alone / all).toFixed(1), `${((100 * repeated) / all).toFixed(1)} %`, (alone / gathered).toFixed(1)]
    return `| ${[ranks, own, ...cells, ...last].join(' | ')} |`
  })
  return [
    `${title}; ${network.name}:`,
    '',
    '| ranks | blocks per rank | own blocks, ms | beside them, ms | merges, ms | step, ms | messages, ms | iteration, ms | speed-up | repeated | speed-up with an all-gather |',
    '|---|---|---|---|---|---|---|---|---|---|---|',
    ...lines
  ].join('\n')
}

/** Measured for each number of ranks, with blocks that depend on it; `alone` is one process with the same blocks. */
async function scaling(blocksOf, known) {
  const once = async (ranks, blocks, expected) => {
    const key = `${ranks} of ${blocks}`
    if (!known.has(key)) known.set(key, await measure(ranks, blocks, expected))
    return known.get(key)
  }
  const rows = []
  for (const ranks of RANKS) {
    const blocks = blocksOf(ranks)
    const single = await once(1, blocks)
    const found = await once(ranks, blocks, single.hash)
    rows.push({ ...found, blocks, alone: single.before + single.after })
  }
  return rows
}

/** Strong and weak scaling, over a stated network and, where its messages were timed, over shared memory. */
export async function costTables(line) {
  const known = new Map()
  const strong = await scaling(() => STRONG_BLOCKS, known)
  const weak = await scaling(ranks => ranks, known)
  const block = strong[0].before / STRONG_BLOCKS
  const found = `A block with its trials' creation takes ${block.toFixed(1)} ms on one thread; a rank's message with one block ${strong.at(-1).bytes.toFixed(0)} bytes.`
  const networks = line === undefined ? [NETWORK] : [line, NETWORK]
  const tables = networks.flatMap(network => [
    table(`Strong scaling, ${STRONG_BLOCKS} blocks (${BLOCK * STRONG_BLOCKS} trials) in all`, strong, block, network),
    table('Weak scaling, one block per rank', weak, block, network)
  ])
  return [found, ...tables].join('\n\n')
}

// By itself, without MPI: `node scripts/lib/mpi-cost.mjs`.
if (process.argv[1] === import.meta.filename) {
  console.log(await costTables())
}
