// Takes the locks of run folders for run-lock.test.ts, in a process of its own: a folder by message, the outcome back.
import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'

if (process.env.NO_LINKS) {
  // A file system without hard links.
  fs.link = async () => {
    throw Object.assign(new Error('EPERM: operation not permitted, link'), { code: 'EPERM' })
  }
  syncBuiltinESMExports()
}
const { RunLock } = await import('../../dist/runs/run-lock.js')

let lock
process.on('message', async ({ folder, release }) => {
  if (release) await lock?.release()
  lock = undefined
  if (folder === undefined) return process.disconnect()
  try {
    lock = await RunLock.acquire(folder)
    process.send({ won: true })
  } catch (error) {
    process.send({ won: false, message: error.message })
  }
})
process.send({ ready: true })
