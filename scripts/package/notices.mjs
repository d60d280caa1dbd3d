// The licences of other people's work that is part of what a package holds, not of what npm installs beside it.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../lib/run.mjs'

/** The npm packages that Vite builds into the dashboard's page. */
export const BUNDLED = ['uplot']

const LICENCE_FILE = /^(licen[cs]e|copying|notice)/i

/** Where a choice is offered we take MIT's terms, which are the shortest. */
function licenceFiles(folder) {
  const names = readdirSync(folder)
    .filter(name => LICENCE_FILE.test(name))
    .sort()
  const mit = names.filter(name => /mit/i.test(name))
  return mit.length > 0 ? mit : names
}

function notice({ name, version, licence, repository, folder }) {
  const texts = licenceFiles(folder).map(file => {
    const text = readFileSync(join(folder, file), 'utf8').replaceAll('\r\n', '\n').trim()
    return text.replaceAll(/^/gm, '    ').replaceAll(/ +$/gm, '')
  })
  const none = `The package has no text of its licence; see ${repository}.`
  return [`## ${name} ${version}`, licence, ...(texts.length > 0 ? texts : [none])].join('\n\n')
}

const document = (about, parts) => `${['# Third-party software', about, ...parts].join('\n\n')}\n`

/** For the addon: every crate that is not ours. */
export function addonNotices(crates) {
  const foreign = crates.filter(({ checksum }) => checksum !== undefined)
  foreign.sort((a, b) => (a.name < b.name ? -1 : 1))
  return document('These Rust crates are compiled into the addon.', foreign.map(notice))
}

/** For the command line: what the dashboard's page holds. */
export function pageNotices() {
  const packages = BUNDLED.map(name => {
    const folder = join(ROOT, 'node_modules', name)
    const { version, license, homepage } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    return { name, version, licence: license, repository: homepage, folder }
  })
  return document("These packages are built into the dashboard's page.", packages.map(notice))
}
