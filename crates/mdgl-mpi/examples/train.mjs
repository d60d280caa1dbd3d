// Evidence accumulation on all processes of an mpirun. Rank 0 prints, and writes a checkpoint every few iterations:
//   mpirun --oversubscribe -n 4 node train.mjs [iterations] [checkpoint] [iterations between checkpoints]
// Where the checkpoint exists, training goes on from it.
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { rename, rm, writeFile } from 'node:fs/promises'
import { evidenceAccumulation, Model, train } from 'mdgl'
import { world } from 'mdgl-mpi'

const [iterations = '10', checkpoint = 'model.safetensors', every = '5'] = process.argv.slice(2)
const collective = world()
const task = evidenceAccumulation()

/** The last iteration that a checkpoint holds, in a file beside it that is written after it. */
const count = `${checkpoint}.iteration`
const done = existsSync(count) ? Number(readFileSync(count, 'utf8')) : 0
const model = done > 0 ? await Model.load(`${checkpoint}.${done}`) : Model.create(task.network({ seed: 1 }))

let last = done

/** Whole or not there, whenever this process dies: first the model, then what names it, then the old one goes. */
async function save(iteration) {
  await model.save(`${checkpoint}.${iteration}`, { optimiser: true })
  await writeFile(`${count}.new`, String(iteration))
  await rename(`${count}.new`, count)
  if (last !== iteration) await rm(`${checkpoint}.${last}`, { force: true })
  last = iteration
}

const options = {
  rule: 'mdgl',
  threads: 1,
  batchSize: 64,
  iterations: Number(iterations),
  firstIteration: done + 1,
  validateEvery: 0,
  collective
}
for await (const { iteration, loss, accuracy, msPerIteration } of train(model, task, options)) {
  if (collective.rank !== 0) continue
  console.log(`iteration ${iteration}: loss ${loss}, accuracy ${accuracy}, ${msPerIteration.toFixed(0)} ms`)
  if (iteration % Number(every) === 0 || iteration === Number(iterations)) await save(iteration)
}
if (collective.rank === 0) {
  const hash = createHash('sha256').update(readFileSync(`${checkpoint}.${iterations}`))
  console.log(`weights and optimiser after ${iterations} iterations: sha256 ${hash.digest('hex')}`)
}
