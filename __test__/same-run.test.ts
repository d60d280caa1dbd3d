import { execFile } from 'node:child_process'
import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import { final } from '../src/compare/curve.js'
import { importedFiles } from '../src/runs/imported-files.js'
import { provenanceOf } from '../src/runs/provenance.js'
import { mdgl, temporaryFolder } from './helpers/cli.js'

const LIBRARY = JSON.stringify(new URL('../dist/index.js', import.meta.url).href)
const SHORT = ['--iterations', '4', '--batch-size', '2', '--validate-every', '2', '--threads', '1']

/** A task's file that takes a number from a file beside it, through another. */
async function taskIn(t: ExecutionContext, more = '') {
  const folder = await temporaryFolder(t)
  const [task, helper] = [join(folder, 'task.mjs'), join(folder, 'lib', 'helper.mjs')]
  await mkdir(join(folder, 'lib'))
  await writeFile(
    task,
    `import { evidenceAccumulation } from ${LIBRARY}
import { delay } from './lib/helper.mjs'
${more}
export default { ...evidenceAccumulation({ delay: delay() }), name: 'mine' }`
  )
  await writeFile(
    helper,
    `import numbers from './numbers.json' with { type: 'json' }\nexport const delay = () => numbers.delay`
  )
  await writeFile(join(folder, 'lib', 'numbers.json'), '{"delay": 200}')
  return { folder, task, helper, run: join(folder, 'run') }
}

test('repeat says that the weights are the same; where an imported file has changed it fails and names it', async t => {
  const { folder, task, helper, run } = await taskIn(t)
  t.is((await mdgl('train', task, ...SHORT, '--out', run)).code, 0)
  const { taskFile, provenance } = JSON.parse(await readFile(join(run, 'config.json'), 'utf8'))
  t.deepEqual(
    taskFile.imports.map(({ path }: { path: string }) => path),
    ['lib/helper.mjs', 'lib/numbers.json']
  )
  t.regex(provenance.date, /^\d{4}-\d\d-\d\dT/)
  t.true(provenance.processor.length > 0 && provenance.instructionSet.length > 0)
  const same = await mdgl('repeat', run, '--out', join(folder, 'same'))
  t.is(same.code, 0, same.stderr)
  t.true(same.stdout.includes(`The weights are those of ${run}, bit for bit.`))
  t.regex((await mdgl('show', run)).stdout, /begun +\d{4}-/)

  await appendFile(helper, '\n// changed')
  const changed = await mdgl('repeat', run, '--out', join(folder, 'changed'))
  t.is(changed.code, 1)
  t.regex(changed.stderr, /its task file's import lib\/helper\.mjs changed/)
})

test('repeat fails where the weights come out otherwise, or where their recorded checksum is another', async t => {
  const { folder, task, run } = await taskIn(t, `const extra = Number(process.env.MDGL_TEST_EXTRA ?? '0')`)
  const source = await readFile(task, 'utf8')
  await writeFile(task, source.replace('delay: delay()', 'delay: delay() + extra'))
  t.is((await mdgl('train', task, ...SHORT, '--out', run)).code, 0)
  process.env.MDGL_TEST_EXTRA = '100'
  const { code, stderr } = await mdgl('repeat', run, '--out', join(folder, 'again'))
  delete process.env.MDGL_TEST_EXTRA
  t.is(code, 1)
  t.regex(stderr, /the weights in .*again differ from those recorded of .*run: /)
  const finished = join(run, 'finished.json')
  const { weights, date } = JSON.parse(await readFile(finished, 'utf8'))
  t.regex(weights, /^[\da-f]{64}$/)
  t.regex(date, /^\d{4}-/)
  await writeFile(finished, JSON.stringify({ weights: weights.replaceAll(/\d/g, '0') }))
  t.is((await mdgl('repeat', run, '--out', join(folder, 'third'))).code, 1)
})

test('imports are followed through files, by the names that TypeScript has for them, and end in a circle', async t => {
  const folder = await temporaryFolder(t)
  const write = (name: string, text: string) => writeFile(join(folder, name), text)
  await write(
    'a.ts',
    `import type { B } from './b.js'\nimport 'mdgl'\nconst late = () => import('./c.mjs')\nnew URL('./data.npz', import.meta.url)`
  )
  await write('b.ts', `export * from './a.js'`)
  await write('c.mjs', `import '../nowhere.js'`)
  await write('data.npz', 'numbers')
  t.deepEqual(
    (await importedFiles(join(folder, 'a.ts'))).map(({ path }) => path),
    ['b.ts', 'c.mjs', 'data.npz']
  )
})

test('the commit of a repository is recorded, and whether its files have changed', async t => {
  const folder = await temporaryFolder(t)
  t.is((await provenanceOf(folder)).commit, null)
  const git = (...args: string[]) =>
    promisify(execFile)('git', ['-C', folder, '-c', 'user.name=t', '-c', 'user.email=t@t', ...args])
  await git('init')
  await writeFile(join(folder, 'a'), '1')
  await git('add', 'a')
  await git('commit', '-m', 'one')
  const { commit, changed } = await provenanceOf(folder)
  t.regex(commit ?? '', /^[\da-f]{40}$/)
  t.false(changed)
  await writeFile(join(folder, 'a'), '2')
  t.true((await provenanceOf(folder)).changed)
})

test('the end of a run is its last tenth, at least ten validations; or as many iterations as are asked for', t => {
  const curve = (every: number, count: number) => {
    const iterations = Array.from({ length: count }, (_, i) => every * (i + 1))
    return { iterations, loss: iterations.map(Number), accuracy: iterations.map(() => 1) }
  }
  // 2000 iterations: the last 200, as published.
  t.is(final(curve(10, 200)).loss, final(curve(10, 200), 200).loss)
  t.is(final(curve(10, 200)).loss, (1810 + 2000) / 2)
  // 250 iterations: ten validations, not the last 200 iterations.
  t.is(final(curve(10, 25)).loss, (160 + 250) / 2)
  t.is(final(curve(10, 25), 200).loss, (60 + 250) / 2)
  t.is(final(curve(10, 4)).loss, 25)
  t.is(final(curve(1, 300)).median, (271 + 300) / 2)
})
