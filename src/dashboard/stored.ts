import { readdir, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import type { ChannelShares } from '../analysis/channel-shares.js'
import type { NeuronTrace, TrialSnapshot } from '../analysis/trial-snapshot.js'
import type { WholeDescription } from '../network/description.js'
import { networkGraph } from '../plots/network-graph.js'
import { readAlignment } from '../runs/alignment-record.js'
import { lastCheckpoint } from '../runs/checkpoints.js'
import { runFolders } from '../runs/folders.js'
import { ruleLabel } from '../runs/rule-label.js'
import { readRunFolder, type StoredRun } from '../runs/run-folder.js'
import { type RunOwner, runOwner } from '../runs/run-lock.js'
import { readWarnings } from '../runs/warnings.js'
import type { Losses, Regulariser } from '../task/batch.js'
import { rateAt, type Schedule } from '../task/schedule.js'
import type { EventHub } from './event-hub.js'
import type { RunInfo } from './frames.js'
import { measuresOf } from './measures.js'
import type { Answers } from './server.js'
import { StoredTrials } from './stored-trials.js'

/** ms between two readings of the folders, and between two while no page is open. */
const READ_EVERY = 500
const READ_IDLY_EVERY = 2000

/** What a page has been sent of a run folder. */
interface SentRecords {
  size: number
  /** Lines of metrics. */
  metrics: number
  /** Lines of alignment. */
  alignment: number
  /** The process that wrote it. */
  owner: number | undefined
}

/** The run folders below a folder, as they are and as they grow: curves, alignment and networks, whichever process trains them. */
export class StoredRuns implements Answers {
  readonly #root: string
  readonly #hub: EventHub
  readonly #sent = new Map<string, SentRecords>()
  readonly #networks = new Map<string, WholeDescription>()
  readonly #trials = new StoredTrials()
  #timer: NodeJS.Timeout | undefined

  constructor(root: string, hub: EventHub) {
    this.#root = root
    this.#hub = hub
  }

  /** Reads everything, and then whatever is new, again and again. */
  async start(): Promise<void> {
    await this.#refresh()
    this.#timer = setTimeout(() => void this.#again(), READ_EVERY)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  async #again(): Promise<void> {
    await this.#refresh().catch(() => undefined)
    const pause = this.#hub.watched ? READ_EVERY : READ_IDLY_EVERY
    if (this.#timer !== undefined) this.#timer = setTimeout(() => void this.#again(), pause)
  }

  async #refresh(): Promise<void> {
    for (const path of await runFolders(this.#root)) await this.#read(path)
  }

  async #read(path: string): Promise<void> {
    const id = relative(this.#root, path) || path
    const file = await stat(join(path, 'metrics.jsonl')).catch(() => undefined)
    const names = (await readdir(path).catch(() => [])).length
    const size = (file?.size ?? 0) + names
    const sent = this.#sent.get(id) ?? { size: -1, metrics: 0, alignment: 0, owner: undefined }
    const owner = await runOwner(path)
    if (sent.size === size && sent.owner === owner?.pid) return
    const run = await readRunFolder(path).catch(() => undefined)
    if (run === undefined) return
    const alignment = await readAlignment(path).catch(() => [])
    const kept = await keptIteration(path, run)
    this.#describe(id, run, owner, { kept, warnings: await readWarnings(path).catch(() => []) })
    const { metrics } = run
    const anew = metrics.length < sent.metrics
    if (anew) this.#hub.forget(id)
    const news = (lines: number) => (anew ? 0 : lines)
    this.#hub.add(id, {
      metrics: metrics.slice(news(sent.metrics)),
      alignment: alignment.slice(news(sent.alignment))
    })
    this.#sent.set(id, { size, metrics: metrics.length, alignment: alignment.length, owner: owner?.pid })
  }

  #describe(
    id: string,
    { config, finished, diverged }: StoredRun,
    owner: RunOwner | undefined,
    more: Pick<RunInfo, 'kept' | 'warnings'>
  ): void {
    const { task, seed, training, network } = config
    const ended = diverged !== undefined ? 'failed' : finished ? 'finished' : 'unfinished'
    this.#networks.set(id, network as WholeDescription)
    const { learningRate = 0 } = (training.optimiser ?? {}) as { readonly learningRate?: number | Schedule }
    this.#hub.describe({
      id,
      task,
      rule: ruleLabel(config),
      seed,
      iterations: Number(training.iterations),
      state: owner === undefined ? ended : 'running',
      ...(owner !== undefined && { process: { pid: owner.pid, host: owner.host } }),
      controllable: false,
      learningRate: rateAt(learningRate, 1),
      channels: [],
      ...measuresOf(
        training.loss as Losses | undefined,
        training.regulariser as Regulariser | null,
        network as WholeDescription
      ),
      ...more
    })
  }

  async snapshot(run: string): Promise<TrialSnapshot | undefined> {
    return (await this.#trial(run))?.captured.snapshot
  }

  async neuron(run: string, neuron: number): Promise<NeuronTrace | undefined> {
    return (await this.#trial(run))?.captured.neuron(neuron)
  }

  async channels(run: string): Promise<ChannelShares | undefined> {
    return await (await this.#trial(run))?.channels()
  }

  async #trial(run: string) {
    const kept = this.#hub.info(run)?.kept
    return kept == null ? undefined : await this.#trials.of(this.#pathOf(run), kept)
  }

  #pathOf(run: string): string {
    return run === this.#root ? run : join(this.#root, run)
  }

  graph(run: string): string | undefined {
    const network = this.#networks.get(run)
    return network === undefined ? undefined : networkGraph(network)
  }

  carryOut(): string {
    return 'runs of other processes are shown, and steered where they run (mdgl train … --live)'
  }
}

/** The iteration of the weights in a run's folder: the last ones, or those of its last checkpoint. */
async function keptIteration(path: string, { config, finished, diverged }: StoredRun): Promise<number | null> {
  if (finished) return diverged?.iteration ?? Number(config.training.iterations)
  return (await lastCheckpoint(path)) ?? null
}
