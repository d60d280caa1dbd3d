// Why does MDGL lose to e-prop on sequential digits? One thing changed at a time, for both rules.

const TASK = 'sequential-digits'

/** MDGL whose gains are all multiplied by a factor. */
const scaled =
  (factor, only = () => true) =>
  ({ types, populations }) => {
    const names = (types ?? populations).map(({ name }) => name)
    return {
      estimator: 'backward',
      feedback: 'symmetric',
      channels: names.flatMap(from =>
        names
          .filter(to => only(from, to))
          .map(to => ({
            name: `${from} to ${to}`,
            from,
            to,
            gain: 'mean-weight',
            reach: 'synaptic',
            kernel: 'none',
            factor
          }))
      ),
      hops: 1,
      recurrentDerivative: 'psi',
      readoutFilter: 'exact',
      trace: 'mdgl2021'
    }
  }

const run = (id, label, series, rule, more = {}) => ({ id, label, series, task: TASK, rule, test: 360, ...more })

/** The same change for e-prop and MDGL. */
const both = (id, label, more) => [
  run(`eprop-${id}`, label, 'e-prop', 'eprop', more),
  run(`mdgl-${id}`, label, 'MDGL', 'mdgl', more)
]

export default {
  name: 'sequential-digits-why',
  title: 'Why does MDGL lose to e-prop on sequential digits?',
  about:
    "The task's own setting, then one thing changed at a time: the true weights in place of the types' means, weaker and reversed modulation, single ligands, a lower learning rate, larger batches with the same number of trials, and no rewiring and l1.",
  tasks: [TASK],
  minutes: 60,
  seeds: [1, 2, 3, 4, 5],
  columns: ['accuracy', 'test', 'early', 'late', 'ownAgreement'],
  conditions: [
    ...both('own', 'as it is', {}),
    run('mdgl-cell', 'true weights', 'MDGL', 'mdgl-cell'),
    run('bptt', 'exact gradient', 'BPTT', 'bptt'),
    ...[0.1, 0.3, -0.3].map(factor => run(`factor-${factor}`, `gains × ${factor}`, 'MDGL', scaled(factor))),
    ...['excitatory', 'inhibitory'].map(ligand =>
      run(
        `only-${ligand}`,
        `${ligand} cells' ligand alone`,
        'MDGL',
        scaled(1, from => from === ligand)
      )
    ),
    ...both('half', 'half the learning rate', { learningRateFactor: 0.5 }),
    ...both('quarter', 'a quarter of the learning rate', { learningRateFactor: 0.25 }),
    ...both('large', 'batches four times as large', { batchFactor: 4 }),
    ...both('plain', 'no rewiring, no l1', { optimiser: { l1: 0, rewiring: false } })
  ]
}
