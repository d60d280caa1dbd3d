// The package's declarations before other compilers than the repository's own, from the oldest that is supported to the newest.

/** Each with the resolutions of modules that it knows; `node10` ended with TypeScript 6. */
const COMPILERS = [
  ['5.2', ['nodenext', 'bundler', 'node10']],
  ['5.4', ['nodenext', 'bundler', 'node10']],
  ['5.6', ['nodenext', 'bundler', 'node10']],
  ['latest', ['nodenext', 'bundler']]
]

/** With each resolution the kind of module that is compiled. The package is ESM: with `nodenext` so is what imports it. */
const MODULES = {
  nodenext: { module: 'nodenext', file: 'compilers.mts' },
  bundler: { module: 'esnext', file: 'compilers.ts' },
  node10: { module: 'commonjs', file: 'compilers.ts' }
}

/** Where the global types come from that declarations name (`AbortSignal`, `URL`): of Node, or of the browser. */
const GLOBALS = { 'types of Node': { lib: ['es2022'], types: ['node'] }, DOM: { lib: ['es2022', 'dom'], types: [] } }

/** A bit of everything whose types are more than a list of options. */
const PROGRAM = `import { type AnyNetworkBuilder, evaluate, evidenceAccumulation, gradients, makeBatch, Model, network, train, type Training } from 'mdgl'

const description = network({ seed: 1 })
  .input('cues', 40)
  .lif('cells', 100)
  .readout('choice', 2)
  .project('cues', 'cells', { density: 0.1 })
  .build()
let builder: AnyNetworkBuilder = network()
for (const name of ['a', 'b']) builder = builder.lif(name, 2)
// @ts-expect-error a misspelt population: what resolves to \`any\` would let it pass
network().lif('cells', 2).project('cell', 'cells', { density: 1 })

export async function run(signal: AbortSignal): Promise<number> {
  const task = evidenceAccumulation()
  const model = Model.create(description, { precision: 'f64' })
  const training: Training = train(model, task, { rule: 'mdgl', iterations: 3, signal })
  let last = 0
  for await (const metrics of training) last = metrics.loss
  const values: Float64Array = model.weights.get('cues->cells').values
  using session = model.session({ rule: 'mdgl-online' })
  session.step({ cues: Uint32Array.of(1) })
  const batch = await makeBatch(task, { split: 'test', size: 4, seed: 1 })
  const { loss } = await evaluate(model, batch, { loss: task.loss })
  // @ts-expect-error a misspelt readout
  await gradients(model, batch, { rule: 'mdgl', loss: { chioce: { kind: 'cross-entropy' } } })
  return last + loss + values.length
}
`

const alias = version => `typescript-${version}`

/**
 * Compiles a program against the installed package, declarations checked too, with each compiler, resolution and source of
 * global types. Resolves to how many ways there were; rejects with what a compiler says.
 */
export async function tryCompilers(project) {
  const compilers = COMPILERS.map(([version]) => `${alias(version)}@npm:typescript@${version}`)
  await project.run('npm', ['install', '--save-dev', ...compilers, '--no-audit', '--no-fund', '--loglevel=error'])
  for (const { file } of Object.values(MODULES)) project.write(file, PROGRAM)
  let ways = 0
  for (const [version, resolutions] of COMPILERS) {
    for (const moduleResolution of resolutions) {
      for (const globals of Object.values(GLOBALS)) {
        const { module, file } = MODULES[moduleResolution]
        const how = { module, moduleResolution, target: 'es2022', ...globals }
        const compilerOptions = { ...how, strict: true, skipLibCheck: false, noEmit: true }
        project.write('compilers.json', JSON.stringify({ compilerOptions, files: [file] }))
        await project.run('node', [`node_modules/${alias(version)}/bin/tsc`, '--project', 'compilers.json'])
        ways += 1
      }
    }
  }
  return ways
}
