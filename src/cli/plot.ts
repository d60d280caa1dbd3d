import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { known, split, text, UsageError, whole } from './arguments.js'
import { PLOT_HELP } from './help.js'
import { taskArgument } from './task-argument.js'

const OPTIONS = {
  seed: { type: 'string' },
  out: { type: 'string' },
  help: { type: 'boolean', short: 'h' }
} as const

const PICTURES = ['network'] as const

/** `mdgl plot network TASK`: draws a task's network as a multidigraph. */
export async function plotCommand(args: readonly string[]): Promise<number> {
  const given = split(args, OPTIONS)
  if (given.options.help) {
    console.log(PLOT_HELP)
    return 0
  }
  const [picture, ...rest] = given.rest
  if (picture === undefined) throw new UsageError(`a picture is missing; it must be one of ${PICTURES.join(', ')}`)
  known(picture, 'the picture', PICTURES)
  const task = taskArgument(rest)
  const seed = whole(given, 'seed', 0) ?? 1
  const out = text(given, 'out') ?? `network-${task.name}.svg`
  if (!/\.(svg|png)$/.test(out)) throw new UsageError(`--out is '${out}'; it must end in .svg or .png`)

  // The plotting libraries are slow to load, and only this needs them.
  const [{ networkGraph }, { toPng }] = await Promise.all([
    import('../plots/network-graph.js'),
    import('../plots/png.js')
  ])
  const svg = networkGraph(task.network({ seed }))
  await mkdir(dirname(out), { recursive: true })
  await writeFile(out, out.endsWith('.png') ? toPng(svg) : svg)
  console.log(out)
  return 0
}
