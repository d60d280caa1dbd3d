// Training behind HTTP, with Fastify (`npm install fastify`):
//   GET /train?model=a&rule=mdgl&iterations=100   trains a model; a JSON line for each iteration
//   DELETE /train?model=a                         ends its training
//   GET /predict?model=a                          what it answers on ten new trials
// A training ends at once when its client goes, too, and all of them with SIGTERM. Of the models the three used last are kept. `threads: 1`
// leaves the other cores to the service.
import { once } from 'node:events'
import { Readable } from 'node:stream'
import Fastify from 'fastify'
import { MdglError, Model, makeBatch, predict, train } from 'mdgl'
import { evidenceAccumulation } from 'mdgl/tasks'

const KEPT = 3
const task = evidenceAccumulation({ cues: 3, delay: 200 })
const models = new Map() // by name, the one used last at the end
const running = new Map() // by name: what stops a training, and its answer's end
const app = Fastify()

function modelOf(name) {
  const model = models.get(name) ?? Model.create(task.network({ seed: 1 }))
  models.delete(name)
  models.set(name, model)
  const unused = [...models.keys()].filter(each => each !== name && !running.has(each))
  for (const old of unused.slice(0, Math.max(0, models.size - KEPT))) {
    models.get(old).dispose()
    models.delete(old)
  }
  return model
}

app.get('/train', (request, reply) => {
  const { model = 'default', rule = 'mdgl', iterations = 100 } = request.query
  if (running.has(model)) return reply.code(409).send({ error: `${model} is being trained` })
  const stop = new AbortController()
  const options = { rule, iterations: Number(iterations), batchSize: 16, threads: 1, signal: stop.signal }
  const training = train(modelOf(model), task, options) // a wrong option throws here, before anything is sent
  // The answer's end, not the connection's: that is kept for the next. A client may go before the first line.
  const ended = once(reply.raw, 'close').then(async () => {
    stop.abort(new Error('the client has gone'))
    await training.return()
    if (running.get(model)?.stop === stop) running.delete(model)
  })
  running.set(model, { stop, ended })
  async function* lines() {
    let whole = false
    try {
      for await (const metrics of training) yield `${JSON.stringify(metrics)}\n`
      whole = true
    } catch (error) {
      if (error !== stop.signal.reason) throw error
    } finally {
      if (!whole) console.log('training has stopped')
      running.delete(model)
    }
  }
  return reply.type('application/jsonl').send(Readable.from(lines()))
})

app.delete('/train', ({ query: { model = 'default' } }, reply) => {
  const training = running.get(model)
  training?.stop.abort(new Error('the training was cancelled'))
  return reply.code(training === undefined ? 404 : 202).send({ model, stopped: training !== undefined })
})

app.get('/predict', async ({ query: { model = 'default' } }) => {
  const batch = await makeBatch(task, { split: 'test', size: 10, seed: 1 })
  const { choice } = await predict(modelOf(model), batch, { threads: 1 })
  return { classes: [...choice.classes], correct: choice.correct, kept: [...models.keys()] }
})

app.setErrorHandler((error, _request, reply) => {
  const invalid = error instanceof MdglError && error.code === 'invalid'
  return reply.code(invalid ? 400 : 500).send({ error: error.message })
})

process.once('SIGTERM', async () => {
  const closed = app.close()
  for (const { stop } of running.values()) stop.abort(new Error('the service ends'))
  await Promise.all(Array.from(running.values(), ({ ended }) => ended))
  app.server.closeIdleConnections()
  await closed
  for (const model of models.values()) model.dispose()
  console.log('the service has ended')
})

const url = await app.listen({ port: Number(process.argv[2] ?? 8080), host: '127.0.0.1' })
console.log(`${url}/train?rule=mdgl&iterations=20`)
