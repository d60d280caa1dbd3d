import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf } from '../support/recognise.js'
import { writeAside } from '../support/write-aside.js'
import { appendLine } from './append-line.js'

/** The file in a run folder that holds every change made while it ran. */
const INTERVENTIONS = 'interventions.jsonl'

/** A change made while a run went on; it takes effect from `iteration` on. */
export type Intervention =
  | { readonly iteration: number; readonly learningRate: number }
  | { readonly iteration: number; readonly channel: string; readonly factor: number }
  | { readonly iteration: number; readonly stop: true }

/** Adds a change to a run's list. */
export async function recordIntervention(folder: string, intervention: Intervention): Promise<void> {
  await appendLine(join(folder, INTERVENTIONS), intervention)
}

/** The changes made to a run, in their order; a last line that is not whole is left out. */
export async function readInterventions(folder: string): Promise<Intervention[]> {
  const text = await readFile(join(folder, INTERVENTIONS), 'utf8').catch(error => {
    if (codeOf(error) === 'ENOENT') return ''
    throw error
  })
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  return whole.split('\n').flatMap(line => (line === '' ? [] : [JSON.parse(line) as Intervention]))
}

/** Replaces a run's list of changes. */
export async function replaceInterventions(folder: string, interventions: readonly Intervention[]): Promise<void> {
  const lines = interventions.map(intervention => `${JSON.stringify(intervention)}\n`)
  await writeAside(join(folder, INTERVENTIONS), new TextEncoder().encode(lines.join('')))
}

/** What a change was, in words. */
export function changeText(change: Intervention): string {
  if ('stop' in change) return 'stopped'
  return 'channel' in change
    ? `gain of channel ${change.channel} × ${change.factor}`
    : `learning rate ${change.learningRate}`
}

/** The learning rate at an iteration where it was changed; nothing where it is still the one at the start. */
export function learningRateAt(interventions: readonly Intervention[], iteration: number): number | undefined {
  const changes = interventions.flatMap(change =>
    'learningRate' in change && change.iteration <= iteration ? [change] : []
  )
  return changes.at(-1)?.learningRate
}

/** The factors of the channels' gains at an iteration, by name; of those that were perturbed. */
export function channelFactorsAt(
  interventions: readonly Intervention[],
  iteration: number
): Readonly<Record<string, number>> {
  const changes = interventions.filter(change => 'channel' in change && change.iteration <= iteration)
  return Object.fromEntries(changes.map(change => ('channel' in change ? [change.channel, change.factor] : [])))
}

/** The next iteration after one at which anything changes. */
export function nextChange(interventions: readonly Intervention[], after: number): Intervention | undefined {
  return interventions.filter(({ iteration }) => iteration > after).sort((a, b) => a.iteration - b.iteration)[0]
}
