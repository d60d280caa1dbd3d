// Where a browser for tests and pictures of pages is looked for.
import { existsSync } from 'node:fs'

const PLACES = [
  process.env.MDGL_BROWSER,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe'
]

/** The first browser of this machine, that of MDGL_BROWSER before others; undefined where there is none. */
export const browserPath = () => PLACES.find(place => place !== undefined && existsSync(place))

/** CI runs as root; and nothing of the browser's own has to reach the network. */
export const BROWSER_FLAGS = [
  '--no-sandbox',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync'
]
