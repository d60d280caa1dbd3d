import type { CustomScore, PendingBatch } from '#native'
import { askCustomLosses, type Objective } from '../task/objective.js'
import type { EncodedBatch } from './encode-batch.js'
import type { Session } from './engine-session.js'

/** What custom losses say of a batch, and the batch itself, which waits for it in the engine. */
export interface LossAnswer {
  readonly pending: PendingBatch
  readonly score: CustomScore
}

/** Simulates a batch and asks the custom losses about its readouts. */
export async function askLoss(
  session: Session,
  objective: Objective,
  { batch, trials, steps, handle }: EncodedBatch
): Promise<LossAnswer> {
  const { pending, readout } = await session.run(engine => engine.forward(handle))
  return { pending, score: askCustomLosses(objective, batch, readout, trials, steps) }
}
