// `npm run pictures`: makes docs/pictures/dashboard.png and report.png, the page and the report of runs that it trains below
// runs/pictures; finished ones are used again. --iterations N and --out DIR are for a look at shorter runs. Needs Chromium or Chrome
// (MDGL_BROWSER names one).
import { spawn } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { BROWSER_FLAGS, browserPath } from './lib/browser.mjs'
import { guarded, prepare } from './lib/prepare.mjs'
import { ROOT, run } from './lib/run.mjs'
import { SetupError } from './lib/toolchain.mjs'

const RULES = 'eprop,mdgl'
const SEEDS = '1,2'
/** The run that both pictures show. */
const SHOWN = 'mdgl-1'
/** How much of each page the documents show, in pixels. */
const PAGE = { width: 1280, height: 1580 }
const REPORT = { width: 700, height: 980 }

const { values } = parseArgs({ options: { iterations: { type: 'string' }, out: { type: 'string' } } })
const iterations = values.iterations ?? '400'
const out = resolve(ROOT, values.out ?? 'docs/pictures')
const runs = join('runs', 'pictures', iterations)

/** Trains what is not there yet. */
async function train() {
  const what = ['--rules', RULES, '--seeds', SEEDS, '--iterations', iterations, '--validate-every', '5', '--alignment']
  const args = ['compare', 'evidence-accumulation', ...what, '--alignment-every', '20', '--out', runs]
  if (Number(iterations) < 20) args[args.indexOf('--alignment-every') + 1] = iterations
  if (Number(iterations) < 5) args[args.indexOf('--validate-every') + 1] = iterations
  const { code } = await run('node', ['dist/cli/main.js', ...args])
  if (code !== 0) throw new SetupError('the runs of the pictures were not trained')
  const report = await run('node', ['dist/cli/main.js', 'report', join(runs, SHOWN)])
  if (report.code !== 0) throw new SetupError(`${join(runs, SHOWN)} has no report`)
}

/** A dashboard of the runs, and the address that it prints. */
function dashboard() {
  const child = spawn(process.execPath, ['dist/cli/main.js', 'dashboard', runs, '--port', '0'], { cwd: ROOT })
  const address = new Promise((resolve, reject) => {
    let said = ''
    const listen = text => {
      said += text
      const [, url] = /(http:\/\/127\.0\.0\.1:\d+\/)/.exec(said) ?? []
      if (url !== undefined) resolve(url)
    }
    child.stdout.setEncoding('utf8').on('data', listen)
    child.stderr.setEncoding('utf8').on('data', listen)
    child.on('error', reject)
    child.on('close', () => reject(new SetupError(`the dashboard ended: ${said}`)))
  })
  return { child, address }
}

/** A picture of the upper part of a page, once everything in it is drawn. */
async function picture(browser, url, size, ready, file) {
  const page = await browser.newPage({ viewport: size, deviceScaleFactor: 1 })
  await page.goto(url)
  for (const selector of ready) await page.waitForSelector(selector)
  await page.waitForFunction(() => document.fonts.status === 'loaded')
  await page.screenshot({ path: join(out, file), animations: 'disabled' })
  await page.close()
  console.log(join(out, file))
}

await guarded(async () => {
  await prepare()
  const executablePath = browserPath()
  if (executablePath === undefined) throw new SetupError('there is no browser; MDGL_BROWSER names one')
  await train()
  const { chromium } = await import('playwright-core')
  const { child, address } = dashboard()
  const browser = await chromium.launch({ executablePath, args: BROWSER_FLAGS })
  try {
    await mkdir(out, { recursive: true })
    const drawn = ['#loss canvas', '#raster canvas', '#membrane canvas', '#weights svg', '#graph svg', '#channels tr']
    await picture(browser, `${await address}#run=${SHOWN}`, PAGE, drawn, 'dashboard.png')
    const report = pathToFileURL(join(ROOT, runs, SHOWN, 'report.html')).href
    await picture(browser, report, REPORT, ['figure svg'], 'report.png')
  } finally {
    await browser.close()
    child.removeAllListeners('close')
    child.kill()
  }
  return 0
})
