import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import type { NetworkDescription } from '../network/description.js'
import { optionsOf } from '../runs/resume.js'
import { readRunFolder } from '../runs/run-folder.js'
import { lastModel, storedSnapshot } from '../runs/stored-snapshot.js'
import { type Arguments, known, refuse, split, text, UsageError, whole } from './arguments.js'
import { PLOT_HELP } from './help.js'
import { folderArgument } from './resume.js'
import { anyTaskArgument } from './task-argument.js'

export const PLOT_OPTIONS = {
  seed: { type: 'string' },
  curves: { type: 'boolean' },
  raster: { type: 'boolean' },
  signals: { type: 'boolean' },
  weights: { type: 'boolean' },
  neuron: { type: 'string' },
  out: { type: 'string' },
  help: { type: 'boolean', short: 'h' }
} as const

const PICTURES = ['network', 'run'] as const

/** `mdgl plot network TASK|FILE`: a task's network, or a description in a file, as a multidigraph. `mdgl plot run DIR`: a run. */
export async function plotCommand(args: readonly string[]): Promise<number> {
  const given = split(args, PLOT_OPTIONS)
  if (given.options.help) {
    console.log(PLOT_HELP)
    return 0
  }
  const [picture, ...rest] = given.rest
  if (picture === undefined) throw new UsageError(`a picture is missing; it must be one of ${PICTURES.join(', ')}`)
  if (known(picture, 'the picture', PICTURES) === 'run') return await plotRun(given, rest)
  refuse(given, RUN_PICTURES, 'plot run')
  const { name, description } = await subject(rest, whole(given, 'seed', 0))
  const out = text(given, 'out') ?? `network-${name}.svg`
  checkPicture(out)

  // The plotting libraries are slow to load, and only this needs them.
  const { networkGraph } = await import('../plots/network-graph.js')
  return await write(out, networkGraph(description))
}

/** `mdgl plot run DIR`: the curves of a run, or what a trial looks like with its last weights. */
async function plotRun(given: Arguments, rest: readonly string[]): Promise<number> {
  refuse(given, ['seed'], 'plot network')
  const path = folderArgument(rest)
  const chosen = RUN_PICTURES.filter(name => given.options[name] !== undefined)
  if (chosen.length > 1) throw new UsageError(`--${chosen.join(' and --')} are two pictures; one at a time`)
  const [what = 'curves'] = chosen
  const out = text(given, 'out') ?? `run-${what}.svg`
  checkPicture(out)
  const run = await readRunFolder(path)
  if (run === undefined) throw new Error(`${path} holds no run`)
  if (what === 'curves') {
    const { runCurves } = await import('../plots/run-curves.js')
    return await write(out, runCurves(run.metrics))
  }
  const options = await optionsOf(run.config, path)
  const last = await lastModel(path, options.iterations, message => console.error(`mdgl: ${message}`))
  if (last === undefined) throw new Error(`the run in ${path} has neither weights nor a whole checkpoint`)
  using _ = last.model
  const captured = await storedSnapshot(last, options)
  const pictures = await import('../plots/trial.js')
  switch (what) {
    case 'raster':
      return await write(out, pictures.trialPicture(captured.snapshot))
    case 'signals':
      return await write(out, pictures.signalsPicture(captured.snapshot))
    case 'weights':
      return await write(out, pictures.weightsPicture(captured.snapshot))
    case 'neuron': {
      const trace = captured.neuron(whole(given, 'neuron', 0) ?? 0)
      if (trace === undefined)
        throw new UsageError(`--neuron is ${given.options.neuron}; the network has no such neuron`)
      return await write(out, pictures.membranePicture(trace))
    }
  }
}

const RUN_PICTURES = ['curves', 'raster', 'signals', 'weights', 'neuron'] as const

function checkPicture(out: string): void {
  if (!/\.(svg|png)$/.test(out)) throw new UsageError(`--out is '${out}'; it must end in .svg or .png`)
}

async function write(out: string, svg: string): Promise<number> {
  await mkdir(dirname(out), { recursive: true })
  // Drawing dots is slow to load, and only this needs it.
  await writeFile(out, out.endsWith('.png') ? (await import('../plots/png.js')).toPng(svg) : svg)
  console.log(out)
  return 0
}

interface Subject {
  readonly name: string
  readonly description: NetworkDescription
}

/** The network that is to be drawn: of a task, or the description in a file, whose seed is its own unless another is given. */
async function subject(rest: readonly string[], seed: number | undefined): Promise<Subject> {
  const [first, ...more] = rest
  if (first === undefined || !first.endsWith('.json') || more.length > 0) {
    const { task } = await anyTaskArgument(rest)
    return { name: task.name, description: task.network({ seed: seed ?? 1 }) }
  }
  const description = parse(await readFile(first, 'utf8'), first)
  return { name: basename(first, '.json'), description: seed === undefined ? description : { ...description, seed } }
}

function parse(json: string, file: string): NetworkDescription {
  try {
    return JSON.parse(json) as NetworkDescription
  } catch (error) {
    throw new UsageError(`${file} is no JSON (${(error as Error).message})`)
  }
}
