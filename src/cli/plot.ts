import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import type { NetworkDescription } from '../description.js'
import { known, split, text, UsageError, whole } from './arguments.js'
import { PLOT_HELP } from './help.js'
import { taskArgument } from './task-argument.js'

const OPTIONS = {
  seed: { type: 'string' },
  out: { type: 'string' },
  help: { type: 'boolean', short: 'h' }
} as const

const PICTURES = ['network'] as const

/** `mdgl plot network TASK|FILE`: draws a task's network, or a description in a file, as a multidigraph. */
export async function plotCommand(args: readonly string[]): Promise<number> {
  const given = split(args, OPTIONS)
  if (given.options.help) {
    console.log(PLOT_HELP)
    return 0
  }
  const [picture, ...rest] = given.rest
  if (picture === undefined) throw new UsageError(`a picture is missing; it must be one of ${PICTURES.join(', ')}`)
  known(picture, 'the picture', PICTURES)
  const { name, description } = await subject(rest, whole(given, 'seed', 0))
  const out = text(given, 'out') ?? `network-${name}.svg`
  if (!/\.(svg|png)$/.test(out)) throw new UsageError(`--out is '${out}'; it must end in .svg or .png`)

  // The plotting libraries are slow to load, and only this needs them.
  const [{ networkGraph }, { toPng }] = await Promise.all([
    import('../plots/network-graph.js'),
    import('../plots/png.js')
  ])
  const svg = networkGraph(description)
  await mkdir(dirname(out), { recursive: true })
  await writeFile(out, out.endsWith('.png') ? toPng(svg) : svg)
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
    const task = taskArgument(rest)
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
