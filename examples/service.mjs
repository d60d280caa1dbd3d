// Training behind HTTP, with Fastify (`npm install fastify`). GET /train?rule=mdgl&iterations=100 answers with a JSON line for each iteration; when
// the client goes, training stops at once. `threads: 1` leaves the other cores to the service.
import { Readable } from 'node:stream'
import Fastify from 'fastify'
import { evidenceAccumulation, MdglError, Model, train } from 'mdgl'

const task = evidenceAccumulation({ cues: 3, delay: 200 })
const app = Fastify()

app.get('/train', (request, reply) => {
  const { rule = 'mdgl', iterations = 100 } = request.query
  const gone = new AbortController()
  reply.raw.on('close', () => gone.abort(new Error('the client has gone'))) // the answer's end, not the connection's: that is kept for the next
  const model = Model.create(task.network({ seed: 1 }))
  const options = { rule, iterations: Number(iterations), batchSize: 16, threads: 1, signal: gone.signal }
  const training = train(model, task, options) // a wrong option throws here, before anything is sent
  async function* lines() {
    let whole = false
    try {
      for await (const metrics of training) yield `${JSON.stringify(metrics)}\n`
      whole = true
    } catch (error) {
      if (error !== gone.signal.reason) throw error
    } finally {
      // A client that goes ends the stream, and with it this generator: by the abort, or before it.
      if (!whole) console.log('training has stopped')
      model.dispose()
    }
  }
  return reply.type('application/jsonl').send(Readable.from(lines()))
})

app.setErrorHandler((error, _request, reply) => {
  const invalid = error instanceof MdglError && error.code === 'invalid'
  return reply.code(invalid ? 400 : 500).send({ error: error.message })
})

const url = await app.listen({ port: Number(process.argv[2] ?? 8080), host: '127.0.0.1' })
console.log(`${url}/train?rule=mdgl&iterations=20`)
