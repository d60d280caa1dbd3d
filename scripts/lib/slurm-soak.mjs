// A sweep as a Slurm job array on this machine, from the example that users copy: all tasks must end COMPLETED, with the weights of the
// local pool, bit for bit. Debian, as root: installs slurm-wlm and munge where they are missing; the daemons run in a temporary folder.
import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { cpus, hostname, totalmem } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { ROOT } from './run.mjs'

const WAIT_S = 300
/** Where the sweep's runs go by themselves. */
const FOLDER = 'runs/sweep-sweep'
const folder = mkdtempSync('/tmp/mdgl-slurm-')
const at = name => join(folder, name)
const host = hostname().split('.')[0]
const env = { ...process.env, SLURM_CONF: at('slurm.conf'), PATH: `${at('bin')}:${process.env.PATH}` }
const daemons = []

/** Shows a command and what it printed; gives that. */
function show(command) {
  console.log(`$ ${command}`)
  const output = execFileSync('sh', ['-c', `{ ${command}; } 2>&1`], { cwd: at('work'), env, encoding: 'utf8' })
  process.stdout.write(output)
  return output.trim()
}

const quiet = command => execFileSync('sh', ['-c', command], { cwd: at('work'), env, encoding: 'utf8' }).trim()

async function until(what, condition) {
  for (let second = 0; second < WAIT_S; second++) {
    if (condition()) return
    await setTimeout(1000)
  }
  throw new Error(`after ${WAIT_S} s there was still no ${what}; logs: ${logs()}`)
}

const logs = () =>
  ['munged', 'slurmctld', 'slurmd']
    .map(name => at(`${name}.log`))
    .filter(existsSync)
    .map(path => `\n== ${path}\n${readFileSync(path, 'utf8').slice(-3000)}`)
    .join('')

function install() {
  if (existsSync('/usr/sbin/slurmctld') && existsSync('/usr/sbin/munged')) return
  console.log('installing slurm-wlm and munge')
  execFileSync('apt-get', ['update'], { stdio: 'ignore' })
  execFileSync('apt-get', ['install', '-y', 'slurm-wlm', 'munge'], {
    stdio: 'ignore',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  })
}

/** Everything of one machine below the folder. Its processes are the tracker's alone: no cgroups, as containers have none to give. */
function configure() {
  chmodSync(folder, 0o755)
  for (const name of ['bin', 'work', 'state', 'spool']) mkdirSync(at(name))
  writeFileSync(at('munge.key'), randomBytes(1024), { mode: 0o400 })
  writeFileSync(
    at('slurm.conf'),
    `ClusterName=mdgl
SlurmctldHost=${host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=${at('munge.socket')}
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=${at('jobs.txt')}
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
ReturnToService=2
StateSaveLocation=${at('state')}
SlurmdSpoolDir=${at('spool')}
SlurmctldPidFile=${at('slurmctld.pid')}
SlurmdPidFile=${at('slurmd.pid')}
SlurmctldPort=26817
SlurmdPort=26818
NodeName=${host} NodeAddr=127.0.0.1 CPUs=${cpus().length} RealMemory=${Math.floor(totalmem() / 2 ** 21)} State=UNKNOWN
PartitionName=main Nodes=${host} Default=YES MaxTime=INFINITE State=UP
`
  )
  writeFileSync(at('bin/mdgl'), `#!/bin/sh\nexec '${process.execPath}' '${join(ROOT, 'dist/cli/main.js')}' "$@"\n`, {
    mode: 0o755
  })
  for (const name of ['sweep.json', 'sweep.sbatch']) copyFileSync(join(ROOT, 'examples', name), join(at('work'), name))
}

/** In the foreground, so that they end with us. */
function daemon(program, args) {
  const child = spawn(program, args, { env, stdio: 'ignore' })
  child.on('error', error => console.log(`${program}: ${error.message}`))
  daemons.push(child)
}

function startDaemons() {
  daemon('/usr/sbin/munged', [
    '--foreground',
    '--force',
    `--key-file=${at('munge.key')}`,
    `--socket=${at('munge.socket')}`,
    `--pid-file=${at('munged.pid')}`,
    `--log-file=${at('munged.log')}`,
    `--seed-file=${at('munge.seed')}`
  ])
  daemon('/usr/sbin/slurmctld', ['-D', '-i', '-L', at('slurmctld.log')])
  daemon('/usr/sbin/slurmd', ['-D', '-N', host, '-L', at('slurmd.log')])
}

async function stopDaemons() {
  for (const child of daemons.toReversed()) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    const ended = new Promise(resolve => child.once('exit', resolve))
    child.kill('SIGTERM')
    await Promise.race([ended, setTimeout(10_000)])
    child.kill('SIGKILL')
  }
}

/** The state of each task of the array, as Slurm's own record of ended jobs has it. */
function states(array) {
  const record = existsSync(at('jobs.txt')) ? readFileSync(at('jobs.txt'), 'utf8') : ''
  return record
    .split('\n')
    .filter(line => line.includes(` ArrayJobId=${array} `))
    .map(line => /JobState=(\S+)/.exec(line)?.[1])
}

function compareWithPool(items) {
  show('mdgl sweep sweep.json --out pool')
  const weights = (item, out) => readFileSync(join(at('work'), item.path.replace(FOLDER, out), 'weights.safetensors'))
  const equal = items.filter(item => weights(item, FOLDER).equals(weights(item, 'pool'))).length
  console.log(`${equal} of ${items.length} items have the same weights from Slurm and from the local pool, bit for bit`)
  expect(equal, items.length, 'items agree')
}

const SUBMIT = 'sbatch --array=0-$(($(mdgl sweep sweep.json --count) - 1)) sweep.sbatch sweep.json'

/** Submits the sweep, lets `meanwhile` have the array's number, waits for the end; gives the states of its tasks. */
async function runArray(count, meanwhile) {
  const array = /\d+$/.exec(show(SUBMIT))?.[0]
  await meanwhile(array)
  await until('end of the array', () => quiet('squeue -h') === '')
  await until('record of every task', () => states(array).length >= count)
  const ended = states(array)
  const completed = ended.filter(state => state === 'COMPLETED').length
  console.log(
    `${completed} of ${count} tasks COMPLETED, others: ${ended.filter(state => state !== 'COMPLETED').join(', ') || 'none'}`
  )
  return completed
}

/** Cancels the task of one item as soon as it has a checkpoint. */
async function cancelOne(array, { index, path }) {
  const checkpoints = join(at('work'), path, 'checkpoints')
  await until(`checkpoint of item ${index}`, () => existsSync(checkpoints) && readdirSync(checkpoints).length > 0)
  show(`squeue --array --noheader --format='%i %T' | sort -V`)
  show(`scancel --signal=KILL --full ${array}_${index}`)
}

function expect(found, expected, what) {
  if (found !== expected) throw new Error(`${found} ${what}; expected ${expected}`)
}

async function main() {
  install()
  configure()
  startDaemons()
  await until('idle node', () => quiet('sinfo -h -o %T 2>&1 || true') === 'idle')
  show('sinfo --version && sinfo')
  const items = quiet('mdgl sweep sweep.json --list --json')
    .split('\n')
    .map(line => JSON.parse(line))
  const cancelled = items.find(({ rule }) => rule === 'mdgl')
  expect(await runArray(items.length, array => cancelOne(array, cancelled)), items.length - 1, 'tasks COMPLETED')
  const missing = show('mdgl compare --sweep sweep.json > /dev/null; echo "exit code $?"')
  if (!missing.includes(`item ${cancelled.index} (`) || !missing.endsWith('exit code 1'))
    throw new Error('nothing is missing')
  expect(await runArray(items.length, async () => {}), items.length, 'tasks COMPLETED')
  show(`tail -n 2 sweep-*-0.log sweep-*-${cancelled.index}.log`)
  show('mdgl compare --sweep sweep.json')
  compareWithPool(items)
}

try {
  await main()
} catch (error) {
  console.log(`${error.message}\n${error.stdout ?? ''}${logs()}`)
  process.exitCode = 1
} finally {
  await stopDaemons()
  rmSync(folder, { recursive: true, force: true })
}
