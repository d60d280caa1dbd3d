import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { MdglError, Model } from '../src/index.js'
import { readCheckpoint } from '../src/runs/checkpoints.js'
import { mdgl, temporaryFolder } from './helpers/cli.js'
import { tinyTask } from './helpers/faults.js'

/** Loading starts a thread: not at every byte. The number is odd, so that every bit of a byte has its turn. */
const EVERY = 7

/** An unfinished run of the tiny task with two checkpoints; the last one and its bytes. */
async function unfinished(t: ExecutionContext) {
  const folder = await temporaryFolder(t)
  const run = join(folder, 'run')
  const trained = await mdgl('train', await tinyTask(folder), '--checkpoint-every', '4', '--out', run)
  t.is(trained.code, 0, trained.stderr)
  await rm(join(run, 'weights.safetensors'))
  const names = (await readdir(join(run, 'checkpoints'))).sort()
  t.deepEqual(
    names.map(name => Number.parseInt(name, 10)),
    [4, 8]
  )
  const path = join(run, 'checkpoints', names[1] ?? '')
  return { run, path, bytes: await readFile(path) }
}

/** Of a safetensors file: the length of the header, the header's start, and each tensor's. */
function fields(bytes: Buffer): Record<string, number> {
  const length = Number(bytes.readBigUInt64LE(0))
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<
    string,
    { data_offsets?: [number, number] }
  >
  const tensors = Object.entries(header).flatMap(([name, { data_offsets: at }]) =>
    at === undefined ? [] : [[name, 8 + length + at[0]]]
  )
  const metadata = bytes.indexOf('mdgl-network')
  return { 'header length': 0, header: 8, metadata, ...Object.fromEntries(tensors) }
}

function flipped(bytes: Buffer, at: number): Buffer {
  const other = Buffer.from(bytes)
  other[at] = (other[at] ?? 0) ^ (1 << (at % 8))
  return other
}

test('a checkpoint cut at any length, or with any byte changed by a bit, is named and the one before it used', async t => {
  const { run, path, bytes } = await unfinished(t)
  t.true(bytes.length < 10_000)
  const damaged = function* () {
    for (let length = 0; length < bytes.length; length++) yield bytes.subarray(0, length)
    for (let at = 0; at < bytes.length; at++) yield flipped(bytes, at)
  }
  const first = (await readdir(join(run, 'checkpoints'))).find(name => name.startsWith('4-')) ?? ''
  const [before, aside] = [join(run, 'checkpoints', first), join(run, 'aside')]
  const outcome = async (other: Buffer) => {
    await writeFile(path, other)
    const said: string[] = []
    const found = await readCheckpoint(run, message => said.push(message))
    found?.model.dispose()
    return `${found?.iteration}, named ${said.filter(message => message.includes(path)).length} times`
  }
  // Without the one before it, which would be loaded each time.
  await rename(before, aside)
  const outcomes = new Set<string>()
  for (const other of damaged()) outcomes.add(await outcome(other))
  t.deepEqual([...outcomes], ['undefined, named 1 times'])
  await rename(aside, before)
  const some = [
    bytes.subarray(0, 0),
    bytes.subarray(0, -1),
    ...Object.values(fields(bytes)).map(at => flipped(bytes, at))
  ]
  for (const other of some) t.is(await outcome(other), '4, named 1 times')
  await writeFile(path, bytes)
  const found = await readCheckpoint(run, t.fail)
  t.is(found?.iteration, 8)
})

test('the command names the damaged field’s file and goes on from the one before; with none left it touches nothing', async t => {
  const { run, path, bytes } = await unfinished(t)
  const all = fields(bytes)
  t.true(Object.keys(all).length > 8)
  const config = await readFile(join(run, 'config.json'))
  for (const name of (await readdir(join(run, 'checkpoints'))).filter(name => name.startsWith('4-')))
    await rm(join(run, 'checkpoints', name))
  const before = await readdir(run)
  for (const name of ['header length', 'metadata', 'mdgl.optimiser.first', 'in->cells']) {
    const at = all[name]
    if (at === undefined) return t.fail(`there is no ${name}`)
    await writeFile(path, flipped(bytes, at))
    const { code, stderr } = await mdgl('resume', run)
    t.is(code, 1)
    t.true(stderr.startsWith(`mdgl: the checkpoint ${path} is torn or was changed`), stderr)
    t.regex(stderr, /no whole checkpoint is left/)
  }
  t.deepEqual(await readdir(run), before)
  t.true((await readFile(join(run, 'config.json'))).equals(config))
  await writeFile(path, bytes)
  t.is((await mdgl('resume', run)).code, 0)
})

test('a weights file, which has no checksum, loads or is refused, wherever it is cut or changed', async t => {
  const { run, bytes } = await unfinished(t)
  const file = join(run, 'other.safetensors')
  const load = async (other: Buffer) => {
    await writeFile(file, other)
    try {
      ;(await Model.load(file)).dispose()
      return 'loaded'
    } catch (error) {
      if (!(error instanceof MdglError)) throw error
      return error.code
    }
  }
  for (let length = 0; length < bytes.length; length += EVERY) {
    const outcome = await load(bytes.subarray(0, length))
    if (outcome !== 'file') t.fail(`${length} bytes: ${outcome}`)
  }
  const outcomes = new Set<string>()
  for (let at = 0; at < bytes.length; at += EVERY) outcomes.add(await load(flipped(bytes, at)))
  t.deepEqual(
    [...outcomes].filter(outcome => !['loaded', 'file', 'invalid'].includes(outcome)),
    []
  )
  t.is(await load(bytes), 'loaded')
})
