// Training in a worker thread: the main thread stays free while batches are made, and hears of every validation.
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { evidenceAccumulation, Model, train } from 'mdgl'

if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url), { workerData: { iterations: Number(process.argv[2] ?? 60) } })
  let ticks = 0
  const clock = setInterval(() => ticks++, 10)
  worker.on('message', ({ iteration, loss }) => console.log(`iteration ${iteration}  loss ${loss.toFixed(3)}`))
  worker.on('exit', code => {
    clearInterval(clock)
    console.log(
      `the worker ended with ${code}; the main thread's clock ticked ${ticks > 0 ? 'on' : 'not at all'} meanwhile`
    )
  })
} else {
  const task = evidenceAccumulation({ cues: 3, delay: 200 })
  const model = Model.create(task.network({ seed: 1 }))
  const options = { rule: 'mdgl', iterations: workerData.iterations, batchSize: 16, validateEvery: 20 }
  for await (const { split, iteration, loss } of train(model, task, options)) {
    if (split === 'validation') parentPort.postMessage({ iteration, loss })
  }
}
