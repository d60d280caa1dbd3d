import type { RecordedPart as NativePart, PlainValue } from '#native'
import { askEngine } from '../addon/ask-engine.js'
import { type Model, nativeModel } from '../model/model.js'
import type { RecordingShape } from '../network/recording-shape.js'
import { invalid } from '../support/error.js'
import { plainCopy, plainText } from '../support/plain.js'
import { placesOf, type TensorLayout } from '../support/tensor.js'
import type { ChosenRecording } from './chosen-recording.js'

type ChoosingKey = 'record' | 'layout' | 'voltage' | 'inputs' | 'rule'

/** A copy of the options that choose units, which the engine has checked. */
export function chosenUnits(
  { record, layout, voltage, inputs, rule }: { readonly [Key in ChoosingKey]?: unknown },
  model: Model
): PlainValue {
  for (const [name, value] of Object.entries({ voltage, inputs })) {
    if (value !== undefined) throw invalid(`options.${name}`, value, 'nothing with options.record')
  }
  const options = plainCopy({ record, layout })
  const text = plainText(options)
  askEngine({ options }, () => nativeModel(model).checkRecording(text, rule !== undefined))
  return text
}

/** The engine's parts by name, as tensors. */
export function recordedParts(
  parts: readonly NativePart[],
  { trials, steps }: RecordingShape,
  layout: TensorLayout
): ChosenRecording['recorded'] {
  const entries = parts.map(({ name, units, variables }) => {
    const { shape } = placesOf(layout, trials, steps, units.length)
    const tensors = variables.map(({ name, values }) => [name, { data: values, shape, layout }] as const)
    return [name, { units, ...Object.fromEntries(tensors) }] as const
  })
  return Object.fromEntries(entries) as unknown as ChosenRecording['recorded']
}
