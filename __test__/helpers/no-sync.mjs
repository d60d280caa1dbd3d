// Loaded before a program (`node --import`): the files that it opens are as Yarn's Plug'n'Play opens them, with a `sync` that is not
// implemented. At its end it says how many files were flushed to the disk all the same.
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { fileURLToPath } from 'node:url'

const file = await fs.promises.open(fileURLToPath(import.meta.url))
const handle = Object.getPrototypeOf(file)
await file.close()
handle.sync = handle.datasync = () => {
  throw new Error('Method not implemented.')
}

const { fsync } = fs
let flushed = 0
fs.fsync = (...given) => {
  flushed += 1
  return fsync(...given)
}
syncBuiltinESMExports()
process.on('exit', () => process.stderr.write(`flushed: ${flushed}\n`))
