// The package under other people's tools: test runners that give modules a realm of their own, bundlers, Yarn without node_modules.
import { cpSync, mkdirSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { COMMAND_PACKAGE, platforms, readManifest } from './platforms.mjs'
import { alone, managedBy, running, serving } from './recipes.mjs'

const YARN = 'node_modules/@yarnpkg/cli-dist/bin/yarn.js'

/** A test for Jest and Vitest, which give `test` and `expect` as globals. */
const REALM = `import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { evidenceAccumulation, MdglError, Model, train } from 'mdgl'

const failure = async body => {
  try {
    return await body()
  } catch (error) {
    return error
  }
}
// Seconds of work an iteration: an abort finds the engine at it.
const task = evidenceAccumulation({ delay: 60_000 })
const model = Model.create(task.network({ seed: 1 }))

test('an abort rejects with its reason', async () => {
  const stop = new AbortController()
  const reason = new Error('the test is over')
  const training = train(model, task, { rule: 'mdgl', batchSize: 64, signal: stop.signal })
  setTimeout(() => stop.abort(reason), 200)
  expect(await failure(() => training.next())).toBe(reason)
})

test('arrays of the library and of the test are taken', () => {
  const { values } = model.weights.get('cells->cells')
  model.weights.set('cells->cells', values)
  model.weights.set('cells->cells', Float64Array.from(values))
  const session = model.session({ rule: 'mdgl-online' })
  session.step({ cues: Uint32Array.of(0) })
  session.restore(session.state())
  session.dispose()
})

test('errors have their class and code', async () => {
  const refused = await failure(() => model.weights.set('cells->cells', [Number.NaN]))
  expect(refused).toBeInstanceOf(MdglError)
  expect(refused.code).toBe('invalid')
  expect((await failure(() => Model.load('none.safetensors'))).code).toBe('ENOENT')
})

test('files are written and read', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mdgl-realm-'))
  const file = join(folder, 'weights.safetensors')
  await model.save(file)
  const { values } = (await Model.load(file)).weights.get('cells->cells')
  expect(Array.from(values)).toEqual(Array.from(model.weights.get('cells->cells').values))
  const nowhere = join(folder, 'none', 'weights.safetensors')
  const { code, path } = await failure(() => model.save(nowhere))
  expect([code, path]).toEqual(['ENOENT', nowhere])
})
`

/** Makes a model, does `more` with it, and prints the number of its synapses. */
const program = (more = '') => `import { loadNir, Model, network, saveNir } from 'mdgl'

const net = network().input('in', 2).lif('cells', 3, { refractoryPeriod: 0 }).readout('out', 1)
const wired = net.project('in', 'cells', { density: 1 }).project('cells', 'out', { density: 1 }).build()
let model = Model.create(wired)
${more}
console.log(model.weights.get('in->cells').values.length)
`
const PRINTS = '6\n'

function expect(what, condition, output) {
  if (!condition) throw new Error(`${what}:\n${output}`)
}

const failing = promise =>
  promise.then(
    output => `ended well:\n${output}`,
    error => error.message
  )

async function underVitest(project) {
  project.write('realm.test.mjs', REALM)
  await project.run('node', ['node_modules/vitest/vitest.mjs', 'run', '--globals', '--pool=vmThreads'])
}

async function underJest(project) {
  project.write('realm.test.mjs', REALM)
  const config = {
    testMatch: ['<rootDir>/realm.test.mjs'],
    transform: {},
    moduleFileExtensions: ['mjs', 'js', 'cjs', 'json', 'node']
  }
  project.write('jest.config.json', JSON.stringify(config))
  await project.run('node', ['--experimental-vm-modules', 'node_modules/jest/bin/jest.js', '--config=jest.config.json'])
}

/** Without `external` the bundle names what is missing, in CommonJS too; with it, it works. */
async function withEsbuild(project) {
  project.write('program.mjs', program())
  project.write(
    'esbuild.mjs',
    `import { build } from 'esbuild'

for (const format of ['cjs', 'esm'])
  for (const [name, external] of [['inside', []], ['outside', ['mdgl']]])
    await build({ entryPoints: ['program.mjs'], bundle: true, platform: 'node', logLevel: 'error', format, external,
      outfile: \`esbuild/\${format}-\${name}.\${format === 'cjs' ? 'cjs' : 'mjs'}\` })
`
  )
  await project.run('node', ['esbuild.mjs'])
  for (const file of ['cjs-inside.cjs', 'esm-inside.mjs'])
    await saysExternal(project, `esbuild/${file}`, "external: ['mdgl']")
  for (const file of ['cjs-outside.cjs', 'esm-outside.mjs']) await works(project, `esbuild/${file}`)
}

async function saysExternal(project, file, advice) {
  const output = await failing(project.run('node', [file]))
  expect(`${file} should name ${advice} and no Rust`, output.includes(advice) && !output.includes('Rust'), output)
}

async function works(project, file) {
  const output = await project.run('node', [file])
  expect(`${file} should print ${PRINTS.trim()}`, output === PRINTS, output)
}

/** Without `externals` it emits what it takes in and no more, and the bundle says what is missing. */
async function withWebpack(project) {
  project.write('program.mjs', program())
  project.write(
    'webpack.mjs',
    `import { resolve } from 'node:path'
import webpack from 'webpack'

for (const [name, externals] of [['inside', {}], ['outside', { mdgl: 'commonjs mdgl' }]])
  await new Promise((done, fail) =>
    webpack({ mode: 'none', devtool: false, target: 'node20', entry: './program.mjs', externals,
      output: { path: resolve('webpack', name), filename: 'main.cjs' } }, (error, stats) =>
      error || stats.hasErrors() ? fail(error ?? new Error(stats.toString({ all: false, errors: true }))) : done()))
`
  )
  await project.run('node', ['webpack.mjs'])
  const files = readdirSync(join(project.folder, 'webpack/inside'))
  expect('webpack should emit a few files', files.length < 10, files.join('\n'))
  await saysExternal(project, 'webpack/inside/main.cjs', "externals: { mdgl: 'commonjs mdgl' }")
  await works(project, 'webpack/outside/main.cjs')
}

/** What Vercel and Nitro copy: the engine, and the thread that reads HDF5. */
async function tracedByNft(project) {
  project.write('program.mjs', program("await saveNir(model, 'model.nir')\nawait loadNir('model.nir')"))
  project.write(
    'nft.mjs',
    `import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { nodeFileTrace } from '@vercel/nft'

const { fileList } = await nodeFileTrace(['program.mjs'])
for (const file of fileList) cpSync(file, join('../traced', file))
console.log([...fileList].join('\\n'))
`
  )
  const traced = await project.run('node', ['nft.mjs'])
  expect('nft should find the engine', /mdgl-[a-z0-9-]+[\\/]mdgl\.[a-z0-9-]+\.node$/m.test(traced), traced)
  await works(project, join(project.root, 'traced/program.mjs'))
}

/** Without node_modules: packages stay in archives, and `node:fs` is Yarn's. */
async function underYarn(project, tarballs) {
  const folder = join(project.root, 'yarn')
  mkdirSync(folder)
  for (const path of tarballs) cpSync(path, join(folder, basename(path)))
  const [library, engine, command] = tarballs.map(path => `file:./${basename(path)}`)
  const dependencies = { [readManifest().name]: library, [COMMAND_PACKAGE]: command }
  // The packages are in no registry yet.
  const engines = platforms().map(each => [each.package, engine])
  const resolutions = { ...dependencies, ...Object.fromEntries(engines) }
  const write = (name, text) => project.write(join('../yarn', name), text)
  write('package.json', JSON.stringify({ name: 'yarns', private: true, dependencies, resolutions }))
  write('yarn.lock', '')
  write(
    '.yarnrc.yml',
    'nodeLinker: pnp\nenableTelemetry: false\nenableImmutableInstalls: false\nenableGlobalCache: false\n'
  )
  write('program.mjs', program("await model.save('a.safetensors')\nmodel = await Model.load('a.safetensors')"))
  const yarn = (...args) => project.run('node', [join(project.folder, YARN), ...args], { cwd: folder })
  await yarn('install')
  expect(
    'there should be no node_modules',
    !readdirSync(folder).includes('node_modules'),
    readdirSync(folder).join('\n')
  )
  const output = await yarn('node', 'program.mjs')
  expect('a model should be saved and loaded', output.endsWith(PRINTS), output)
  await yarn('mdgl', 'train', 'evidence-accumulation', '--iterations', '2', '--out', 'run')
  const kept = readdirSync(join(folder, 'run'))
  expect('a run should have its weights', kept.includes('weights.safetensors'), kept.join('\n'))
}

/** Each: its name, its package if it needs one, and what tries it in a project that has it and mdgl. */
export const QUICK_TOOLS = [
  ['Vitest, in a realm of its own', 'vitest@4', underVitest],
  ['esbuild, to ESM and CommonJS', 'esbuild@0.28', withEsbuild],
  ['webpack', 'webpack@5', withWebpack],
  ['@vercel/nft', '@vercel/nft@1', tracedByNft]
]

/** The same, of those that take long to install, and the recipes of the guide: a part of `npm run soak`, under Linux. */
export const SLOW_TOOLS = [
  ['Jest, ESM', 'jest@30', underJest],
  ["Yarn, Plug'n'Play", '@yarnpkg/cli-dist@4', underYarn],
  ['Recipe: Express', 'express@5', serving('Express')],
  ['Recipe: Fastify', 'fastify@5', serving('Fastify')],
  ['Recipe: worker threads', undefined, running('Worker threads')],
  ['Recipe: node --test', undefined, running('node --test')],
  ['Recipe: Jest', 'jest@30', running('Jest')],
  ['Recipe: Vitest, all pools', 'vitest@4', running('Vitest', 'Jest')],
  ['Recipe: esbuild', 'esbuild@0.28', running('esbuild')],
  ['Recipe: Rollup', 'rollup@4', running('Rollup')],
  ['Recipe: webpack', 'webpack@5', running('webpack')],
  ['Recipe: Vite, server-side rendering', 'vite@7', running('Vite, server-side rendering')],
  [
    'Recipe: Next, standalone output',
    undefined,
    alone('Next, standalone output', ['next@15', 'react@19', 'react-dom@19'])
  ],
  ['Recipe: Node SEA', 'postject@1.0.0-alpha.6', running('A single executable (Node SEA)')],
  ['Recipe: Bun', 'bun@1', running('Bun')],
  ['Recipe: Deno', 'deno@2', running('Deno')],
  ['Recipe: npm', undefined, managedBy('npm')],
  ['Recipe: pnpm', 'pnpm@10', managedBy('pnpm')],
  ['Recipe: yarn 1', 'yarn@1', managedBy('yarn 1')],
  ["Recipe: yarn 4, Plug'n'Play", '@yarnpkg/cli-dist@4', managedBy("yarn 4, Plug'n'Play")],
  ['Recipe: yarn 4, node_modules', '@yarnpkg/cli-dist@4', managedBy('yarn 4, node_modules')]
]
