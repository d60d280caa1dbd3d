// Is a rule's gradient wrong on average (bias), or only noisy (variance)? Larger batches with the same number of trials, each rule at its best
// learning rate.

const RULES = ['eprop', 'mdgl', 'mdgl-membrane', 'mdgl-membrane-2', 'mdgl-membrane-3', 'bptt']

/** The same 128 000 trials in fewer and larger batches. */
const BATCHES = [
  { batchSize: 64, iterations: 2000 },
  { batchSize: 256, iterations: 500 },
  { batchSize: 1024, iterations: 125 }
]

export default {
  name: 'bias-or-variance',
  title: 'Bias or variance?',
  about:
    "Fig. 3C with batches of 64, 256 and 1024 and the same number of trials. Each rule and batch size has the best of three learning rates, the same three for all, by the mean final loss on seeds 11 to 13; the rows are seeds 1 to 10 at that rate. Cosines are of the recurrent weights' gradient after a quarter of the training, over eight batches of that size: of the rule's mean to BPTT's mean (bias), of single batches, where rule and BPTT share the batch's noise or do not, and of batches with each other (variance).",
  tasks: ['evidence-accumulation'],
  minutes: 90,
  seeds: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
  chooseOn: [11, 12, 13],
  columns: ['accuracy', 'early', 'sameBatch', 'otherBatch', 'ownAgreement', 'bpttAgreement'],
  conditions: RULES.flatMap(rule =>
    BATCHES.map(({ batchSize, iterations }) => ({
      id: `${rule}-${batchSize}`,
      label: `batches of ${batchSize}`,
      series: rule,
      task: 'evidence-accumulation',
      rule,
      batchSize,
      iterations,
      learningRates: [0.0025, 0.005, 0.01]
    }))
  )
}
