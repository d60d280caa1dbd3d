// Data-parallel training over MPI on this machine: the same weights on 1, 2, 3 and 4 ranks, a rank that is killed, what messages
// cost, and what that comes to on up to 1000 ranks. Installs Open MPI with apt-get where it is missing. Exits with 1 where anything is not so.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Model } from '../../dist/index.js'
import { costTables, messageLine, messageTable } from './mpi-cost.mjs'
import { ROOT, run } from './run.mjs'

const PACKAGES = ['libopenmpi-dev', 'openmpi-bin', 'libclang-dev']
const CRATE = join(ROOT, 'crates/mdgl-mpi')
const TARGET = join(ROOT, 'target/mpi')
const LAUNCH = ['--allow-run-as-root', '--oversubscribe', '-n']

const folder = mkdtempSync(join(tmpdir(), 'mdgl-mpi-'))

async function must(program, args) {
  const { code } = await run(program, args)
  assert.equal(code, 0, `${program} ${args.join(' ')}`)
}

async function install() {
  if (spawnSync('mpicc', ['--version']).status === 0) return
  console.log(`Installing ${PACKAGES.join(', ')} (apt-get)`)
  await must('apt-get', ['install', '-y', '-qq', ...PACKAGES])
}

/** The addon beside its index.js, and both packages where the examples find them. */
async function build() {
  const manifest = join(CRATE, 'Cargo.toml')
  await must('cargo', ['build', '--release', '--quiet', '--manifest-path', manifest, '--target-dir', TARGET])
  copyFileSync(join(TARGET, 'release/libmdgl_mpi.so'), join(CRATE, 'mdgl-mpi.node'))
  const modules = join(CRATE, 'node_modules')
  mkdirSync(modules, { recursive: true })
  for (const [name, at] of Object.entries({ mdgl: ROOT, 'mdgl-mpi': CRATE })) {
    rmSync(join(modules, name), { force: true })
    symlinkSync(at, join(modules, name))
  }
}

/** Starts ranks; `watch` sees the output as it comes. */
function mpirun(ranks, script, args, watch = () => {}) {
  const child = spawn('mpirun', [...LAUNCH, String(ranks), process.execPath, join(CRATE, 'examples', script), ...args])
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', text => {
      output += text
      watch(output)
    })
  }
  return new Promise(resolve => child.on('close', code => resolve({ code, output })))
}

const show = (command, output) => console.log(`\n$ ${command}\n${output.trimEnd()}`)
const hashOf = output => output.match(/sha256 (\w+)/)?.[1]

async function sameWeights() {
  const hashes = []
  for (const ranks of [1, 2, 3, 4]) {
    const { code, output } = await mpirun(ranks, 'train.mjs', ['6', join(folder, `ranks-${ranks}`), '3'])
    show(`mpirun --oversubscribe -n ${ranks} node train.mjs 6`, output)
    assert.equal(code, 0)
    hashes.push(hashOf(output))
  }
  assert.ok(hashes[0] !== undefined && new Set(hashes).size === 1, `the weights differ: ${hashes}`)
}

/** The processes that run the example with this checkpoint; mpirun itself is none. */
function ranksOf(checkpoint) {
  const { stdout } = spawnSync('pgrep', ['-f', `^${process.execPath} .*train.mjs .*${checkpoint}`], {
    encoding: 'utf8'
  })
  return stdout.trim().split('\n').filter(Boolean).map(Number)
}

/** A rank dies after the fourth iteration, or a little later; training goes on as if it had not. */
async function killedRank() {
  const checkpoint = join(folder, 'killed')
  let killed
  const { code, output } = await mpirun(4, 'train.mjs', ['1000', checkpoint, '3'], text => {
    if (killed !== undefined || !text.includes('iteration 4:')) return
    const ranks = ranksOf(checkpoint)
    killed = ranks[2]
    console.log(`\n4 ranks, pids ${ranks.join(', ')}: SIGKILL to ${killed} after iteration 4`)
    process.kill(killed, 'SIGKILL')
  })
  show('mpirun --oversubscribe -n 4 node train.mjs 1000', output)
  assert.notEqual(killed, undefined)
  assert.notEqual(code, 0)
  assert.match(output, /exited on signal 9 \(Killed\)/)
  assert.deepEqual(ranksOf(checkpoint), [], 'ranks that still run')
  const iteration = readFileSync(`${checkpoint}.iteration`, 'utf8')
  const model = await Model.load(`${checkpoint}.${iteration}`)
  console.log(`The checkpoint of iteration ${iteration} loads (${model.precision}).`)
  const last = String(Number(iteration) + 3)
  const resumed = await mpirun(2, 'train.mjs', [last, checkpoint, '3'])
  show(`mpirun --oversubscribe -n 2 node train.mjs ${last}`, resumed.output)
  assert.equal(resumed.code, 0)
  const whole = await mpirun(1, 'train.mjs', [last, join(folder, 'whole'), '3'])
  assert.equal(hashOf(resumed.output), hashOf(whole.output), 'training that goes on gives other weights')
  console.log(`One process that was never interrupted has the same weights after ${last} iterations.`)
}

async function messages() {
  const rows = []
  for (const ranks of [2, 4]) {
    const { code, output } = await mpirun(ranks, 'messages.mjs', [])
    assert.equal(code, 0, output)
    rows.push(...JSON.parse(output.slice(output.indexOf('['))))
  }
  return rows
}

try {
  await install()
  await build()
  await sameWeights()
  await killedRank()
  const measured = await messages()
  console.log(`\n${messageTable(measured)}`)
  console.log(`\n${await costTables(messageLine(measured))}`)
} finally {
  if (existsSync(folder)) rmSync(folder, { recursive: true })
}
