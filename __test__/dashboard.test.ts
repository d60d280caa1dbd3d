import { getEventListeners } from 'node:events'
import { cp, readdir, readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { remoteHint } from '../src/cli/remote-hint.js'
import { EventHub } from '../src/dashboard/event-hub.js'
import { LiveRun } from '../src/dashboard/live.js'
import { Model } from '../src/index.js'
import { RunControl } from '../src/runs/control.js'
import { builtInTask } from '../src/runs/tasks.js'
import { accessible, browserFor, openPage } from './helpers/browser.js'
import { type Background, hasLine, jsonLines, mdgl, startMdgl, temporaryFolder } from './helpers/cli.js'

/** A run that takes longer than any test. */
async function live(t: ExecutionContext, ...more: string[]) {
  const out = join(await temporaryFolder(t), 'run')
  const args = ['train', 'evidence-accumulation', '--batch-size', '8', '--iterations', '5000', '--alignment-every', '5']
  const run = startMdgl([...args, '--live', '--port', '0', '--out', out, ...more])
  t.teardown(() => run.kill('SIGKILL'))
  const url = await urlOf(run)
  // It has begun: before that there is nothing to control.
  while (!(await hasLine(join(out, 'metrics.jsonl')))) await setTimeout(20)
  return { run, out, url }
}

async function urlOf(run: Background): Promise<string> {
  for (let i = 0; i < 600; i++) {
    const [, url] = /shown at (http:\/\/127\.0\.0\.1:\d+\/)/.exec(run.stderr() + run.stdout()) ?? []
    if (url !== undefined) return url
    await setTimeout(50)
  }
  throw new Error(`no address: ${run.stderr()}`)
}

interface Answer {
  readonly status: number | undefined
  readonly body: string
}

/** A request with headers that `fetch` would not send. */
function ask(
  url: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {}
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { body, ...rest } = options
    const sent = request(url, rest, response => {
      let text = ''
      response.setEncoding('utf8').on('data', part => {
        text += part
      })
      response.on('end', () => resolve({ status: response.statusCode, body: text }))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

const frames = async (url: string) => {
  const answer = await fetch(`${url}api/frames`)
  const reader = answer.body?.getReader()
  let text = ''
  while (!text.includes('\n\ndata: ') || !text.endsWith('\n\n')) {
    const { value } = (await reader?.read()) ?? {}
    text += Buffer.from(value ?? new Uint8Array()).toString()
  }
  await reader?.cancel()
  return JSON.parse(text.split('data: ')[1]?.split('\n')[0] ?? '')
}

test('control needs the token, and a Host and an Origin that are this server', async t => {
  const { run, url, out } = await live(t)
  const { host } = new URL(url)
  const { token } = JSON.parse((await ask(`${url}api/token`)).body)
  const body = JSON.stringify({ run: out, action: 'pause' })
  const right = { host, origin: `http://${host}`, 'x-mdgl-token': token }
  const control = (headers: Record<string, string>, sent = body) =>
    ask(`${url}api/control`, { method: 'POST', headers, body: sent })
  for (const [wrong, reason] of [
    [{ ...right, 'x-mdgl-token': 'x' }, /token/],
    [{ ...right, 'x-mdgl-token': '' }, /token/],
    [{ ...right, origin: 'http://evil.example' }, /Origin/],
    [{ host, 'x-mdgl-token': token }, /Origin/],
    [{ ...right, host: 'evil.example' }, /Host/]
  ] as const) {
    const { status, body: said } = await control(wrong)
    t.is(status, 403)
    t.regex(said, reason)
  }
  t.is((await ask(`${url}api/control`, { headers: right })).status, 405)
  t.is((await control(right, '{"run":')).status, 400)
  t.is((await control(right, JSON.stringify({ run: out, action: 'learning-rate', value: 'x' }))).status, 400)
  t.is((await control(right, JSON.stringify({ run: out, action: 'learning-rate', value: 0 }))).status, 409)
  const perturb = (channel: string, value: unknown) =>
    control(right, JSON.stringify({ run: out, action: 'channel', channel, value }))
  t.is((await perturb('inhibitory->excitatory', 'x')).status, 400)
  t.is((await perturb('inhibitory->unknown', 0)).status, 409)
  t.is((await perturb('inhibitory->excitatory', 0.5)).status, 200)
  t.is((await control(right, JSON.stringify({ run: 'another', action: 'stop' }))).status, 409)
  t.is((await control(right, `"${'x'.repeat(5000)}"`)).status, 400)
  // The page and its data are for those who come under the server's own name.
  for (const path of ['', 'api/frames', 'api/token']) {
    t.is((await ask(`${url}${path}`, { headers: { host: 'evil.example' } })).status, 403)
  }
  for (const path of ['..%2f..%2fpackage.json', 'assets/../../server.js', 'nothing.js', 'index.html/']) {
    t.is((await ask(`${url}${path}`)).status, 404, path)
  }
  t.is((await control(right)).status, 200)
  t.is((await control(right, JSON.stringify({ run: out, action: 'stop' }))).status, 200)
  const { code, stderr } = await run.outcome
  t.is(code, 0)
  t.regex(stderr, /stopped after iteration \d+; `mdgl resume/)
  const [perturbed, stop] = jsonLines(await readFile(join(out, 'interventions.jsonl'), 'utf8'))
  t.like(perturbed, { channel: 'inhibitory->excitatory', factor: 0.5 })
  t.is(stop?.stop, true)
})

test('through a forwarded port, as of ssh -L, the page is read and the run is steered', async t => {
  const { run, url, out } = await live(t)
  const { hostname, port } = new URL(url)
  const forwarded = createServer(near => {
    const far = connect(Number(port), hostname)
    near.pipe(far).pipe(near)
    for (const end of [near, far]) end.on('error', () => [near, far].forEach(each => void each.destroy()))
  })
  t.teardown(() => forwarded.close())
  await new Promise<void>(resolve => forwarded.listen(0, '127.0.0.1', resolve))
  const other = (forwarded.address() as AddressInfo).port
  t.not(String(other), port)
  for (const name of ['127.0.0.1', 'localhost']) {
    const here = `http://127.0.0.1:${other}/`
    const headers = { host: `${name}:${other}`, origin: `http://${name}:${other}` }
    t.regex((await ask(here, { headers })).body, /<title>/)
    const { token } = JSON.parse((await ask(`${here}api/token`, { headers })).body)
    t.is((await frames(here)).runs[0].id, out)
    const body = JSON.stringify({ run: out, action: name === 'localhost' ? 'stop' : 'pause' })
    const sent = await ask(`${here}api/control`, {
      method: 'POST',
      headers: { ...headers, 'x-mdgl-token': token },
      body
    })
    t.is(sent.status, 200, sent.body)
  }
  t.is((await run.outcome).code, 0)
})

test('a session over SSH is told how its page is forwarded', t => {
  t.is(remoteHint('http://127.0.0.1:8765/', undefined), undefined)
  t.regex(
    remoteHint('http://127.0.0.1:8765/', '10.0.0.7 51122 192.168.1.5 22') ?? '',
    /`ssh -L 8765:127\.0\.0\.1:8765 192\.168\.1\.5`/
  )
})

test('a port that is taken: the next, unless one was asked for', async t => {
  const { url } = await live(t)
  const { port } = new URL(url)
  const taken = await mdgl(
    'train',
    'evidence-accumulation',
    '--live',
    '--port',
    port,
    '--out',
    join(await temporaryFolder(t), 'run')
  )
  t.is(taken.code, 1)
  t.regex(taken.stderr, /EADDRINUSE/)
  t.is((await mdgl('train', 'evidence-accumulation', '--port', '0')).code, 2)
  t.is((await mdgl('train', 'evidence-accumulation', '--live', '--port', '70000')).code, 2)
})

test('the dashboard of a folder tells the runs in it, and follows one that grows', async t => {
  const root = await temporaryFolder(t)
  const args = [
    'evidence-accumulation',
    '--batch-size',
    '4',
    '--iterations',
    '4',
    '--validate-every',
    '2',
    '--alignment-every',
    '2'
  ]
  for (const seed of ['1', '2'])
    await mdgl('train', ...args, '--rule', 'eprop', '--seed', seed, '--out', join(root, `eprop-${seed}`))
  const dashboard = startMdgl(['dashboard', root, '--port', '0'])
  t.teardown(() => dashboard.kill('SIGKILL'))
  const url = await urlOf(dashboard)
  const found = await frames(url)
  t.deepEqual(
    found.runs.map(({ id, state, rule, controllable }: Record<string, unknown>) => [id, state, rule, controllable]),
    [
      ['eprop-1', 'finished', 'eprop', false],
      ['eprop-2', 'finished', 'eprop', false]
    ]
  )
  t.is(found.metrics['eprop-1'].length, 6)
  t.is(found.alignment['eprop-2'].length, 2)
  await cp(join(root, 'eprop-1'), join(root, 'later'), { recursive: true })
  let later = await frames(url)
  while (later.runs.length < 3) {
    await setTimeout(100)
    later = await frames(url)
  }
  t.is(later.runs.length, 3)
  const graph = await ask(`${url}api/graph?run=later`)
  t.regex(graph.body, /^<svg/)
  t.is((await ask(`${url}api/graph?run=nowhere`)).status, 404)
  dashboard.kill('SIGINT')
  t.is((await dashboard.outcome).code, 0)
  t.is((await mdgl('dashboard', join(root, 'nothing'))).code, 2)
})

/** A run that goes on for longer than any test, shown by a dashboard of its folder. */
async function watched(t: ExecutionContext) {
  const root = await temporaryFolder(t)
  const out = join(root, 'run')
  const args = [
    'train',
    'evidence-accumulation',
    '--batch-size',
    '4',
    '--iterations',
    '100000',
    '--checkpoint-every',
    '2'
  ]
  const run = startMdgl([...args, '--out', out])
  t.teardown(() => run.kill('SIGKILL'))
  while ((await readdir(join(out, 'checkpoints')).catch(() => [])).length === 0) await setTimeout(20)
  const dashboard = startMdgl(['dashboard', root, '--port', '0'])
  t.teardown(() => dashboard.kill('SIGKILL'))
  const { pid, host } = JSON.parse(await readFile(join(out, 'lock.json'), 'utf8'))
  return { run, out, url: await urlOf(dashboard), pid, host }
}

test('the dashboard of a folder tells which process writes a run, and when that process was killed', async t => {
  const { run, out, url, pid, host } = await watched(t)
  const info = async () => (await frames(url)).runs[0]
  t.like(await info(), { state: 'running', process: { pid, host } })
  run.kill('SIGKILL')
  await run.outcome
  const becomes = async (state: string) => {
    while ((await info()).state !== state) await setTimeout(50)
    return await info()
  }
  const killed = await becomes('unfinished')
  t.is(killed.state, 'unfinished')
  t.is(killed.process, undefined)
  const resumed = startMdgl(['resume', out])
  t.teardown(() => resumed.kill('SIGKILL'))
  const running = await becomes('running')
  t.is(running.state, 'running')
  t.not(running.process.pid, pid)
})

test('the field of the learning rate takes what the run takes', async t => {
  t.timeout(180_000)
  const browser = await browserFor(t)
  if (browser === undefined) return
  const { url } = await live(t)
  const { page, problems } = await openPage(browser, url)
  await page.waitForFunction(() => /iteration [1-9]/.test(document.querySelector('#summary')?.textContent ?? ''))
  for (const wrong of ['0', '', '-1', 'x', 'Infinity']) {
    await page.fill('#learning-rate', wrong)
    await page.click('#set-rate')
    t.is(await page.textContent('#connection'), 'the learning rate must be a number above 0', wrong)
  }
  await page.close()

  const { url: folder, pid, host } = await watched(t)
  const stored = await openPage(browser, folder)
  await stored.page.waitForFunction(() => /iteration [1-9]/.test(document.querySelector('#summary')?.textContent ?? ''))
  t.true(
    (await stored.page.textContent('#summary'))?.includes(`seed 1: running (process ${pid} on ${host}), iteration `)
  )
  t.regex((await stored.page.textContent('#alignment-none')) ?? '', /mdgl train records it with --alignment-every N/)
  await accessible(t, stored.page)
  t.deepEqual([...problems, ...stored.problems], [])
})

test('a pause that is wished for while a trial is looked at is told', async t => {
  const [hub, control, task] = [new EventHub(), new RunControl(), builtInTask('evidence-accumulation')]
  const settings = { task, rule: 'eprop', seed: 1, precision: 'f32', ...task } as const
  const live = new LiveRun(hub, settings, control)
  using model = Model.create(task.network({ seed: 1 }))
  await live.started({ path: 'run', model, iteration: 0, learningRate: 0.01, channelFactors: {} })
  t.teardown(hub.subscribe(() => {}))
  const looking = live.between(1)
  control.pause()
  await looking
  t.is(hub.info('run')?.state, 'paused')
})

test('a run that is paused many times leaves no listener on its signal', async t => {
  const [control, { signal }] = [new RunControl(), new AbortController()]
  for (let i = 0; i < 12; i++) {
    control.pause()
    const gate = control.gate(signal)
    t.is(getEventListeners(signal, 'abort').length, 1)
    control.resume()
    await gate
  }
  t.is(getEventListeners(signal, 'abort').length, 0)
})

test('a browser sees the run, steers it, and finds it again', async t => {
  t.timeout(180_000)
  const browser = await browserFor(t)
  if (browser === undefined) return
  const { run, out, url } = await live(t)
  const { page, problems } = await openPage(browser, url)
  const summary = async () => (await page.textContent('#summary')) ?? ''
  const iteration = async () => Number(/iteration (\d+)/.exec(await summary())?.[1] ?? 0)
  await page.waitForFunction(() => /iteration ([1-9]\d+)/.test(document.querySelector('#summary')?.textContent ?? ''))
  const first = await iteration()
  await page.waitForFunction(
    n => Number(/iteration (\d+)/.exec(document.querySelector('#summary')?.textContent ?? '')?.[1]) > n,
    first
  )
  t.regex(await summary(), /evidence-accumulation, MDGL, seed 1: running/)

  // Every panel has its picture.
  for (const id of [
    'loss',
    'accuracy',
    'outputs',
    'membrane',
    'learning',
    'modulation',
    'rates',
    'alignment',
    'speed'
  ]) {
    await page.waitForSelector(`#${id} canvas`, { timeout: 20_000 })
  }
  await page.waitForSelector('#weights svg')
  t.true(await page.evaluate(() => document.querySelectorAll('#graph .cell').length === 100))
  const inked = await page.evaluate(() => {
    const canvas = document.querySelector('#raster canvas') as HTMLCanvasElement
    const { data } = canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height) ?? { data: [] }
    return Array.from(data).filter((value, i) => i % 4 === 3 && value > 0).length
  })
  t.true(inked > 500, `${inked} points of the raster are drawn`)

  // By keyboard alone: another neuron, a pause.
  await page.focus('#raster')
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('PageDown')
  await page.waitForFunction(() => /neuron=\d+/.test(location.hash))
  const neuron = await page.inputValue('#neuron')
  t.not(neuron, '0')
  await page.keyboard.press('p')
  await page.waitForFunction(() => document.querySelector('#pause')?.textContent === 'Resume')
  // The pause begins after the current iteration, whenever the page shows that.
  let paused = -1
  for (let same = 0; same < 4; await setTimeout(300)) {
    const now = await iteration()
    same = now === paused ? same + 1 : 0
    paused = now
  }
  t.is(jsonLines(await readFile(join(out, 'metrics.jsonl'), 'utf8')).at(-1)?.iteration, paused)
  await accessible(t, page)

  // A reload shows the same.
  await page.reload()
  await page.waitForFunction(() => document.querySelector('#pause')?.textContent === 'Resume')
  t.is(await page.inputValue('#neuron'), neuron)
  t.is(await iteration(), paused)

  await page.fill('#learning-rate', '0.001')
  await page.click('#set-rate')
  await page.click('#pause')
  await page.waitForFunction(
    n => Number(/iteration (\d+)/.exec(document.querySelector('#summary')?.textContent ?? '')?.[1]) > n,
    paused
  )
  const [change] = jsonLines(await readFile(join(out, 'interventions.jsonl'), 'utf8'))
  t.deepEqual(change, { iteration: paused + 1, learningRate: 0.001 })

  await page.fill('#channel-factor', 'x')
  await page.click('#set-channel')
  t.regex((await page.textContent('#connection')) ?? '', /the factor of a channel must be a finite number/)
  await page.selectOption('#channel-name', 'inhibitory->excitatory')
  await page.fill('#channel-factor', '0')
  await page.click('#set-channel')
  await page.waitForFunction(() => !/factor/.test(document.querySelector('#connection')?.textContent ?? ''))
  const interventions = async () => jsonLines(await readFile(join(out, 'interventions.jsonl'), 'utf8'))
  const perturbed = (line: Record<string, unknown>) => line.channel === 'inhibitory->excitatory' && line.factor === 0
  while (!(await interventions()).some(perturbed)) await setTimeout(100)

  const small = await openPage(browser, url, { colorScheme: 'dark', viewport: { width: 390, height: 800 } })
  await small.page.waitForSelector('#membrane canvas')
  const [wide, high] = await small.page.evaluate(() => [
    document.documentElement.scrollWidth,
    document.documentElement.clientWidth
  ])
  t.true((wide ?? 1) <= (high ?? 0), 'nothing is wider than a phone')
  await accessible(t, small.page)
  t.deepEqual(small.problems, [])
  await small.page.close()

  t.deepEqual(problems, [])
  await page.click('#stop')
  const { code } = await run.outcome
  t.is(code, 0)
  await page.waitForFunction(() => /away/.test(document.querySelector('#connection')?.textContent ?? ''))
  t.true((await readdir(join(out, 'checkpoints'))).length > 0)

  // The run goes on at the same address, and the page finds it.
  const again = startMdgl(['resume', out, '--live', '--port', new URL(url).port])
  t.teardown(() => again.kill('SIGKILL'))
  const before = await iteration()
  await page.waitForFunction(
    n => Number(/iteration (\d+)/.exec(document.querySelector('#summary')?.textContent ?? '')?.[1]) > n,
    before + 2,
    {
      timeout: 60_000
    }
  )
  t.is(await page.textContent('#connection'), 'connected')
})
