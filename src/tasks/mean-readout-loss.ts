import type { CustomLoss, CustomLossResult, ReadoutTrace } from '../task/batch.js'

/**
 * Softmax cross-entropy of the readout's mean over the last steps, once per trial: E = −log softmax(ȳ)[target], ȳ = 1/w Σ_t y_t, so that
 * ∂E/∂y_k,t = (softmax(ȳ)_k − [k is the target])/w in each of these steps. A cross-entropy with a window averages the losses of steps, not
 * their readouts. A trial is right where ȳ is highest for its class.
 */
export function meanReadoutLoss(window: number): CustomLoss {
  return Object.freeze({
    kind: 'custom',
    evaluate: (readout, { targets }) => evaluate(readout, targets as Uint32Array, window)
  } satisfies CustomLoss)
}

function evaluate(
  { values, trials, steps, units }: ReadoutTrace,
  classes: Uint32Array,
  window: number
): CustomLossResult {
  const delta = new Float64Array(values.length)
  const mean = new Float64Array(units)
  let loss = 0
  let right = 0
  for (let trial = 0; trial < trials; trial++) {
    const first = (trial * steps + steps - window) * units
    const end = (trial + 1) * steps * units
    mean.fill(0)
    for (let at = first; at < end; at++) {
      const unit = (at - first) % units
      mean[unit] = (mean[unit] ?? 0) + (values[at] ?? 0) / window
    }
    const target = classes[trial] ?? 0
    const highest = Math.max(...mean)
    const sum = mean.reduce((total, value) => total + Math.exp(value - highest), 0)
    loss += (Math.log(sum) + highest - (mean[target] ?? 0)) / trials
    if (mean.indexOf(highest) === target) right += 1
    for (let at = first; at < end; at++) {
      const unit = (at - first) % units
      const probability = Math.exp((mean[unit] ?? 0) - highest) / sum
      delta[at] = (probability - (unit === target ? 1 : 0)) / (window * trials)
    }
  }
  return { loss, delta, accuracy: right / trials }
}
