// Training behind HTTP, with Node's own server; in Express or Fastify the handler's body is the same. GET /train?rule=mdgl&iterations=100 answers
// with a JSON line for each iteration; when the client goes, training stops at once. `threads: 1` leaves the other cores to the service.
import { createServer } from 'node:http'
import { evidenceAccumulation, MdglError, Model, train } from 'mdgl'

const task = evidenceAccumulation({ cues: 3, delay: 200 })

const server = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://localhost')
  if (url.pathname !== '/train') {
    response.writeHead(404).end()
    return
  }
  const gone = new AbortController()
  response.on('close', () => gone.abort(new Error('the client has gone')))
  const model = Model.create(task.network({ seed: 1 }))
  try {
    const options = {
      rule: url.searchParams.get('rule') ?? 'mdgl',
      iterations: Number(url.searchParams.get('iterations') ?? 100),
      batchSize: 16,
      threads: 1,
      signal: gone.signal
    }
    const training = train(model, task, options) // a wrong option throws here, before anything is sent
    response.writeHead(200, { 'content-type': 'application/jsonl' })
    for await (const metrics of training) response.write(`${JSON.stringify(metrics)}\n`)
    response.end()
  } catch (error) {
    if (error === gone.signal.reason) console.log('the client has gone; training has stopped')
    else if (error instanceof MdglError && error.code === 'invalid') {
      response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify({ error: error.message }))
    } else throw error
  } finally {
    model.dispose()
  }
})

server.listen(Number(process.argv[2] ?? 8080), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}/train?rule=mdgl&iterations=20`)
})
