// Rules beyond the paper, each at its own best learning rate on Fig. 3C, and on the other tasks.

const RULES = [
  { series: 'e-prop', rule: 'eprop' },
  { series: 'MDGL', rule: 'mdgl' },
  { series: 'membrane kernel', rule: 'mdgl-membrane' },
  { series: 'strong synapses', rule: 'mdgl-above' },
  { series: 'two hops', rule: 'mdgl-membrane-2' },
  { series: 'three hops', rule: 'mdgl-membrane-3' }
]

/** The rules that the other tables do not have. */
const NEW = RULES.slice(3)

/** Each task, on as many seeds as its time allows. */
const TASKS = [
  { task: 'pattern-generation', seeds: [1, 2, 3, 4, 5] },
  { task: 'pattern-generation-lif400', seeds: [1, 2, 3, 4, 5] },
  { task: 'delayed-match', seeds: [1, 2, 3, 4, 5] },
  { task: 'sequential-digits', seeds: [1, 2, 3, 4, 5], test: 360 },
  { task: 'delayed-xor', seeds: [1, 2, 3, 4, 5] },
  { task: 'delayed-match-hard', seeds: [1, 2, 3] }
]

export default {
  name: 'family',
  title: 'The family at its best learning rates',
  about:
    'Fig. 3C: each rule at the best of three learning rates, the same three for all, by the mean final loss on seeds 11 to 13; the rows are seeds 1 to 10 at that rate. The cosines are those of the recurrent weights.',
  tasks: ['evidence-accumulation'],
  minutes: 45,
  seeds: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
  chooseOn: [11, 12, 13],
  columns: ['accuracy', 'early', 'late'],
  conditions: RULES.map(({ series, rule }) => ({
    id: rule,
    label: rule,
    series,
    task: 'evidence-accumulation',
    rule,
    learningRates: [0.00125, 0.0025, 0.005]
  }))
}

/** The new rules on the other tasks, at the tasks' own learning rates. */
export const onOtherTasks = {
  name: 'family-tasks',
  title: 'The additions on the other tasks',
  about:
    "The rules that the tables above do not have, with each task's own optimiser: five seeds, three of the hard delayed match. The kernel 'membrane' is not defined for rate units, so delayed XOR on rate units has no row.",
  tasks: TASKS.map(({ task }) => task),
  minutes: 90,
  seeds: [1, 2, 3, 4, 5],
  columns: ['accuracy', 'test', 'early', 'late'],
  conditions: TASKS.flatMap(({ task, seeds, test }) =>
    NEW.map(({ series, rule }) => ({ id: `${task}-${rule}`, label: task, series, task, rule, seeds, test }))
  )
}
