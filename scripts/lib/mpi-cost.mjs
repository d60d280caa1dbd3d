// What data-parallel training costs on many ranks, worked out from what messages and blocks cost here.
import { evidenceAccumulation, Model, makeBatch, train } from '../../dist/index.js'

const BLOCK = 16
const RANKS = [1, 2, 4, 10, 30, 100, 300, 1000]
/** Trials of the batch that stays the same while ranks are added: at most one block per rank. */
const STRONG_BLOCKS = 1000
/** A stated network: 10 Gbit/s, 20 µs. */
const NETWORK = { name: '10 Gbit/s, 20 µs', alphaMs: 0.02, msPerByte: 1000 / 1.25e9 }
const ROUNDS = 5

/**
 * Latency α of a message and time β a byte by least squares of relative errors. An all-gather in a ring of P ranks takes
 * P − 1 turns, in each of which every rank passes on one message: (P − 1) (α + β n). Two of them are made a message: lengths, bytes.
 */
export function messageLine(rows) {
  const sums = { aa: 0, ab: 0, bb: 0, ay: 0, by: 0 }
  for (const { ranks, bytes, ms } of rows) {
    const [a, b] = [(2 * (ranks - 1)) / ms, ((ranks - 1) * bytes) / ms]
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

const gatherMs = ({ alphaMs, msPerByte }, ranks, bytes) => (ranks - 1) * (2 * alphaMs + msPerByte * bytes)

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
    `α = ${(1000 * line.alphaMs).toFixed(0)} µs per step, β = ${(1e6 * line.msPerByte).toFixed(3)} ns per byte (${(1e-6 / line.msPerByte).toFixed(2)} GB/s).`
  ].join('\n')
}

/** Two batch sizes apart: what a block costs, and what every rank does whatever its share. */
async function measure() {
  const sizes = []
  const allGather = async message => {
    sizes.push(message.byteLength)
    return [message]
  }
  const collective = { rank: 0, size: 1, allGather }
  const msOf = async blocks => {
    const task = evidenceAccumulation()
    const model = Model.create(task.network({ seed: 1 }))
    const times = []
    const options = {
      rule: 'mdgl',
      threads: 1,
      batchSize: BLOCK * blocks,
      iterations: ROUNDS,
      validateEvery: 0,
      collective
    }
    for await (const { msPerIteration } of train(model, task, options)) times.push(msPerIteration)
    return times.sort((a, b) => a - b)[ROUNDS >> 1]
  }
  const [one, four] = [await msOf(1), await msOf(4)]
  const block = (four - one) / 3
  return { block, fixed: Math.max(0, one - block), made: await madeMs(), bytes: Math.max(...sizes) }
}

/** What the task takes to make a block of trials, which every rank does for the whole batch. */
async function madeMs() {
  const blocks = 64
  const begun = performance.now()
  await makeBatch(evidenceAccumulation(), { split: 'train', size: BLOCK * blocks, seed: 1 })
  return (performance.now() - begun) / blocks
}

/** Subtrees of one rank's share: one where shares are aligned, else up to two a level. */
function subtrees(blocks) {
  return blocks <= 1 || Number.isInteger(Math.log2(blocks)) ? 1 : 2 * Math.floor(Math.log2(blocks))
}

function table(title, { block, fixed, made, bytes }, network, blocksOf) {
  const rows = RANKS.map(ranks => {
    const total = blocksOf(ranks)
    const own = Math.ceil(total / ranks)
    const [compute, repeated] = [own * block, fixed + total * made]
    const messages = gatherMs(network, ranks, bytes * subtrees(own))
    const all = compute + repeated + messages
    const alone = total * block + repeated
    const cells = [compute, repeated, messages, all].map(ms => ms.toFixed(0))
    return `| ${[ranks, own, ...cells, (alone / all).toFixed(1)].join(' | ')} |`
  })
  return [
    `${title}; ${network.name}:`,
    '',
    '| ranks | blocks per rank | own blocks, ms | repeated on every rank, ms | messages, ms | iteration, ms | speed-up |',
    '|---|---|---|---|---|---|---|',
    ...rows
  ].join('\n')
}

/** Strong and weak scaling, over shared memory and over a network. */
export async function costTables(line) {
  const work = await measure()
  const found = `A block takes ${work.block.toFixed(1)} ms on one thread, the work repeated on every rank ${work.fixed.toFixed(1)} ms, creating a block's trials ${work.made.toFixed(2)} ms, a rank's message with one subtree ${work.bytes} bytes.`
  const tables = [line, NETWORK].flatMap(network => [
    table(
      `Strong scaling, ${STRONG_BLOCKS} blocks (${BLOCK * STRONG_BLOCKS} trials) in all`,
      work,
      network,
      () => STRONG_BLOCKS
    ),
    table('Weak scaling, one block per rank', work, network, ranks => ranks)
  ])
  return [found, ...tables].join('\n\n')
}
