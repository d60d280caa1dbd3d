import { type ChannelShares, channelShares } from '../analysis/channel-shares.js'
import type { CapturedTrial } from '../analysis/trial-snapshot.js'
import { checkCodeFile } from '../runs/code-file.js'
import { optionsOf } from '../runs/resume.js'
import { readRunFolder } from '../runs/run-folder.js'
import { lastModel, storedSnapshot } from '../runs/stored-snapshot.js'

/** Trials that are kept at a time: the recording behind one may be large. */
const KEPT = 4

/** A trial with the weights of a run's folder. */
export interface StoredTrial {
  readonly captured: CapturedTrial
  channels(): Promise<ChannelShares>
}

/** Trials of runs that another process trains, or has trained, each simulated once per version of its weights. */
export class StoredTrials {
  readonly #trials = new Map<string, Promise<StoredTrial>>()

  /** The trial of a run's folder with its weights after an iteration. A failure is not kept. */
  of(path: string, iteration: number): Promise<StoredTrial> {
    const key = `${iteration} ${path}`
    const known = this.#trials.get(key) ?? storedTrial(path, iteration)
    this.#trials.delete(key)
    this.#trials.set(key, known)
    for (const old of [...this.#trials.keys()].slice(0, -KEPT)) this.#trials.delete(old)
    known.catch(() => this.#trials.delete(key))
    return known
  }
}

async function storedTrial(path: string, iteration: number): Promise<StoredTrial> {
  const run = await readRunFolder(path)
  if (run === undefined) throw new Error(`${path} holds no run`)
  const { taskFile, ruleFile } = run.config
  // Code that is not the run's is not run.
  if (taskFile !== undefined) await checkCodeFile(taskFile, 'task')
  if (ruleFile !== undefined) await checkCodeFile(ruleFile, 'rule')
  const options = await optionsOf(run.config, path)
  const load = () => lastModel(path, iteration, () => undefined)
  using model = (await load())?.model
  if (model === undefined) throw new Error(`${path} holds no weights that are whole`)
  const captured = await storedSnapshot({ model, iteration }, options)
  const { task, rule, seed } = options
  let shares: Promise<ChannelShares> | undefined
  const channels = async () => {
    using again = (await load())?.model
    if (again === undefined) throw new Error(`${path} holds no weights that are whole`)
    return await channelShares({ model: again, task, rule, seed, iteration })
  }
  return {
    captured,
    channels: () => {
      shares ??= channels()
      return shares
    }
  }
}
