#!/usr/bin/env node
import { availableParallelism } from 'node:os'
import { missingPackage } from '../support/needed-package.js'
import { messageOf } from '../support/recognise.js'
import { version } from '../support/version.js'
import { COMMANDS } from './commands.js'
import { helpOf, mainHelp } from './help.js'
import { UsageError } from './options.js'

async function main([name, ...args]: readonly string[]): Promise<number> {
  if (name === '--version' || name === '-v') {
    console.log(version())
    return 0
  }
  if (name === 'help' && args[0] !== undefined) return await main([args[0], '--help'])
  if (name === '--help' || name === '-h' || name === 'help') {
    console.log(mainHelp(COMMANDS))
    return 0
  }
  const command = name !== undefined && Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (command === undefined) {
    throw new UsageError(name === undefined ? 'a command is missing' : `there is no command '${name}'`)
  }
  const given = command.parse(args)
  if (given.options.help === undefined) return await command.run(given)
  console.log(helpOf(name ?? '', command))
  return 0
}

/** One line, whatever was thrown. */
function report(error: unknown, command: string | undefined): number {
  const message = missingPackage(error)?.message ?? messageOf(error)
  if (!(error instanceof UsageError)) {
    console.error(`mdgl: ${message}`)
    return 1
  }
  const help = command !== undefined && Object.hasOwn(COMMANDS, command) ? `mdgl ${command} --help` : 'mdgl --help'
  console.error(`mdgl: ${message} (see \`${help}\`)`)
  return 2
}

// A reader that has seen enough, as in `mdgl train --json | head`, is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  console.error(`mdgl: standard output cannot be written: ${error.message}`)
  process.exit(1)
})

// The command has the machine for itself; a program that only embeds the library leaves one core free.
process.env.MDGL_THREADS ??= String(availableParallelism())

const args = process.argv.slice(2)
main(args).then(
  code => {
    process.exitCode = code
  },
  (error: unknown) => {
    process.exitCode = report(error, args[0])
  }
)
