import { type ChildProcess, fork, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { cp, mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { type ProcessIdentity, thisProcess } from '../src/runs/process-identity.js'
import { RunLock, runOwner } from '../src/runs/run-lock.js'
import { type Background, jsonLines, mdgl, startMdgl, temporaryFolder } from './helpers/cli.js'
import { limitedMdgl, tinyTask } from './helpers/faults.js'

const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
const posixTest = process.platform === 'win32' ? test.skip : test
const linuxTest = process.platform === 'linux' ? test : test.skip

const lockFile = (run: string) => join(run, 'lock.json')
const lockFiles = async (run: string) => (await readdir(run)).filter(name => name.startsWith('lock.json'))
const weights = (run: string) => readFile(join(run, 'weights.safetensors'))
const lockOf = async (run: string) => JSON.parse(await readFile(lockFile(run), 'utf8'))

/** A run of the tiny task that stands before its seventh batch for as long as a file is there; its checkpoint of iteration 6 is behind it. */
async function standingRun(t: ExecutionContext) {
  const folder = await temporaryFolder(t)
  const gate = join(folder, 'gate')
  await writeFile(gate, '')
  const task = await tinyTask(folder, {
    batch: `const fs = await import('node:fs')
    while (split === 'train' && iteration === 7 && fs.existsSync(${JSON.stringify(gate)})) await new Promise(done => setTimeout(done, 20))`
  })
  const out = join(folder, 'run')
  const args = [task, '--checkpoint-every', '2', '--learning-rate', '1e-5']
  const run = startMdgl(['train', ...args, '--out', out])
  t.teardown(() => run.kill('SIGKILL'))
  await atGate(run, out)
  return { folder, args, gate, out, run }
}

async function atGate(run: Background, out: string): Promise<void> {
  const ended = run.outcome.then(({ stderr }) => Promise.reject(new Error(`the run has ended: ${stderr}`)))
  const kept = () => readdir(join(out, 'checkpoints')).catch((): string[] => [])
  const waited = async () => {
    while (!(await kept()).some(name => /^6-.*\.safetensors$/.test(name))) await setTimeout(10)
  }
  ended.catch(() => undefined)
  await Promise.race([waited(), ended])
}

/** A process that has ended, as the lock of this place would name it. */
async function endedProcess(): Promise<ProcessIdentity> {
  const { pid } = spawnSync(process.execPath, ['--eval', ''])
  return { ...(await thisProcess()), pid, started: '1' }
}

let tokens = 0

/** Writes a lock as if a process had it. */
async function forge(
  run: string,
  owner: ProcessIdentity,
  { file = lockFile(run), silence = 0 } = {}
): Promise<{ token: string }> {
  const token = `token-${tokens++}`
  await writeFile(file, `${JSON.stringify({ ...owner, since: '2026-01-31T12:00:00.000Z', token })}\n`)
  const then = new Date(Date.now() - silence)
  await utimes(file, then, then)
  return { token }
}

test('a run that another process writes is refused by name, and that process goes on', async t => {
  const { folder, args, gate, out, run } = await standingRun(t)
  const { pid, host, since } = await lockOf(out)
  const [date, time] = String(since).split(/[T.]/)
  const says = `mdgl: ${out} is in use: process ${pid} on ${host} has been writing it since ${date} ${time} UTC; wait for its end, or stop it\n`
  const before = await readFile(join(out, 'metrics.jsonl'), 'utf8')
  for (const command of [
    ['resume', out],
    ['train', ...args, '--out', out],
    ['repeat', out, '--out', out]
  ]) {
    const { code, stdout, stderr } = await mdgl(...command)
    t.is(code, 1)
    t.is(stdout, '')
    t.is(stderr, says)
  }
  t.is(await readFile(join(out, 'metrics.jsonl'), 'utf8'), before)

  const shown = (await mdgl('show', out)).stdout
  t.regex(shown, /^ +state +running, iteration 6 of 12$/m)
  t.regex(shown, new RegExp(`^ +written by +process ${pid} on ${host} since ${since}$`, 'm'))
  t.notRegex(shown, /mdgl resume/)
  t.like(JSON.parse((await mdgl('show', out, '--json')).stdout), { state: 'running', process: { pid, host, since } })
  t.regex((await mdgl('runs', folder)).stdout, /^ +run +tiny .* running$/m)
  t.like(JSON.parse((await mdgl('runs', folder, '--json')).stdout), { state: 'running', process: { pid } })
  await mdgl('report', out)
  t.regex(await readFile(join(out, 'report.html'), 'utf8'), new RegExp(`running \\(process ${pid} on ${host}\\)`))

  await rm(gate)
  const { code, stderr } = await run.outcome
  t.is(code, 0, stderr)
  t.deepEqual(await lockFiles(out), [])
  t.like(JSON.parse((await mdgl('show', out, '--json')).stdout), { state: 'finished', process: null })
  const whole = join(folder, 'whole')
  await mdgl('train', ...args, '--out', whole)
  t.true((await weights(out)).equals(await weights(whole)))
})

test('two sweeps in one folder: an item in work is refused by name, the others are done, and neither harms the other', async t => {
  const { folder, args, gate } = await standingRun(t)
  const plan = join(folder, 'plan.json')
  const options = { iterations: 12, batchSize: 2, validateEvery: 6, checkpointEvery: 2 }
  await writeFile(
    plan,
    JSON.stringify({ schema: 'mdgl-sweep/1', task: args[0], rules: ['mdgl', 'eprop'], seeds: [1], options })
  )
  // The second item's run is there already, so that one item is left to stand at the gate.
  const out = join(folder, 'sweep')
  await rm(gate)
  t.is((await mdgl('sweep', plan, '--index', '1', '--out', out)).code, 0)
  await writeFile(gate, '')
  const first = startMdgl(['sweep', plan, '--out', out, '--jobs', '1'])
  t.teardown(() => first.kill('SIGKILL'))
  const run = join(out, 'mdgl-1')
  await atGate(first, run)
  const { pid, host } = await lockOf(run)

  const alone = await mdgl('sweep', plan, '--index', '0', '--out', out)
  t.is(alone.code, 1)
  t.regex(alone.stderr, new RegExp(`mdgl-1 is in use: process ${pid} on ${host} has been writing it since `))
  const second = await mdgl('sweep', plan, '--out', out, '--jobs', '2')
  t.is(second.code, 1)
  t.regex(second.stdout, /^1 of 2 items are finished \(1 used again\)/)
  t.regex(second.stderr, new RegExp(`item 0 .* is missing: .*mdgl-1 is in use: process ${pid} on ${host} .* is kept`))

  await rm(gate)
  const { code, stderr, stdout } = await first.outcome
  t.is(code, 0, stderr)
  t.regex(stdout, /^2 of 2 items are finished/)
})

test('two comparisons in one folder: the run in work is refused by name', async t => {
  const out = join(await temporaryFolder(t), 'compare')
  const args = [
    'evidence-accumulation',
    '--rules',
    'eprop',
    '--batch-size',
    '4',
    '--iterations',
    '100000',
    '--out',
    out
  ]
  const first = startMdgl(['compare', ...args])
  t.teardown(() => first.kill('SIGKILL'))
  const run = join(out, 'eprop-1')
  while (!existsSync(lockFile(run))) await setTimeout(10)
  const { pid } = await lockOf(run)
  const { code, stderr } = await mdgl('compare', ...args)
  t.is(code, 1)
  t.regex(stderr, new RegExp(`eprop-1 is in use: process ${pid} on `))
  first.kill('SIGINT')
  t.is((await first.outcome).code, 130)
  t.deepEqual(await lockFiles(run), [])
})

test('a comparison whose options are refused leaves no folder behind', async t => {
  const out = join(await temporaryFolder(t), 'deep', 'compare')
  const args = ['evidence-accumulation', '--rules', 'eprop', '--batch-size', '9999999', '--out', out]
  const { code, stderr } = await mdgl('compare', ...args)
  t.is(code, 1)
  t.regex(stderr, /options\.batchSize is 9999999/)
  t.false(existsSync(join(out, '..')))
})

posixTest('a lock goes at the end, on errors and on signals', async t => {
  const folder = await temporaryFolder(t)
  const task = await tinyTask(folder, {
    batch: `if (process.env.END && split === 'train' && iteration === 5) process.env.END === 'error' ? null.end : process.kill(process.pid, process.env.END)`
  })
  for (const [end, code] of [
    ['', 0],
    ['error', 1],
    ['SIGINT', 130],
    ['SIGTERM', 143]
  ] as const) {
    const out = join(folder, `run-${end}`)
    const outcome = await limitedMdgl(`export END=${end}`, ['train', task, '--out', out])
    t.is(outcome.code, code, outcome.stderr)
    t.true(existsSync(join(out, 'config.json')))
    t.deepEqual(await lockFiles(out), [], end)
  }
  // A reader that has seen enough, as `head`, ends the process at once.
  const out = join(folder, 'head')
  const args = ['train', 'evidence-accumulation', '--batch-size', '4', '--iterations', '100000', '--json', '--out', out]
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'ignore'] })
  t.teardown(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  t.deepEqual(await lockFiles(out), ['lock.json'])
  child.stdout.destroy()
  t.deepEqual(await once(child, 'exit'), [0, null])
  t.deepEqual(await lockFiles(out), [])
})

posixTest('SIGKILL leaves a lock, which the next command takes over silently', async t => {
  const { gate, out, run, folder, args } = await standingRun(t)
  run.kill('SIGKILL')
  await run.outcome
  t.deepEqual(await lockFiles(out), ['lock.json'])
  t.like(JSON.parse((await mdgl('show', out, '--json')).stdout), {
    state: 'unfinished, with a checkpoint',
    process: null
  })
  await rm(gate)
  const { code, stderr } = await mdgl('resume', out)
  t.is(code, 0, stderr)
  t.is(stderr, '')
  t.deepEqual(await lockFiles(out), [])
  const whole = join(folder, 'whole')
  await mdgl('train', ...args, '--out', whole)
  t.true((await weights(out)).equals(await weights(whole)))
})

test('a folder that holds nothing but a stale lock is empty', async t => {
  const folder = await temporaryFolder(t)
  const task = await tinyTask(folder)
  const out = join(folder, 'run')
  await mkdir(out)
  await forge(out, await endedProcess())
  t.regex((await mdgl('show', out)).stderr, /holds no run/)
  t.is((await mdgl('train', task, '--out', out)).code, 0)
  t.deepEqual(await lockFiles(out), [])
})

test('a run whose lock is removed or taken over ends at its next line, and resume goes on', async t => {
  const { gate, out, run } = await standingRun(t)
  await rm(lockFile(out))
  await rm(gate)
  const { code, stderr } = await run.outcome
  t.is(code, 1)
  t.is(
    stderr,
    `mdgl: ${lockFile(out)} was removed while the run went on: this process ends, so that two never write one run\n`
  )
  t.is((await mdgl('resume', out)).code, 0)

  const lock = await RunLock.acquire(out)
  await lock.check()
  const other = { ...(await thisProcess()), pid: 99, host: 'elsewhere' }
  await rm(lockFile(out))
  await forge(out, other)
  await t.throwsAsync(lock.check(), { message: /lock\.json was taken over by process 99 on elsewhere while the run/ })
  await lock.release()
  t.is((await lockOf(out)).pid, 99, 'the lock of another is not removed')
})

linuxTest('a process with the number of one that has ended is not taken for it', async t => {
  const run = await temporaryFolder(t)
  // The number is that of this process, which lives; it started at another time.
  await forge(run, { ...(await thisProcess()), started: '1' })
  t.is(await runOwner(run), undefined)
  const lock = await RunLock.acquire(run)
  t.is((await lockOf(run)).started, (await thisProcess()).started)
  const { message } = await t.throwsAsync(RunLock.acquire(run))
  t.regex(message, new RegExp(`is in use: process ${process.pid} on `))
  await lock.release()
  t.deepEqual(await readdir(run), [])
})

for (const [what, elsewhere] of [
  ['another host', { host: 'elsewhere' }],
  ['another boot', { boot: '11111111-2222-3333-4444-555555555555' }],
  ['another container', { namespace: 'pid:[1]' }]
] as const) {
  linuxTest(`a process of ${what} counts as gone when it has no heartbeat`, async t => {
    const run = await temporaryFolder(t)
    const heard: string[] = []
    const warn = (message: string) => heard.push(message)
    const owner = { ...(await thisProcess()), ...elsewhere }
    const name = `process ${owner.pid} on ${owner.host}`

    // Long silent: taken over at once, which is said.
    await forge(run, owner, { silence: 61_000 })
    t.is(await runOwner(run), undefined)
    await (await RunLock.acquire(run, { warn })).release()
    t.deepEqual(heard.splice(0), [
      `${lockFile(run)} is of ${name}, which has had no heartbeat for 60 s: the run is taken over`
    ])

    // Silent for the rest of the minute; the new lock does not look as old as the wait for it.
    await forge(run, owner, { silence: 58_500 })
    const silent = (await stat(lockFile(run))).mtimeMs
    t.like(await runOwner(run), { pid: owner.pid, host: owner.host })
    const taken = await RunLock.acquire(run, { warn })
    t.true((await stat(lockFile(run))).mtimeMs > silent + 59_500)
    await taken.release()
    t.is(heard.length, 2)
    t.regex(
      heard.splice(0)[0] ?? '',
      new RegExp(`is of ${name}, which cannot be checked from here; waiting up to [12] s for its heartbeat`)
    )

    // A heartbeat while it is waited for.
    await forge(run, owner, { silence: 20_000 })
    const taking = RunLock.acquire(run, { warn })
    while (heard.length === 0) await setTimeout(10)
    await utimes(lockFile(run), new Date(), new Date())
    const { message } = await t.throwsAsync(taking)
    t.regex(message, new RegExp(`is in use: ${name} has been .*; if it is gone nevertheless, remove ${lockFile(run)}$`))

    // Its end while it is waited for.
    heard.length = 0
    const waiting = RunLock.acquire(run, { warn })
    while (heard.length === 0) await setTimeout(10)
    await rm(lockFile(run))
    await (await waiting).release()
    t.deepEqual(await readdir(run), [])

    // Ctrl-C while it is waited for.
    await forge(run, owner)
    const controller = new AbortController()
    const reason = new Error('Ctrl-C')
    const interrupted = RunLock.acquire(run, { signal: controller.signal })
    await setTimeout(50)
    controller.abort(reason)
    t.is(await t.throwsAsync(interrupted), reason)
    t.deepEqual(await readdir(run), ['lock.json'])
  })
}

posixTest('Ctrl-C while another host is waited for ends the command with the exit code 130', async t => {
  const { out, run, folder } = await standingRun(t)
  run.kill('SIGKILL')
  await run.outcome
  await forge(out, { ...(await thisProcess()), host: 'elsewhere' })
  const copy = join(folder, 'copy')
  await cp(out, copy, { recursive: true })
  const resumed = startMdgl(['resume', copy])
  while (!resumed.stderr().includes('waiting')) await setTimeout(10)
  resumed.kill('SIGINT')
  const { code, stderr } = await resumed.outcome
  t.is(code, 130)
  t.regex(stderr, /waiting up to \d+ s for its heartbeat\nmdgl: interrupted before the run began\n$/)
})

test('the owner of a lock has a heartbeat', async t => {
  const run = await temporaryFolder(t)
  const lock = await RunLock.acquire(run)
  const before = await readFile(lockFile(run), 'utf8')
  const old = new Date(Date.now() - 300_000)
  await utimes(lockFile(run), old, old)
  const silence = async () => Date.now() - (await stat(lockFile(run))).mtimeMs
  while ((await silence()) > 60_000) await setTimeout(50)
  t.true((await silence()) < 60_000)
  t.is(await readFile(lockFile(run), 'utf8'), before)
  await lock.release()
})

test('a lock that is not whole is one of a process without a name', async t => {
  const run = await temporaryFolder(t)
  const silent = async () => {
    const old = new Date(Date.now() - 61_000)
    await utimes(lockFile(run), old, old)
  }
  for (const content of ['', '{"pid":1', 'null', '{"pid":"1","host":"a","since":"b","token":"c"}']) {
    await writeFile(lockFile(run), content)
    await silent()
    t.is(await runOwner(run), undefined)
    await (await RunLock.acquire(run)).release()
    t.deepEqual(await readdir(run), [])
  }
})

/** Processes that take locks when they are told. */
async function takers(t: ExecutionContext, count: number, environment: NodeJS.ProcessEnv = {}) {
  const script = fileURLToPath(new URL('helpers/lock-taker.mjs', import.meta.url))
  const children = Array.from({ length: count }, () =>
    fork(script, { env: { ...process.env, ...environment }, execArgv: [] })
  )
  t.teardown(() => children.map(child => child.kill('SIGKILL')))
  await Promise.all(children.map(child => once(child, 'message')))
  return children
}

async function take(child: ChildProcess, message: { folder?: string; release?: boolean }) {
  const answer = once(child, 'message') as Promise<[{ won: boolean; message?: string }]>
  child.send(message)
  return (await answer)[0]
}

const ROUNDS = 25
const TAKERS = 8

for (const [where, environment] of [
  ['', {}],
  [' on a file system without hard links', { NO_LINKS: 'yes' }]
] as const) {
  test(`of many processes that take a lock at once, one has it${where}`, async t => {
    t.timeout(120_000)
    const folder = await temporaryFolder(t)
    const children = await takers(t, TAKERS, environment)
    const dead = await endedProcess()
    for (let round = 0; round < ROUNDS; round++) {
      const run = join(folder, `${round}`)
      await mkdir(run)
      // Nothing; a stale lock; one with a stale claim to succeed it, and one to succeed that.
      for (let links = 0, file = lockFile(run); links < round % 4; links++) {
        const { token } = await forge(run, dead, { file })
        file = join(run, `lock.json.${token}.next`)
      }
      const answers = await Promise.all(children.map(child => take(child, { folder: run, release: round % 2 === 0 })))
      const winner = answers.findIndex(({ won }) => won)
      t.is(answers.filter(({ won }) => won).length, 1, `round ${round}`)
      t.is((await lockOf(run)).pid, children[winner]?.pid)
      for (const { won, message } of answers) if (!won) t.regex(message ?? '', /is in use: process \d+ on /)
      t.deepEqual(await lockFiles(run), ['lock.json'], `round ${round}`)
    }
  })
}

posixTest('of processes that are killed while they take a stale lock, none keeps it from the next', async t => {
  t.timeout(120_000)
  const folder = await temporaryFolder(t)
  const dead = await endedProcess()
  for (let round = 0; round < 6; round++) {
    const run = join(folder, `${round}`)
    await mkdir(run)
    await forge(run, dead)
    const children = await takers(t, 4)
    for (const [i, child] of children.entries()) {
      child.send({ folder: run })
      await setTimeout((round + i) % 4)
      child.kill('SIGKILL')
    }
    await Promise.all(children.map(child => (child.signalCode === null ? once(child, 'exit') : undefined)))
    const lock = await RunLock.acquire(run)
    await lock.check()
    t.is((await lockOf(run)).pid, process.pid)
    await lock.release()
  }
})

test('runs of the command line name themselves while they go on', async t => {
  const { gate, out, run } = await standingRun(t)
  const entry = await lockOf(out)
  const expected = ['host', 'pid', 'since', 'token']
  t.deepEqual(
    Object.keys(entry)
      .filter(key => expected.includes(key))
      .sort(),
    expected
  )
  t.is(jsonLines(await readFile(lockFile(out), 'utf8')).length, 1)
  await rm(gate)
  t.is((await run.outcome).code, 0)
})
