import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import type { Page } from 'playwright-core'
import { analogueInputs } from '../src/analysis/analogue-inputs.js'
import { cellSigns } from '../src/analysis/cell-signs.js'
import { weightsSnapshot } from '../src/analysis/weights-snapshot.js'
import { refuseReading } from '../src/dashboard/guard.js'
import { measuresOf } from '../src/dashboard/measures.js'
import { smooth } from '../src/dashboard/page/spread.js'
import { expandRule, Model, network } from '../src/index.js'
import { cellColours } from '../src/plots/colours.js'
import { accessible, browserFor, openPage } from './helpers/browser.js'
import { mdgl, startMdgl, temporaryFolder } from './helpers/cli.js'

const SHORT = ['--batch-size', '4', '--iterations', '6', '--validate-every', '2', '--threads', '1']

/** A dashboard of a folder, and the address that it prints. */
async function dashboardOf(t: ExecutionContext, root: string): Promise<string> {
  const dashboard = startMdgl(['dashboard', root, '--port', '0'])
  t.teardown(() => dashboard.kill('SIGKILL'))
  for (let i = 0; i < 600; i++) {
    const [, url] = /shown at (http:\/\/127\.0\.0\.1:\d+\/)/.exec(dashboard.stdout()) ?? []
    if (url !== undefined) return url
    await setTimeout(50)
  }
  throw new Error(`no address: ${dashboard.stderr()}`)
}

/** Runs of two rules, one of another length, as a folder of them has them. */
async function runsIn(root: string): Promise<void> {
  for (const [name, ...args] of [
    ['mdgl-1', '--rule', 'mdgl', '--alignment-every', '3'],
    ['mdgl-2', '--rule', 'mdgl', '--seed', '2'],
    ['eprop-1', '--rule', 'eprop'],
    ['longer', '--rule', 'eprop', '--iterations', '8']
  ] as const) {
    await mdgl('train', 'evidence-accumulation', ...SHORT, ...args, '--out', join(root, name))
  }
}

const widths = (page: Page) =>
  page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth])

test('a page of finished runs shows their trials, chooses in every panel alike and has one address per view', async t => {
  t.timeout(240_000)
  const browser = await browserFor(t)
  if (browser === undefined) return
  const root = await temporaryFolder(t)
  await runsIn(root)
  const url = await dashboardOf(t, root)
  const { page, problems } = await openPage(browser, `${url}#run=mdgl-1`, { viewport: { width: 1400, height: 900 } })
  for (const id of [
    'loss',
    'accuracy',
    'rates',
    'speed',
    'alignment',
    'raster',
    'outputs',
    'membrane',
    'learning',
    'modulation'
  ])
    await page.waitForSelector(`#${id} canvas`, { timeout: 20_000 })
  await page.waitForSelector('#weights svg')
  t.regex((await page.textContent('#moved')) ?? '', /\d+ living synapses of \d+ at the start/)

  // A table of runs by rule and length; runs of different lengths are not averaged.
  t.deepEqual(await page.locator('#rules .chip').allTextContents(), [
    'e-prop, 6 iterations (1)',
    'e-prop, 8 iterations (1)',
    'MDGL, 6 iterations (2)'
  ])
  t.is(await page.locator('#runs tbody tr').count(), 4)
  await page.click('#runs th.loss button')
  const losses = (await page.locator('#runs td.loss').allTextContents()).map(Number)
  t.deepEqual(
    losses,
    [...losses].sort((a, b) => a - b)
  )
  await page.click('#runs button.link:text-is("eprop-1")')
  await page.waitForFunction(() => /e-prop, seed 1/.test(document.querySelector('#summary')?.textContent ?? ''))
  await page.waitForFunction(() => /no channels/.test(document.querySelector('#channels-none')?.textContent ?? ''))
  await page.goto(`${url}#run=mdgl-1&overlay=mdgl-2&smoothing=0.5`)
  await page.waitForFunction(() => document.querySelectorAll('#channels tbody tr').length === 4)
  t.is(await page.inputValue('#smoothing'), '0.5')
  t.is(await page.getAttribute('button[aria-label="Overlay: lay mdgl-2 over the chosen run"]', 'aria-pressed'), 'true')

  // A cell of the picture, the type's button and the raster are the same choice.
  await page.evaluate(() =>
    document.querySelector('#graph .cell[data-neuron="40"]')?.dispatchEvent(new MouseEvent('click', { bubbles: true }))
  )
  await page.waitForFunction(() => /^excitatory/.test(document.querySelector('#neuron-type')?.textContent ?? ''))
  t.is(await page.inputValue('#neuron'), '40')
  t.is(await page.getAttribute('#types button[data-type="excitatory"]', 'aria-pressed'), 'true')
  t.is(await page.locator('#graph .type.chosen').getAttribute('data-type'), 'excitatory')
  await page.click('#channels button:has-text("inhibitory → excitatory")')
  t.is(await page.locator('#graph .channel.chosen').getAttribute('data-from'), 'inhibitory')
  t.is(await page.locator('#types button[aria-pressed="true"]').count(), 2)
  const address = page.url()
  await page.reload()
  await page.waitForFunction(() => document.querySelectorAll('#graph .channel.chosen').length === 1)
  t.is(page.url(), address)
  await accessible(t, page)

  for (const colorScheme of ['light', 'dark'] as const) {
    const small = await openPage(browser, url, { colorScheme, viewport: { width: 390, height: 800 } })
    await small.page.waitForSelector('#weights svg')
    const [wide = 1, room = 0] = await widths(small.page)
    t.true(wide <= room, `${wide} on a phone of ${room}`)
    await accessible(t, small.page)
    t.deepEqual(small.problems, [])
  }
  t.deepEqual(problems, [])
})

/** A task's file with a thousand cells of two types, one of a long name. */
const THOUSAND = `import { network } from ${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)}
const cells = ['excitatory', 'inhibitory with a long name']
export default {
  name: 'thousand', loss: { kind: 'cross-entropy' },
  network: ({ seed }) => {
    const built = network({ dt: 1, seed }).input('in', 20)
      .population('excitatory', 800, { model: 'lif', sign: 'excitatory' })
      .population('inhibitory with a long name', 200, { model: 'lif', sign: 'inhibitory' }).readout('out', 2)
    for (const to of cells) {
      built.project('in', to, { density: 0.1 })
      for (const from of cells) built.project(from, to, { density: 0.01, initialise: { scheme: 'normal', standardDeviation: 0.1 } })
    }
    return built.project('excitatory', 'out', { density: 0.2 }).build()
  },
  batch: ({ size }) => ({
    length: 60, inputs: { in: { rates: Array.from({ length: size }, (_, trial) => ({ trial, from: 0, to: 60, units: [0, 20], rate: 200 })) } },
    targets: Array.from({ length: size }, (_, trial) => trial % 2)
  })
}`

/** Twenty finished runs of five rules, one of which is a file's, made of one. */
async function twentyRuns(root: string): Promise<void> {
  const [first, rule] = [join(root, 'first'), join(root, 'my-rule.mjs')]
  await writeFile(
    rule,
    `import { rules } from ${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)}\nexport default rules.mdgl`
  )
  await mdgl('train', 'evidence-accumulation', ...SHORT, '--rule', rule, '--out', first)
  const config = JSON.parse(await readFile(join(first, 'config.json'), 'utf8'))
  const { ruleFile, ...published } = config
  for (const [i, name] of (['bptt', 'eprop', 'mdgl', 'rflo'] as const).entries()) {
    for (let seed = 1; seed <= 5 - Number(i === 0); seed++) {
      const run = join(root, `${name}-${seed}`)
      await cp(first, run, { recursive: true })
      await writeFile(join(run, 'config.json'), JSON.stringify({ ...published, rule: expandRule(name), seed }))
    }
  }
}

test('twenty runs, a rule from a file among them, and a thousand cells fit a desk and a phone, in light and dark', async t => {
  t.timeout(240_000)
  const browser = await browserFor(t)
  if (browser === undefined) return
  const [many, large] = [join(await temporaryFolder(t), 'many'), join(await temporaryFolder(t), 'large')]
  await mkdir(many)
  await mkdir(large)
  await twentyRuns(many)
  await writeFile(join(large, 'thousand.mjs'), THOUSAND)
  const trained = await mdgl(
    'train',
    join(large, 'thousand.mjs'),
    ...SHORT,
    '--rule',
    'mdgl',
    '--out',
    join(large, 'run')
  )
  t.is(trained.code, 0, trained.stderr)
  for (const [root, cells] of [
    [many, 100],
    [large, 1000]
  ] as const) {
    const url = await dashboardOf(t, root)
    for (const [colorScheme, width] of [
      ['light', 1400],
      ['dark', 1400],
      ['light', 390],
      ['dark', 390]
    ] as const) {
      const { page, problems } = await openPage(browser, url, { colorScheme, viewport: { width, height: 850 } })
      await page.waitForSelector('#weights svg')
      await page.waitForSelector('#membrane canvas')
      t.is(await page.locator('#graph .cell').count(), cells)
      const [wide = 1, room = 0] = await widths(page)
      t.true(wide <= room, `${wide} on ${room}`)
      await accessible(t, page)
      t.deepEqual(await overlaps(page), [], `${cells} cells, ${colorScheme}, ${width}`)
      if (cells === 100) t.is(await page.locator('#runs tbody tr').count(), 20)
      t.deepEqual(problems, [])
      await page.context().close()
    }
  }
})

/** Names in the picture of the network that lie on one another or on a disc of cells. */
const overlaps = (page: Page): Promise<string[]> =>
  page.evaluate(() => {
    const boxes = (selector: string) =>
      Array.from(document.querySelectorAll(`#graph ${selector}`), element => ({
        name: element.textContent || element.getAttribute('data-type') || selector,
        box: element.getBoundingClientRect()
      })).filter(({ box }) => box.width > 0)
    const texts = boxes('text')
    const others = [...texts, ...boxes('circle.type')]
    return texts.flatMap(({ name, box }, i) =>
      others.slice(i + 1).flatMap(other => {
        const [across, down] = [
          Math.min(box.right, other.box.right) - Math.max(box.left, other.box.left),
          Math.min(box.bottom, other.box.bottom) - Math.max(box.top, other.box.top)
        ]
        return across > 2 && down > 2 ? [`${name} on ${other.name}`] : []
      })
    )
  })

test('a page without runs says so; a run whose task file has changed says why it shows no trial', async t => {
  t.timeout(120_000)
  const browser = await browserFor(t)
  if (browser === undefined) return
  const root = await temporaryFolder(t)
  const url = await dashboardOf(t, root)
  const { page, problems } = await openPage(browser, url)
  await page.waitForFunction(() => document.querySelector('#summary')?.textContent === 'No run yet.')
  await accessible(t, page)
  t.deepEqual(problems, [])

  const task = join(root, 'task.mjs')
  const source = (
    delay: number
  ) => `import { evidenceAccumulation } from ${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)}
export default { ...evidenceAccumulation(), name: 'mine' }
// ${delay}`
  await writeFile(task, source(1))
  t.is((await mdgl('train', task, ...SHORT, '--out', join(root, 'mine'))).code, 0)
  await page.waitForSelector('#raster canvas', { timeout: 20_000 })
  await writeFile(task, source(2))
  await cp(join(root, 'mine'), join(root, 'other'), { recursive: true })
  await rm(join(root, 'mine'), { recursive: true })
  const again = await openPage(browser, `${url}#run=other`)
  await again.page.waitForFunction(() =>
    /No trial can be shown: .*has changed/.test(document.querySelector('#trial-none')?.textContent ?? '')
  )
  t.true(await again.page.evaluate(() => document.querySelector('#trial-none')?.classList.contains('error')))
})

test('requests come under a name of this machine, through any port', t => {
  const refused = (host: string | undefined) => refuseReading({ headers: { host } } as never) !== undefined
  for (const host of ['127.0.0.1:8765', 'localhost:9000', 'localhost']) t.false(refused(host), host)
  for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example:80', undefined])
    t.true(refused(host), host)
})

test('smoothing is an average that begins at the first value and keeps gaps', t => {
  const points = [4, null, 2, 2].map((value, iteration) => ({ iteration, value }))
  t.is(smooth(points, 0), points)
  const values = smooth(points, 0.5).map(({ value }) => value)
  t.is(values[0], 4)
  t.is(values[1], null)
  t.true(Math.abs((values[2] ?? 0) - 8 / 3) < 1e-12)
})

test('the histogram of weights of one sign begins at 0, that of both has 0 at an edge; synapses of 0 are not counted', t => {
  const onto = (values: Float32Array | Float64Array, pre = Uint32Array.from(values.keys())) => ({
    pre,
    post: new Uint32Array(values.length),
    values
  })
  const positive = weightsSnapshot('a', onto(Float32Array.of(0, 1, 2, 4)), onto(Float32Array.of(1, 1, 2, 4)))
  t.is(positive.edges[0], 0)
  t.is(positive.edges.at(-1), 4)
  t.deepEqual([positive.synapses, positive.firstSynapses], [3, 4])
  t.true(Math.abs(positive.moved - 1 / Math.sqrt(22)) < 1e-4)
  // Synapses that have moved to other pairs.
  const first = onto(Float64Array.of(3, 4), Uint32Array.of(1, 5))
  const moved = weightsSnapshot('c', onto(Float64Array.of(1, 4, 2), Uint32Array.of(0, 5, 7)), first)
  t.true(Math.abs(moved.moved - Math.sqrt(9 + 1 + 4) / 5) < 1e-4)
  const both = weightsSnapshot('b', onto(Float64Array.of(-1, 0.5, 3)))
  t.true(both.edges.some(edge => Math.abs(edge) < 1e-9))
  t.is(
    both.now.reduce((sum, count) => sum + count, 0),
    3
  )
  t.true((both.edges[0] ?? 0) <= -1 && (both.edges.at(-1) ?? 0) >= 3)
})

test('cells are excitatory, inhibitory or neither by what binds their weights, drawn orders included', t => {
  const description = network({ seed: 3 })
    .input('x', 2)
    .lif('free', 2)
    .lif('plus', 1, { sign: 'excitatory' })
    .lif('listed', 2, { sign: [-1, 1] })
    .lif('drawn', 6, { sign: { excitatory: 4, inhibitory: 2, shuffled: true } })
    .readout('y', 1)
    .project('x', 'free', { density: 1 })
    .project('drawn', 'y', { density: 1 })
    .build()
  const signs = cellSigns(Model.create(description))
  t.deepEqual(signs.slice(0, 5), ['either', 'either', 'excitatory', 'inhibitory', 'excitatory'])
  t.is(signs.slice(5).filter(sign => sign === 'inhibitory').length, 2)
  t.is(signs.slice(5).filter(sign => sign === 'excitatory').length, 4)
  const types = signs.map(sign => ({ sign }))
  t.is(new Set(cellColours(types.slice(2, 5))).size, 3)
  t.notDeepEqual(cellColours(types, 'dark'), cellColours(types))
})

test('inputs that are values are averaged over neighbouring steps', t => {
  const description = network()
    .input('events', 3)
    .input('current', 2)
    .lif('cells', 1)
    .project('current', 'cells', { density: 1 })
    .build()
  const analogue = Float64Array.from({ length: 1000 }, (_, i) => (i % 2 === 0 ? 1 : -2))
  const found = analogueInputs({ length: 500, inputs: { current: { analogue } } }, description, 500)
  t.deepEqual(found?.units, [3, 4])
  t.is(found?.bins, 250)
  t.is(found?.largest, 2)
  t.deepEqual([found?.values[0], found?.values[250]], [0.5, -1])
  t.is(analogueInputs({ length: 500, inputs: {} }, description, 500), undefined)
})

test('chance is known of one cross-entropy; the target rate is the regulariser', t => {
  const description = network().lif('cells', 1).readout('y', 4).project('cells', 'y', { density: 1 }).build()
  const regulariser = { strength: 1, targetRate: 10 }
  t.deepEqual(measuresOf({ kind: 'cross-entropy' }, regulariser, description), {
    lossUnit: 'cross-entropy, nats',
    chance: { loss: Math.log(4), accuracy: 0.25 },
    targetRate: 10
  })
  t.is(measuresOf({ kind: 'cross-entropy', weight: 2 }, null, description).chance?.loss, 2 * Math.log(4))
  t.is(measuresOf({ kind: 'squared-error' }, null, description).chance, null)
  t.is(measuresOf({ y: { kind: 'squared-error' } }, null, description).lossUnit, 'squared error')
})
