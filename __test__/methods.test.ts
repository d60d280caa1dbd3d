import test from 'ava'
import { alif, cubaAlif, cubaLif, type NetworkDescription, network, rate, ruleNames, rules } from '../src/index.js'
import { methodsOf } from '../src/plots/methods.js'
import { latexText, parameter, sequence } from '../src/plots/methods-text.js'
import { reportTables } from '../src/plots/report-tables.js'
import type { RunConfig } from '../src/runs/run-folder.js'
import { builtInTask, TASK_NAMES } from '../src/runs/tasks.js'
import { type RunSettings, runConfig } from '../src/runs/train-run.js'

/** A run's configuration as its file has it. */
function configOf(task: RunSettings['task'], more: Partial<RunSettings> = {}): RunConfig {
  const config = runConfig({ task, rule: 'mdgl', seed: 1, precision: 'f32', ...task, ...more })
  return JSON.parse(JSON.stringify(config)) as RunConfig
}

/** The braces of a LaTeX text that are no letters of it. */
function balanced(latex: string): boolean {
  let depth = 0
  for (const [brace] of latex.replaceAll(/\\[{}]/g, '').matchAll(/[{}]/g)) {
    depth += brace === '{' ? 1 : -1
    if (depth < 0) return false
  }
  return depth === 0
}

const evidence = builtInTask('evidence-accumulation')

test('every task and every rule has methods without gaps, whose works are all in the bibliography', t => {
  const configs = [
    ...TASK_NAMES.map(name => configOf(builtInTask(name))),
    ...ruleNames.map(rule => configOf(evidence, { rule }))
  ]
  for (const config of configs) {
    const { paragraphs, latex, bibtex } = methodsOf(config, [])
    const text = paragraphs.map(paragraph => paragraph.text).join('\n')
    t.notRegex(text + latex, /undefined|\[object|NaN/, config.task)
    t.true(balanced(latex) && balanced(bibtex), config.task)
    for (const [, key = ''] of latex.matchAll(/\\citealp\{(\w+)\}/g)) t.true(bibtex.includes(`{${key},`), key)
    t.regex(text, /Gradients are /)
    t.is(latex.match(/\\begin\{align\}/g)?.length, latex.match(/\\end\{align\}/g)?.length)
  }
})

test('methods say the equations of the rule, the neurons and the optimiser in use', t => {
  const said = (config: RunConfig) => {
    const { paragraphs, latex } = methodsOf(config, [{ iteration: 7, learningRate: 0.001 }])
    return (
      paragraphs.flatMap(({ text, equations }) => [text, ...equations.map(({ plain }) => plain)]).join('\n') + latex
    )
  }
  t.regex(said(configOf(evidence, { rule: 'bptt' })), /λv_p,t = α λv_p,t\+1 \+ ψ_p,t D_p,t/)
  t.notRegex(said(configOf(evidence, { rule: 'eprop' })), /Γ_p,t/)
  t.regex(said(configOf(evidence, { rule: 'mdgl-cell' })), /g is the weight W\[p→j\] itself/)
  t.regex(said(configOf(evidence, { rule: 'nl-mdgl' })), /j over all cells of the secreting types/)
  t.regex(said(configOf(evidence, { rule: 'rflo' })), /leak alone \(Murray 2019\)/)
  t.regex(said(configOf(evidence)), /the learning rate was set to 0\.001 from iteration 7 on/)
  const optimiser = { kind: 'gradient-descent', learningRate: 0.1, clipNorm: 2, weightDecay: 0.01 } as const
  t.regex(
    said(configOf(evidence, { optimiser })),
    /gradient descent with learning rate 0\.1\. .*norm of at most 2.*Loshchilov and Hutter 2019/
  )
  t.regex(
    said(configOf(evidence, { rule: { ...rules.eprop, feedback: { random: { density: 0.5 } } } })),
    /fixed random weights B of standard deviation 1 and density 0\.5/
  )
})

test('every neuron model and every way to draw synapses has its text', t => {
  const task = (description: NetworkDescription) => ({ ...evidence, network: () => description })
  const built = network({ seed: 1 })
    .input('cues', 4)
    .population(
      'a',
      3,
      alif({
        adaptationStrength: [0, 1, 1],
        noise: { standardDeviation: 0.2, timeConstant: 5 },
        currents: [{ from: 10, to: 20, amplitude: 0.3 }]
      })
    )
    .population('b', 3, cubaLif({ synapticTimeConstant: 7 }))
    .population('c', 3, cubaAlif({}))
    .population('d', 3, rate({}))
    .readout('choice', 2)
    .project('cues', 'a', { probability: 0.5 })
    .project('a', 'b', { fixedInDegree: 2, initialise: { scheme: 'uniform', low: 0, high: 1 } })
    .project('b', 'c', { connections: { pre: [0], post: [1], values: [0.5] }, delay: 3 })
    .project('a', 'a', { density: 0.5, autapses: true, multapses: true, delay: { scheme: 'uniform', low: 1, high: 4 } })
    .project('cues', 'b', { density: 1, delay: { scheme: 'normal', mean: 2, standardDeviation: 0.5 } })
    .project('cues', 'c', { connections: { pre: [0, 1], post: [1, 1], values: [0.5, 0.5] }, delay: [2, 5] })
    .project('a', 'choice', { density: 1 })
    .build()
  const config = configOf(task(built), { rule: 'bptt' })
  const text = methodsOf(config, [])
    .paragraphs.flatMap(each => [each.text, ...each.equations.map(({ plain }) => plain)])
    .join('\n')
  for (const part of [
    'β = 0 (1 cell), 1 (2 cells)',
    'τ_s = 7 ms',
    'c_p,t = α_s c_p,t−1 + I_p,t',
    'z_p,t = max(0, v_p,t)',
    'probability 0.5',
    '2 synapses per receiver, uniform (0 to 1) initial weights',
    '1 listed synapse, delay 3 ms',
    'with autapses and several synapses per pair',
    'delay uniform (1 to 4 ms)',
    'delay normal (mean 2 ms, sd 0.5 ms)',
    'delay listed, 2 to 5 ms',
    'a: μ 0, σ 0.2, τ 5 ms',
    'a: 0.3 from 10 to 20 ms'
  ])
    t.true(text.includes(part), part)
  const { settings } = reportTables(
    { config, metrics: [], finished: false },
    [{ iteration: 3, stop: true }],
    [],
    'unfinished'
  )
  t.deepEqual(
    settings.map(({ title }) => title),
    ['Changed while it ran', 'Network', 'Projections', 'Learning rule: bptt', 'Training', 'Made with']
  )
  for (const { head, rows } of settings) for (const row of rows) t.is(row.length, head?.length ?? 2, row.join())
})

test('numbers, lists and symbols in sentences', t => {
  t.is(parameter(20, 'ms'), '20 ms')
  t.is(parameter([1, 1]), '1')
  t.is(parameter([5, 1, 2, 3, 4]), '1 to 5, one per cell')
  t.is(sequence(['a', 'b', 'c']), 'a, b and c')
  t.is(latexText('τ_out of 5 % & W_out'), '$\\tau_{\\mathrm{out}}$ of 5 \\% \\& $W_{\\mathrm{out}}$')
})
