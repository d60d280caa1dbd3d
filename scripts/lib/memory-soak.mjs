// Makes, trains, stops, drops and forgets models for so many seconds, and prints what memory the process has. Exits with 1 where it grows.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { evaluate, evidenceAccumulation, gradients, Model, makeBatch, simulate, train } from '../../dist/index.js'

const seconds = Number(process.argv[2] ?? 600)
/** Rows of the table. */
const LOOKS = 20
/** How much more the last quarter may have than the second one, in MB. */
const ALLOWED_MB = 8

const folder = await mkdtemp(join(tmpdir(), 'mdgl-'))
const file = join(folder, 'weights.safetensors')
const task = evidenceAccumulation({ cues: 3, delay: 100 })
const batch = await makeBatch(task, { split: 'test', size: 16, seed: 1 })
const loss = task.loss
const made = seed => Model.createAsync(task.network({ seed }))
const first = async training => {
  for await (const { iteration } of training) if (iteration === 3) break
}

/** Each leaves nothing behind, whether it is told to or not. */
const WAYS = [
  async seed => {
    const model = await made(seed)
    await first(train(model, task, { rule: 'mdgl', batchSize: 16 }))
    model.dispose()
  },
  async seed => {
    const stop = new AbortController()
    const training = train(await made(seed), task, { rule: 'bptt', batchSize: 64, signal: stop.signal })
    const next = training.next().catch(() => {})
    await turn()
    stop.abort()
    await next
  },
  // Neither the run nor the model is told that it is not needed any more.
  async seed => void (await train(await made(seed), task, { rule: 'eprop', batchSize: 16 }).next()),
  async seed => {
    const model = await made(seed)
    const session = model.session({ rule: 'mdgl-online' })
    for (let step = 0; step < 50; step++) session.step({ cues: Uint32Array.of(step % 40) })
    if (seed % 2 === 0) session.dispose()
  },
  async seed => {
    const model = await made(seed)
    await model.save(file, { optimiser: true })
    const loaded = (await Model.load(file)).clone()
    await Promise.all([
      evaluate(loaded, batch, { loss }),
      gradients(loaded, batch, { rule: 'mdgl', loss }),
      simulate(model, batch, { voltage: true })
    ])
  },
  async () => {
    const wrong = { ...task, batch: () => Promise.reject(new Error('no batch')) }
    await train(await made(1), wrong, { rule: 'mdgl' })
      .next()
      .catch(() => {})
  }
]

const megabytes = bytes => bytes / 2 ** 20
const end = performance.now() + 1000 * seconds
const looks = []
let rounds = 0
console.log('   s   rounds   resident MB   heap MB   external MB')
for (let look = 1; look <= LOOKS; look++) {
  while (performance.now() < end - 1000 * seconds * (1 - look / LOOKS)) {
    await Promise.all(WAYS.map((way, i) => way(rounds * WAYS.length + i + 1)))
    rounds += 1
  }
  globalThis.gc?.()
  const { rss, heapUsed, external } = process.memoryUsage()
  looks.push(megabytes(rss))
  const columns = [megabytes(rss).toFixed(1).padStart(13), megabytes(heapUsed).toFixed(1).padStart(9)]
  console.log(
    `${String(Math.round((look * seconds) / LOOKS)).padStart(4)} ${String(rounds).padStart(8)} ${columns.join(' ')} ${megabytes(external).toFixed(1).padStart(13)}`
  )
}
await rm(folder, { recursive: true })

const mean = part => part.reduce((sum, value) => sum + value, 0) / part.length
const quarter = LOOKS / 4
const growth = mean(looks.slice(-quarter)) - mean(looks.slice(quarter, 2 * quarter))
console.log(`the last quarter has ${growth.toFixed(1)} MB more than the second one (allowed: ${ALLOWED_MB})`)
process.exitCode = growth > ALLOWED_MB ? 1 : 0
