import type { NativeBatch } from '#native'
import type { Batch, BatchShape, DrawKey } from './batch.js'
import { orDefault, wholeNumber } from './check.js'
import type { NetworkDescription } from './description.js'
import { batchShape, encodeInputs } from './encode-batch.js'
import { guard, native } from './native.js'
import { encodeTargets, type Objective } from './objective.js'
import { eventStream } from './task.js'

/** A batch ready for the engine, which shares no memory with it, and the batch itself for custom losses. */
export interface EncodedBatch extends BatchShape {
  readonly batch: Batch
  /** The engine's copy; the job that computes with it uses it up. */
  readonly handle: NativeBatch
}

/** Checks a batch and, where there is an objective, its targets, and copies both for the engine. */
export function encodeBatch(
  batch: Batch,
  description: NetworkDescription,
  objective: Objective | undefined,
  key: DrawKey
): EncodedBatch {
  const shape = batchShape(batch, description, objective)
  const { trials, lengths, steps } = shape
  const uneven = lengths.some(length => length !== steps) && { lengths: Uint32Array.from(lengths) }
  const encoded = { trials, steps, ...uneven, inputs: encodeInputs(batch, description, shape), ...key }
  const targets = objective && encodeTargets(objective, batch, shape)
  return { batch, ...shape, handle: guard(() => new native.NativeBatch(encoded, targets)) }
}

/** The key of the events of a single batch. */
export function drawKey(seed: number | undefined, description: NetworkDescription): DrawKey {
  const checked = wholeNumber(orDefault(seed, description.seed ?? 1), 'options.seed')
  return { seed: checked, stream: eventStream('test'), iteration: 0 }
}
