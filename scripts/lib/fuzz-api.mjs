// Calls every function of the library with hostile arguments and reads damaged files, in processes of their own, and prints a summary.
// Exits with 1 on anything that must not happen: another error than ours or the caller's, a crash, a hang, a wrong answer, much memory.
import { fork } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ROOT } from './run.mjs'

const USAGE = `usage: node scripts/lib/fuzz-api.mjs [--calls N] [--files N] [--hdf5 N] [--seed N] [--plan JSON]

  --calls N    calls with damaged arguments (default 20000)
  --files N    damaged weights, NumPy, event and checkpoint files (default 5000)
  --hdf5 N     damaged HDF5 files: NIR, Heidelberg digits (default 300)
  --seed N     another seed draws others (default 1)
  --plan JSON  one call or file of a report, again`

const WHOLE = { type: 'string' }
const { values } = parseArgs({
  options: { calls: WHOLE, files: WHOLE, hdf5: WHOLE, seed: WHOLE, plan: WHOLE, help: { type: 'boolean' } }
})
if (values.help) {
  console.log(USAGE)
  process.exit(0)
}
const seed = Number(values.seed ?? 1)

/** A process does so many, so that a leak shows and a crash costs little. */
const STRETCH = { calls: 1000, files: 1000, hdf5: 50 }
/** No call takes longer, HDF5's deadline of a minute included: whoever says nothing for so many ms hangs. */
const SILENCE = 150_000
/** What a process may have at its peak, in MB. */
const MOST_MEMORY = 1500

const findings = []
/** Told at once as well: the summary may be long in coming. */
const found = finding => {
  findings.push(finding)
  console.error(JSON.stringify(finding))
}
const peaks = []

function stretch(kind, from, count, plan) {
  return new Promise(resolve => {
    const args = [kind, String(from), String(count), ...(plan === undefined ? [] : [plan])]
    const child = fork(join(ROOT, 'scripts/lib/fuzz-child.mjs'), args, {
      cwd: ROOT,
      execArgv: ['--import', '@oxc-node/core/register'],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc']
    })
    const told = []
    let current
    let peak = 0
    let hung = false
    const watch = () => {
      hung = true
      child.kill('SIGKILL')
    }
    let timer = setTimeout(watch, SILENCE)
    child.on('message', message => {
      clearTimeout(timer)
      timer = setTimeout(watch, SILENCE)
      current = message.begins
      if (message.verdict === undefined) return
      told.push(message)
      if (message.peak - peak > MOST_MEMORY / 3 && peak > 0)
        message.verdict.finding ??= `took ${Math.round(message.peak - peak)} MB`
      peak = Math.max(peak, message.peak ?? 0)
      if (message.verdict.finding !== undefined) found({ plan: message.plan, finding: message.verdict.finding })
    })
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      const end = hung ? 'hung' : code === 0 ? undefined : `ended the process: ${signal ?? `exit code ${code}`}`
      if (end !== undefined) found({ plan: current ?? { kind, seed: from }, finding: end })
      peaks.push(peak)
      resolve(told)
    })
  })
}

async function all(kind, count) {
  const begun = performance.now()
  const told = []
  for (let done = 0; done < count; done += STRETCH[kind]) {
    told.push(...(await stretch(kind, seed + done, Math.min(STRETCH[kind], count - done))))
    console.error(`${kind}: ${told.length} of ${count}, ${findings.length} findings`)
  }
  return { kind, told, seconds: (performance.now() - begun) / 1000 }
}

const tally = (names, into = new Map()) => {
  for (const name of names) into.set(name, (into.get(name) ?? 0) + 1)
  return [...into].sort(([, a], [, b]) => b - a)
}

function report({ kind, told, seconds }) {
  const what = { calls: 'calls', files: 'damaged files', hdf5: 'damaged HDF5 files' }[kind]
  const slowest = told.reduce((most, { ms }) => Math.max(most, ms ?? 0), 0)
  console.log(
    `\n**${told.length} ${what}** in ${Math.round(seconds)} s, the slowest ${(slowest / 1000).toFixed(1)} s\n`
  )
  console.log('| outcome | |\n|---|---|')
  for (const [outcome, count] of tally(told.map(({ verdict }) => verdict.outcome)))
    console.log(`| ${outcome} | ${count} |`)
  const names = tally(told.map(({ plan }) => plan.call ?? plan.file)).map(([name, count]) => `${name} ${count}`)
  console.log(`\n${names.join(', ')}\n`)
}

if (values.plan === undefined) {
  const runs = []
  for (const [kind, usual] of Object.entries({ calls: 20_000, files: 5000, hdf5: 300 })) {
    const count = Number(values[kind] ?? usual)
    if (count > 0) runs.push(await all(kind, count))
  }
  console.log(`Seed ${seed}, ${process.version}, ${process.platform}-${process.arch}`)
  runs.forEach(report)
} else {
  const told = await stretch('call' in JSON.parse(values.plan) ? 'calls' : 'files', seed, 1, values.plan)
  console.log(JSON.stringify(told, undefined, 2))
}
const peak = Math.max(0, ...peaks)
if (peak > MOST_MEMORY) findings.push({ plan: {}, finding: `a process had ${Math.round(peak)} MB at its peak` })
console.log(`Peak of a process: ${Math.round(peak)} MB (allowed: ${MOST_MEMORY}). Findings: ${findings.length}.`)
for (const { plan, finding } of findings)
  console.log(`\n- \`${JSON.stringify(plan)}\`\n  ${finding.split('\n').slice(0, 4).join('\n  ')}`)
process.exitCode = findings.length > 0 ? 1 : 0
