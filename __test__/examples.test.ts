import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { Agent, type IncomingMessage, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'

const EXAMPLES = fileURLToPath(new URL('../examples', import.meta.url))

function start(name: string, ...args: readonly string[]) {
  const child = spawn(process.execPath, [join(EXAMPLES, `${name}.mjs`), ...args])
  const said = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', text => {
    said.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', text => {
    said.stderr += text
  })
  const ended = new Promise<number | null>(resolve => child.on('close', code => resolve(code)))
  return { child, said, ended }
}

for (const [name, argument, says] of [
  ['from-scratch', '20', /^on 200 new trials \d+ % are right$/m],
  ['agent', '100', /^turn 100: \d+ % of the last 10 turns were right$/m],
  ['digits', '3', /^bptt: \d+\.\d % of 360 test images$/m],
  [
    'cortical-microcircuit',
    `100 200 ${join(tmpdir(), `mdgl-${process.pid}.svg`)}`,
    /^L23E +103 +\d.*\n(?:.*\n)*.*\.svg$/m
  ],
  ['worker', '20', /^iteration 20 .*\nthe worker ended with 0; the main thread's clock ticked on meanwhile$/m]
] as const) {
  test(`the example ${name} runs`, async t => {
    const { said, ended } = start(name, ...argument.split(' '))
    t.is(await ended, 0, said.stderr)
    t.is(said.stderr, '')
    t.regex(said.stdout, says)
  })
}

test('the example service trains for a client, and stops when it goes', async t => {
  const { child, said } = start('service', '0')
  t.teardown(() => child.kill())
  while (!said.stdout.includes('http')) await setTimeout(20)
  const origin = new URL(said.stdout.trim()).origin
  const whole = await (await fetch(`${origin}/train?iterations=3`)).text()
  t.deepEqual(
    whole
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line).iteration),
    [1, 2, 3]
  )
  const wrong = await fetch(`${origin}/train?rule=magic`)
  t.is(wrong.status, 400)
  t.regex(((await wrong.json()) as { error: string }).error, /rule is 'magic'; allowed: /)
  const client = new AbortController()
  const long = await fetch(`${origin}/train?iterations=100000`, { signal: client.signal })
  await long.body?.getReader().read()
  client.abort()
  while (!said.stdout.includes('training has stopped')) await setTimeout(20)
  t.regex(said.stdout, /training has stopped/)
})

test('the example service answers many requests of one connection without a listener left behind', async t => {
  const { child, said } = start('service', '0')
  t.teardown(() => child.kill())
  while (!said.stdout.includes('http')) await setTimeout(20)
  const { origin } = new URL(said.stdout.trim())
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  const ports = new Set<number | undefined>()
  for (let i = 0; i < 12; i++) {
    const sent = request(`${origin}/train?iterations=1`, { agent }).end()
    const [answer] = (await once(sent, 'response')) as [IncomingMessage]
    ports.add(answer.socket.localPort)
    t.is((await answer.toArray()).join('').split('\n').length, 2)
  }
  t.is(ports.size, 1)
  t.is(said.stderr, '')
  t.is(said.stdout.includes('training has stopped'), false)
})

/** The address of a started service. */
async function serve(t: ExecutionContext) {
  const service = start('service', '0')
  t.teardown(() => service.child.kill('SIGKILL'))
  while (!service.said.stdout.includes('http')) await setTimeout(20)
  return { ...service, origin: new URL(service.said.stdout.trim()).origin }
}

/** Reads what a long training says at first. */
async function firstLine(response: Response) {
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  await reader.read()
  return reader
}

test('the example service ends a training on request, and keeps the models used last', async t => {
  const { origin, said } = await serve(t)
  const long = await fetch(`${origin}/train?model=a&iterations=100000`)
  const reader = await firstLine(long)
  t.is((await fetch(`${origin}/train?model=a&iterations=1`)).status, 409)
  t.is((await fetch(`${origin}/train?model=b`, { method: 'DELETE' })).status, 404)
  t.is((await fetch(`${origin}/train?model=a`, { method: 'DELETE' })).status, 202)
  while (!(await reader.read()).done);
  while (!said.stdout.includes('training has stopped')) await setTimeout(20)
  t.regex(said.stdout, /training has stopped/)
  t.is((await (await fetch(`${origin}/train?model=a&iterations=2`)).text()).trimEnd().split('\n').length, 2)
  const predicted = async (model: string) => await (await fetch(`${origin}/predict?model=${model}`)).json()
  const trained = await predicted('a')
  t.is(trained.classes.length, 10)
  t.is(trained.correct.length, 10)
  for (const model of ['b', 'c', 'a']) t.deepEqual((await predicted(model)).kept.at(-1), model)
  t.deepEqual((await predicted('d')).kept, ['c', 'a', 'd'])
  t.deepEqual((await predicted('a')).classes, trained.classes)
  t.deepEqual((await predicted('b')).kept, ['d', 'a', 'b'])
})

test('the example service ends with SIGTERM in the middle of a training', async t => {
  const { origin, said, child, ended } = await serve(t)
  const reader = await firstLine(await fetch(`${origin}/train?iterations=100000`))
  child.kill('SIGTERM')
  while (!(await reader.read()).done);
  t.is(await ended, 0, said.stderr)
  t.regex(said.stdout, /training has stopped[\s\S]*the service has ended/)
  t.is(said.stderr, '')
})

test('every example is listed', async t => {
  const names = (await readdir(EXAMPLES)).filter(name => name.endsWith('.mjs'))
  const list = await readFile(join(EXAMPLES, 'README.md'), 'utf8')
  t.is(names.length, 6)
  for (const name of names) t.true(list.includes(`\`${name}\``), name)
})
