import { INSTRUCTION_SETS } from '../bench/instruction-set.js'
import type { Command } from './command.js'
import type { Options } from './options.js'

/** The longest line of a help. */
const WIDTH = 120
/** The most that an option's name and value take of a line before its text begins below them. */
const WIDEST = 24

/** What `mdgl <command> --help` prints. */
export function helpOf(name: string, { summary, usage, details, options, notes, examples }: Command): string {
  return [
    `mdgl ${name}: ${summary}`,
    usage.map((line, i) => `${i === 0 ? 'Usage:' : '      '} mdgl ${name}${line && ` ${line}`}`).join('\n'),
    details
      ?.split('\n')
      .flatMap(line => (line.length > WIDTH ? wrapped(line, WIDTH) : [line]))
      .join('\n'),
    `Options${hasTaskDefaults(options) ? " (defaults are the task's where none is given)" : ''}:\n${optionRows(options)}`,
    notes,
    `Examples:\n${examples.map(line => `  ${line}`).join('\n')}`
  ]
    .filter(part => part !== undefined)
    .join('\n\n')
}

/** What `mdgl --help` prints. */
export function mainHelp(commands: Readonly<Record<string, Command>>): string {
  const rows = Object.entries(commands).map(
    ([
      name,
      {
        summary,
        usage: [first = '']
      }
    ]): [string, string] => [`${name} ${first.replace(/ ?\[options\]$/, '')}`.trimEnd(), summary]
  )
  return `mdgl: train recurrent spiking networks with BPTT, e-prop and multidigraph learning

Usage: mdgl <command> [options]

Commands:
${columns(rows)}

Options:
${columns([
  ['-h, --help', 'this help; `mdgl <command> --help` for one command'],
  ['-v, --version', 'the version']
])}

Environment:
${columns([
  ['MDGL_THREADS', 'threads of the engine'],
  ['MDGL_SIMD', `instruction set of the engine: ${INSTRUCTION_SETS.join(', ')}`],
  ['MDGL_LAYOUT', 'what the lanes of its vector registers hold: trials, neurons (default: the engine chooses)']
])}

Examples:
  mdgl train evidence-accumulation --rule mdgl --live
  mdgl runs
  mdgl verify __test__/fixtures/gradients/*.json
  mdgl compare evidence-accumulation --rules bptt,eprop,mdgl --seeds 1-10

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted (143 by SIGTERM).`
}

const hasTaskDefaults = (options: Options) => 'batch-size' in options && 'iterations' in options

function optionRows(options: Options): string {
  return columns(
    Object.entries(options).map(([name, { value, text, choices }]) => [
      `${name === 'help' ? '-h, ' : ''}--${name}${value === undefined ? '' : ` ${value}`}`,
      choices === undefined ? text : `${text}: ${choices.join(', ')}`
    ])
  )
}

/** Two columns, the second broken between words. */
function columns(rows: readonly (readonly [string, string])[]): string {
  const indent = Math.min(WIDEST, Math.max(...rows.map(([left]) => left.length))) + 4
  return rows
    .map(([left, right]) => {
      const head = `  ${left}`
      const lines = wrapped(right, WIDTH - indent)
      const [first = '', ...more] = head.length < indent - 1 ? lines : ['', ...lines]
      return [`${head.padEnd(indent)}${first}`.trimEnd(), ...more.map(line => ' '.repeat(indent) + line)].join('\n')
    })
    .join('\n')
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines
}
