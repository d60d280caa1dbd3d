// `npm run reproduce -- TABLE`: makes a table of docs/results.md again. Every run (a rule and a seed) has a folder of its own under
// runs/reproduce; a finished one is used again, so that a killed command loses one run and the same command goes on.
// Experiments of examples/experiments are made in the same way. --list prints both. --seeds N and --iterations N are for a look, which is
// printed and not written.
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { experimentPicture, experimentTable, experimentTime } from './lib/experiment-report.mjs'
import { runExperiment } from './lib/experiment-runs.mjs'
import { EXPERIMENTS, experimentListing } from './lib/experiments.mjs'
import { circumstances, writeGenerated } from './lib/generated.mjs'
import { accuracyCurves, installMnist, mnistTestAccuracy } from './lib/mnist.mjs'
import { guarded, prepare } from './lib/prepare.mjs'
import { accuracies, atIterations, finalCosine, resultsTable, trainingTime } from './lib/reproduce-rows.mjs'
import { compareArguments, listing, TABLES } from './lib/reproduce-tables.mjs'
import { ROOT, run } from './lib/run.mjs'

const DOCUMENT = 'docs/results.md'
// Every core computes: by default the engine leaves one to the rest of a program, which here only waits.
process.env.MDGL_THREADS ??= String(availableParallelism())

/** Ends with one line and the exit code of a wrong call. */
function refuse(message) {
  console.error(`reproduce: ${message}; the tables:\n${listing()}\n${experimentListing()}`)
  process.exit(2)
}

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: { list: { type: 'boolean' }, seeds: { type: 'string' }, iterations: { type: 'string' } }
    })
  } catch (error) {
    return refuse(error.message)
  }
}

function whole(text, name) {
  if (text !== undefined && !/^[1-9]\d{0,8}$/.test(text))
    refuse(`--${name} is '${text}'; it must be a whole number above 0`)
  return text === undefined ? undefined : Number(text)
}

/** Runs a part's comparison; gives its results.json, test accuracies included, the picture and the command. */
async function runPart(part, { seeds, iterations }) {
  const { builtInTask } = await import('../dist/runs/tasks.js')
  const task = builtInTask(part.task)
  const tooShort = iterations !== undefined && iterations < (part.validateEvery ?? task.validateEvery)
  const label = part.label ?? part.task
  const out = join('runs', 'reproduce', `${label}-${iterations ?? part.iterations ?? task.iterations}`)
  if (part.mnist) await installMnist()
  const args = compareArguments(part, { seeds, iterations, validateEvery: tooShort ? iterations : undefined, out })
  const { code } = await run('node', ['dist/cli/main.js', ...args])
  if (code !== 0) return { code }
  const results = JSON.parse(await readFile(join(ROOT, out, 'results.json'), 'utf8'))
  const aligned = part.alignment === false ? results.rules : await withAlignment(results.rules, out)
  const read = part.at === undefined ? aligned : await withValidations(aligned)
  const rules = part.test === undefined ? read : await withTest(read, task, part)
  if (part.at?.of === 'accuracy') {
    await writeFile(join(ROOT, out, 'accuracy-curves.svg'), await accuracyCurves(rules, results.iterations))
  }
  const pictures = [
    part.at?.of === 'accuracy'
      ? { name: label, from: join(ROOT, out, 'accuracy-curves.svg'), shows: 'Validation accuracy' }
      : { name: label, from: join(ROOT, out, 'learning-curves.svg'), shows: 'Validation loss' },
    ...(part.alignment === false
      ? []
      : [{ name: `${label}-alignment`, from: join(ROOT, out, 'alignment.svg'), shows: "Cosine to BPTT's gradient" }])
  ]
  const command = `mdgl ${args.map(shellWord).join(' ')}`
  const shown = part.at === undefined ? rules : rules.map(rule => ({ ...rule, at: atIterations(rule.curves, part.at) }))
  return { code, results: { ...results, task: label, rules: shown }, pictures, task: label, command }
}

/** An argument as a shell takes it. */
const shellWord = word => (/^[\w./,:=-]+$/.test(word) ? word : `'${word}'`)

/** Adds the cosine to BPTT's gradient at the end of the training. */
async function withAlignment(rules, out) {
  const alignment = JSON.parse(await readFile(join(ROOT, out, 'alignment.json'), 'utf8'))
  return rules.map(rule => ({ ...rule, alignment: finalCosine(alignment, rule.rule) }))
}

/** Adds each run's validations. */
async function withValidations(rules) {
  const validations = async ({ path }) =>
    (await readFile(join(ROOT, path, 'metrics.jsonl'), 'utf8'))
      .split('\n')
      .filter(line => line.includes('"split":"validation"'))
      .map(line => JSON.parse(line))
  return Promise.all(rules.map(async rule => ({ ...rule, curves: await Promise.all(rule.runs.map(validations)) })))
}

/** Adds the test accuracy of the final weights, the mean over the seeds. */
async function withTest(rules, task, { test: size, mnist }) {
  const { evaluate, makeBatch, Model } = await import('../dist/index.js')
  const accuracyOf = async (model, seed) => {
    const batch = await makeBatch(task, { split: 'test', size, seed })
    return (await evaluate(model, batch, { loss: task.loss, seed })).accuracy
  }
  const tested = []
  for (const rule of rules) {
    const values = []
    for (const { seed, path } of rule.runs) {
      const model = await Model.load(join(ROOT, path, 'weights.safetensors'))
      values.push(mnist ? await mnistTestAccuracy(model, seed) : await accuracyOf(model, seed))
      model.dispose()
    }
    tested.push({ ...rule, test: accuracies(values) })
  }
  return tested
}

/** The text between the table's markers. */
function section({ title, about }, parts, pictures) {
  return [
    `### ${title}`,
    about,
    resultsTable(parts.map(({ results }) => results)),
    `${circumstances(null)} ${trainingTime(parts.map(({ results }) => results))} of training in all. From:`,
    `\`\`\`sh\n${parts.map(({ command }) => command).join('\n')}\n\`\`\``,
    ...pictures.map(({ task, shows, path }) => `![${shows} of each rule on ${task}](${path})`)
  ].join('\n\n')
}

async function copyPictures(parts) {
  await mkdir(join(ROOT, 'docs/pictures'), { recursive: true })
  return Promise.all(
    parts.flatMap(({ task, pictures }) =>
      pictures.map(async ({ name, from, shows }) => {
        const path = `pictures/results-${name}.svg`
        await copyFile(from, join(ROOT, 'docs', path))
        return { task, shows, path }
      })
    )
  )
}

/** The text of an experiment between its markers; the whole one has a picture, which is written. */
async function experimentSection(experiment, look, whole) {
  const results = await runExperiment(experiment, look)
  const { name, title, about } = experiment
  const text = [
    `### ${title}`,
    about,
    experimentTable(experiment, results),
    `${circumstances(null)} ${experimentTime(results)} of training of these rows. From:`,
    `\`\`\`sh\nnpm run reproduce -- ${name}\n\`\`\``
  ]
  if (!whole) return text.join('\n\n')
  const path = `pictures/results-${name}.svg`
  await mkdir(join(ROOT, 'docs/pictures'), { recursive: true })
  await writeFile(join(ROOT, 'docs', path), await experimentPicture(results))
  return [...text, `![Final loss of each condition: ${title}](${path})`].join('\n\n')
}

const { values, positionals } = readArguments()
const look = { seeds: whole(values.seeds, 'seeds'), iterations: whole(values.iterations, 'iterations') }
const table = TABLES.find(({ name }) => name === positionals[0])
const experiment = EXPERIMENTS.find(({ name }) => name === positionals[0])
if (values.list) {
  console.log(`${listing()}\n${experimentListing()}`)
} else if (experiment !== undefined && positionals.length === 1) {
  await guarded(async () => {
    await prepare()
    const whole = look.seeds === undefined && look.iterations === undefined
    const text = await experimentSection(experiment, look, whole)
    console.log(`\n${text}`)
    if (whole) writeGenerated(DOCUMENT, experiment.name, text)
    return 0
  })
} else if (table === undefined || positionals.length > 1) {
  refuse(positionals.length === 0 ? 'a table is missing' : `there is no table '${positionals.join(' ')}'`)
} else {
  await guarded(async () => {
    await prepare()
    const parts = []
    for (const part of table.parts) {
      const done = await runPart(part, { seeds: look.seeds ?? table.seeds, iterations: look.iterations })
      if (done.code !== 0) return done.code
      parts.push(done)
    }
    const whole = look.seeds === undefined && look.iterations === undefined
    const text = section(table, parts, whole ? await copyPictures(parts) : [])
    console.log(`\n${text}`)
    if (whole) writeGenerated(DOCUMENT, table.name, text)
    return 0
  })
}
