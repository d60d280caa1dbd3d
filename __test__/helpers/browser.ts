import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { ExecutionContext } from 'ava'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { BROWSER_FLAGS, browserPath } from '../../scripts/lib/browser.mjs'

/** A browser of this machine until the test ends; nothing, and a test that passes as skipped, where there is none. In CI that is a failure. */
export async function browserFor(t: ExecutionContext): Promise<Browser | undefined> {
  const executablePath = browserPath()
  if (executablePath !== undefined) {
    const browser = await chromium.launch({ executablePath, args: [...BROWSER_FLAGS] })
    t.teardown(() => browser.close())
    return browser
  }
  if (process.env.CI) throw new Error('there is no browser for the tests of the dashboard: .ci/run installs chromium')
  t.log('skipped: there is no browser on this machine (MDGL_BROWSER names one)')
  t.pass()
  return undefined
}

/** A page, and everything that went wrong in it. */
export async function openPage(browser: Browser, url: string, options: BrowserContextOptions = {}) {
  const context = await browser.newContext({ bypassCSP: true, viewport: { width: 1280, height: 900 }, ...options })
  const page = await context.newPage()
  const problems: string[] = []
  page.on('console', message => message.type() === 'error' && problems.push(message.text()))
  page.on('pageerror', error => problems.push(error.message))
  await page.goto(url)
  return { page, problems }
}

/** Asserts that axe finds nothing against the page. */
export async function accessible(t: ExecutionContext, page: Page): Promise<void> {
  const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
  await page.evaluate(axe)
  const violations = await page.evaluate(async () => {
    const { violations } = await (
      globalThis as unknown as { axe: { run(): Promise<{ violations: Violation[] }> } }
    ).axe.run()
    return violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)
  })
  t.deepEqual(violations, [])
}

interface Violation {
  readonly id: string
  readonly nodes: readonly { readonly html: string }[]
}
