import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { Agent, type IncomingMessage, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import test from 'ava'

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
  for (let i = 0; i < 200 && !said.stdout.includes('training has stopped'); i++) await setTimeout(20)
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

test('every example is listed', async t => {
  const names = (await readdir(EXAMPLES)).filter(name => name.endsWith('.mjs'))
  const list = await readFile(join(EXAMPLES, 'README.md'), 'utf8')
  t.is(names.length, 6)
  for (const name of names) t.true(list.includes(`\`${name}\``), name)
})
