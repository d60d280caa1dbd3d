import { readdirSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { readFixture } from '../src/verify/fixture.js'
import { verifyFixture } from '../src/verify/verify.js'
import { jsonLines, mdgl, temporaryFolder } from './helpers/cli.js'

const FOLDER = fileURLToPath(new URL('./fixtures/gradients/', import.meta.url))
const FILES = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.json'))
const SMALL = join(FOLDER, 'reference', 'tiny-last-step.json')

test('there are fixtures, the five reference files among them', t => {
  t.true(FILES.length > 5)
  t.is(FILES.filter(name => name.startsWith('reference')).length, 5)
})

for (const name of FILES) {
  test(`${name} verifies for every rule and precision`, async t => {
    const rows = await verifyFixture(await readFixture(join(FOLDER, name)))
    t.is(rows.length, 12)
    for (const row of rows) t.true(row.passed, JSON.stringify(row))
  })
}

test('the command prints a row for each rule and precision', async t => {
  const { code, stdout, stderr } = await mdgl('verify', SMALL)
  t.is(code, 0, stderr)
  for (const rule of ['bptt', 'eprop', 'mdgl-cell', 'mdgl', 'nl-mdgl', 'on-mdgl']) {
    t.regex(stdout, new RegExp(`^  ${rule} +f64 +equal .* ok$`, 'm'))
    t.regex(stdout, new RegExp(`^  ${rule} +f32 +equal .* ok$`, 'm'))
  }
})

test('--json prints a line for each rule and precision', async t => {
  const { code, stdout } = await mdgl('verify', '--json', SMALL)
  t.is(code, 0)
  const lines = jsonLines(stdout)
  t.is(lines.length, 12)
  for (const line of lines) {
    t.is(line.file, SMALL)
    t.is(line.spikes, true)
    t.is(line.passed, true)
    t.deepEqual(Object.keys(line.errors as object), ['loss', 'y_last', 'W_in', 'W_rec', 'W_out', 'b_out'])
  }
})

type Path = readonly (string | number)[]

/** What stands at a path of untyped JSON. */
function get<T>(from: unknown, ...path: Path): T {
  return path.reduce<unknown>((value, key) => (value as Record<string | number, unknown>)[key], from) as T
}

/** Puts a value there; `undefined` leaves the field out. */
function set(into: unknown, path: Path, value: unknown): void {
  const last = path.at(-1) ?? ''
  get<Record<string | number, unknown>>(into, ...path.slice(0, -1))[last] = value
}

/** A copy of a fixture with something changed. */
async function changed(t: ExecutionContext, change: (fixture: unknown) => void): Promise<string> {
  const fixture: unknown = JSON.parse(await readFile(SMALL, 'utf8'))
  change(fixture)
  const path = join(await temporaryFolder(t), 'changed.json')
  await writeFile(path, JSON.stringify(fixture))
  return path
}

/** Where a matrix of the fixture has a synapse. */
function synapses(fixture: unknown, name: string): [pre: number, post: number][] {
  const rows = get<number[][]>(fixture, 'weights', name)
  return rows.flatMap((row, pre) =>
    row.flatMap((weight, post) => (weight === 0 ? [] : [[pre, post] as [number, number]]))
  )
}

for (const name of ['W_in', 'W_rec', 'W_out'] as const) {
  test(`one wrong gradient fails ${name} of that rule alone, and the exit code is 1`, async t => {
    const path = await changed(t, fixture => {
      const place = ['gradients', 'mdgl', name, ...(synapses(fixture, name)[0] ?? [])]
      set(fixture, place, get<number>(fixture, ...place) * 1.01 + 1)
    })
    const { code, stdout, stderr } = await mdgl('verify', '--json', path)
    t.is(code, 1)
    t.regex(stderr, /1 of 1 files did not verify/)
    for (const { rule, passed, errors } of jsonLines(stdout)) {
      t.is(passed, rule !== 'mdgl')
      for (const [matrix, error] of Object.entries(errors as Record<string, number>)) {
        t.is(error > 1e-3, rule === 'mdgl' && matrix === name, `${rule} ${matrix}`)
      }
    }
  })
}

test('one spike too many fails every row', async t => {
  const path = await changed(t, fixture => {
    const spikes = get<number[][]>(fixture, 'spikes')
    const taken = spikes.some(spike => spike.join() === '0,0,0')
    spikes.push([0, 0, taken ? 1 : 0])
  })
  const { code, stdout } = await mdgl('verify', path)
  t.is(code, 1)
  t.is(stdout.match(/DIFFER .* FAILED$/gm)?.length, 12)
})

test('a wrong loss fails', async t => {
  const path = await changed(t, fixture => set(fixture, ['loss', 'task'], 1.5))
  t.is((await mdgl('verify', path)).code, 1)
})

test('a wrong total and a wrong readout fail', async t => {
  const total = await changed(t, fixture => set(fixture, ['loss', 'total'], 1.5))
  const readout = await changed(t, fixture => set(fixture, ['y_last', 1, 0], 0.5))
  for (const path of [total, readout]) t.is((await mdgl('verify', path)).code, 1)
})

test('a file without total and readout verifies', async t => {
  const path = await changed(t, fixture => {
    set(fixture, ['loss', 'total'], undefined)
    set(fixture, ['y_last'], undefined)
  })
  const { code, stdout } = await mdgl('verify', path)
  t.is(code, 0)
  t.regex(stdout, /^ {2}mdgl +f64 +equal +\S+ +– .* ok$/m)
})

test('--json writes an infinite error as text', async t => {
  const path = await changed(t, fixture => set(fixture, ['loss', 'task'], 0))
  const { stdout } = await mdgl('verify', '--json', path)
  for (const { errors } of jsonLines(stdout)) t.is(get(errors, 'loss'), 'Infinity')
})

for (const [what, path, value, says] of [
  ['another schema', ['schema'], 'mdgl-gradient-fixture/9', /has schema "mdgl-gradient-fixture\/9"/],
  ['no schema', ['schema'], undefined, /has schema none/],
  ['a matrix too short', ['weights', 'W_rec'], [[0]], /weights\.W_rec has 1 entries; expected 8/],
  ['a text for a weight', ['weights', 'W_in', 2, 1], 'x', /weights\.W_in\[2\]\[1\] is 'x'; expected a number/],
  ['an event after the end', ['inputs', 0, 1], 40, /inputs\[0\]\[1\] is 40; expected .* below 40/],
  ['an unknown rule', ['gradients', 'magic'], {}, /gradients\.magic is no rule/],
  ['no gradient', ['gradients'], {}, /gradients is empty/],
  ['an autapse', ['weights', 'W_rec', 3, 3], 0.1, /a neuron cannot project to itself/],
  ['a negative time constant', ['config', 'tau_m'], -20, /tau_m|membraneTimeConstant/],
  ['a missing field', ['config', 'tau_m'], undefined, /config\.tau_m is missing/]
] as const) {
  test(`a file with ${what} is one clear line and exit code 1`, async t => {
    const file = await changed(t, fixture => set(fixture, path, value))
    const { code, stdout, stderr } = await mdgl('verify', file)
    t.is(code, 1)
    t.is(stdout, '')
    t.regex(stderr, says)
    t.notRegex(stderr, /^ {4}at /m)
  })
}

test('files that are missing or no JSON are named, and the others are still verified', async t => {
  const folder = await temporaryFolder(t)
  const broken = join(folder, 'broken.json')
  await writeFile(broken, '{"schema": "mdgl-gra')
  const { code, stdout, stderr } = await mdgl('verify', '--json', join(folder, 'none.json'), broken, SMALL)
  t.is(code, 1)
  t.is(jsonLines(stdout).length, 12)
  t.regex(stderr, /none\.json: there is no such file\n/)
  t.regex(stderr, /broken\.json: is not JSON\n/)
  t.regex(stderr, /2 of 3 files did not verify/)
})

test('listed gradients (gradient_index) are compared where they are listed', async t => {
  const path = await changed(t, fixture => {
    const names = ['W_in', 'W_rec'] as const
    for (const gradients of Object.values(get<Record<string, unknown>>(fixture, 'gradients'))) {
      for (const name of names) {
        const list = synapses(fixture, name).map(pair => get<number>(gradients, name, ...pair))
        set(gradients, [name], list)
      }
    }
    set(fixture, ['gradient_index'], Object.fromEntries(names.map(name => [name, synapses(fixture, name)])))
  })
  const { code, stdout } = await mdgl('verify', path)
  t.is(code, 0, stdout)
})
