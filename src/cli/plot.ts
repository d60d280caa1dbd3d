import { mkdir, readFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import type { NetworkDescription } from '../network/description.js'
import { completeDescription } from '../network/draft.js'
import type { PictureStyle } from '../plots/picture-style.js'
import { optionsOf } from '../runs/resume.js'
import { readRunFolder } from '../runs/run-folder.js'
import { lastModel, storedSnapshot } from '../runs/stored-snapshot.js'
import { ALL_TASK_NAMES } from '../runs/tasks.js'
import { defineCommand } from './command.js'
import { STYLE } from './common-options.js'
import { folderArgument } from './folder-argument.js'
import { file, flag, type Given, known, refuse, UsageError, whole } from './options.js'
import { readStyle, widthFor, writePicture } from './picture-file.js'
import { anyTaskArgument } from './task-argument.js'

const PICTURES = ['network', 'run'] as const
const RUN_PICTURES = ['curves', 'raster', 'signals', 'weights', 'neuron'] as const
const ENDINGS = ['.svg', '.png']

const OPTIONS = {
  seed: whole('N', 'of a network: seed of connectivity and initial weights (default 1; for a file, the seed in it)', 0),
  curves: flag('of a run: the loss along training (default)'),
  raster: flag("a trial with the run's last weights: inputs, spikes by cell type, readout"),
  neuron: whole('N', 'membrane and threshold of a neuron in that trial', 0),
  signals: flag('learning and modulatory signal by type in that trial'),
  weights: flag('histograms of the weights now and at the start'),
  style: STYLE,
  out: file('FILE', 'an .svg or a .png file (default network-<task>.svg or run-<picture>.svg)', ENDINGS)
}

/** `mdgl plot network TASK|FILE`: a task's network, or a description in a file, as a multidigraph. `mdgl plot run DIR`: a run. */
export const plotCommand = defineCommand({
  summary: 'draw a network or a run as a picture',
  usage: ['network <task> [options]', 'network <file>.json [options]', 'run <run> [options]'],
  details: `Tasks: ${ALL_TASK_NAMES.join(', ')}

Dots are cells, gathered by type; thin lines are synapses; dashed arrows are neuromodulatory channels, from the type that secretes to the type that receives. A file holds a network description as \`network(…).build()\` returns it, as JSON.`,
  options: OPTIONS,
  examples: [
    'mdgl plot network evidence-accumulation-six --out six-types.png',
    'mdgl plot network delayed-match --seed 2',
    'mdgl plot network my-network.json --out my-network.svg',
    'mdgl plot run runs/mine --raster --out raster.png',
    'mdgl plot run runs/mine --signals --style nature-column --out signals.svg'
  ],
  words: [...PICTURES, ...ALL_TASK_NAMES],
  async run(given) {
    const [picture, ...rest] = given.rest
    if (picture === undefined) throw new UsageError(`a picture is missing; it must be one of ${PICTURES.join(', ')}`)
    if (known(picture, 'the picture', PICTURES) === 'run') return await plotRun(given, rest)
    refuse(given, RUN_PICTURES, 'plot run')
    const { name, given: written } = await subject(rest, given.options.seed)
    const description = completeDescription(written)
    // The plotting libraries are slow to load, and only this needs them.
    const [{ drawNetwork }, { SIZE }] = await Promise.all([
      import('../plots/network-graph.js'),
      import('../plots/network-layout.js')
    ])
    const style = await readStyle(given.options.style)
    const scale = SIZE.width / (widthFor(style) ?? SIZE.width)
    return await write(given.options.out ?? `network-${name}.svg`, drawNetwork(description, scale), style)
  }
})

/** Of what runs signals are recorded, as `canRecord` says. */
const RECORDED = "they are recorded of built-in losses, and of rules with the estimator 'backward' or 'online'"

/** `mdgl plot run DIR`: the curves of a run, or a trial with its last weights. */
async function plotRun(given: Given<typeof OPTIONS>, rest: readonly string[]): Promise<number> {
  refuse(given, ['seed'], 'plot network')
  const path = folderArgument(rest)
  const chosen = RUN_PICTURES.filter(name => given.options[name] !== undefined)
  if (chosen.length > 1) throw new UsageError(`--${chosen.join(' and --')} are two pictures; one at a time`)
  const [what = 'curves'] = chosen
  const { out = `run-${what}.svg` } = given.options
  const style = await readStyle(given.options.style)
  const width = widthFor(style)
  const run = await readRunFolder(path)
  if (run === undefined) throw new Error(`${path} holds no run`)
  if (what === 'curves') {
    const { runCurves } = await import('../plots/run-curves.js')
    return await write(out, runCurves(run.metrics, width), style)
  }
  const options = await optionsOf(run.config, path)
  const last = await lastModel(path, options.iterations, message => console.error(`mdgl: ${message}`))
  if (last === undefined) throw new Error(`the run in ${path} has neither weights nor a whole checkpoint`)
  using _ = last.model
  const captured = await storedSnapshot(last, options)
  const pictures = await import('../plots/trial.js')
  switch (what) {
    case 'raster':
      return await write(out, pictures.trialPicture(captured.snapshot, width), style)
    case 'signals':
      if (captured.snapshot.learning.length === 0)
        throw new Error(`the run in ${path} has no signals to draw: ${RECORDED}`)
      return await write(out, pictures.signalsPicture(captured.snapshot, width), style)
    case 'weights':
      return await write(out, pictures.weightsPicture(captured.snapshot, width), style)
    case 'neuron': {
      const trace = captured.neuron(given.options.neuron ?? 0)
      if (trace === undefined)
        throw new UsageError(`--neuron is ${given.options.neuron}; the network has no such neuron`)
      return await write(out, pictures.membranePicture(trace, captured.snapshot.types, width), style)
    }
  }
}

async function write(out: string, svg: string, style: PictureStyle | undefined): Promise<number> {
  await mkdir(dirname(out), { recursive: true })
  await writePicture(out, svg, style)
  console.log(out)
  return 0
}

interface Subject {
  readonly name: string
  readonly given: NetworkDescription
}

/** The network that is to be drawn: of a task, or the description in a file, whose seed is its own unless another is given. */
async function subject(rest: readonly string[], seed: number | undefined): Promise<Subject> {
  const [first, ...more] = rest
  if (first === undefined || !first.endsWith('.json') || more.length > 0) {
    const { task } = await anyTaskArgument(rest, { network: true })
    return { name: task.name, given: task.network({ seed: seed ?? 1 }) }
  }
  const description = parse(await readFile(first, 'utf8'), first)
  return { name: basename(first, '.json'), given: seed === undefined ? description : { ...description, seed } }
}

function parse(json: string, file: string): NetworkDescription {
  try {
    return JSON.parse(json) as NetworkDescription
  } catch (error) {
    throw new UsageError(`${file} is no JSON (${(error as Error).message})`)
  }
}
