import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { WORKLOAD_NAMES } from '../../src/bench/workloads.js'
import { COMMANDS } from '../../src/cli/commands.js'
import { type Given, known, type Options, parseOptions } from '../../src/cli/options.js'
import { isCodeFile } from '../../src/runs/code-file.js'
import { ALL_TASK_NAMES } from '../../src/runs/tasks.js'
import { ROOT } from './imports.js'

/** A text that people read: a message, a help, a page of the documents, the dashboard's page. */
export interface Advice {
  readonly file: string
  readonly text: string
}

/** What a message puts in at run time. */
const FILLED = '…'

/** Stands for a value: `RUN`, `FILE.npz`, `<run>`, `…`, `$1`, `4,5`. */
const isPlaceholder = (word: string) => /[…<>$*]|\.\.\.|^[A-Z][A-Z_]*(?:\.\w+)?$/.test(word)

function filesBelow(folder: string, ...endings: readonly string[]): string[] {
  const names = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
  return names.filter(name => endings.some(ending => name.endsWith(ending))).map(name => join(folder, name))
}

const read = (file: string) => readFileSync(join(ROOT, file), 'utf8')

/** The texts in a program: its literals, with a sign for each value that is put in. */
function literals(file: string): Advice[] {
  const found: Advice[] = []
  const visit = (node: ts.Node) => {
    if (ts.isStringLiteralLike(node)) found.push({ file, text: node.text })
    else if (ts.isTemplateExpression(node)) {
      const text = node.head.text + node.templateSpans.map(({ literal }) => FILLED + literal.text).join('')
      found.push({ file, text })
    }
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(file, read(file), ts.ScriptTarget.Latest))
  return found
}

/** A page's text, its tags in place of quotes. */
function pageText(file: string): Advice {
  const text = read(file)
    .replace(/<\/?code>/g, '`')
    .replace(/<[^>]+>/g, ' ')
  return { file, text: text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&') }
}

/** What the library, the command line and the dashboard say. */
export const messages = (): Advice[] => [
  ...filesBelow('src', '.ts').flatMap(literals),
  pageText('src/dashboard/page/index.html')
]

/** What the documents, the examples and the scripts say. */
export function documents(): Advice[] {
  const pages = [
    ...[
      'README.md',
      'ARCHITECTURE.md',
      'CONTRIBUTING.md',
      'SECURITY.md',
      'examples/README.md',
      'examples/sweep.sbatch'
    ],
    ...filesBelow('docs', '.md').filter(file => !file.includes('records')),
    ...readdirSync(join(ROOT, 'crates'))
      .map(crate => `crates/${crate}/README.md`)
      .filter(file => existsSync(join(ROOT, file)))
  ]
  const programs = [...filesBelow('examples', '.mjs'), ...filesBelow('scripts', '.mjs')]
  return [...pages.map(file => ({ file, text: read(file) })), ...programs.flatMap(literals)]
}

/** A command line as a text has it. */
export interface CommandLine {
  readonly words: readonly string[]
  /** Whether it stands alone or between backticks; else it may be the beginning of a sentence. */
  readonly quoted: boolean
  /** Whether it is a line to copy, not a mention. */
  readonly whole: boolean
  readonly place: string
}

/** The command lines of a program in a text. */
export function commandLines({ file, text }: Advice, program: string): CommandLine[] {
  return [...text.matchAll(new RegExp(`(?<![\\w./@-])${program} `, 'g'))].map(({ 0: start, index }) => {
    const rest = text.slice(index + start.length)
    const before = text.slice(text.lastIndexOf('\n', index) + 1, index)
    const line = /^(?:\s*\$)?\s*$/.test(before)
    const words = shellWords(rest)
    return { words, quoted: line || /`$/.test(before), whole: line, place: `${file}: ${program} ${words.join(' ')}` }
  })
}

/** The words of the command that a text begins with, as a shell would take them; it ends where a pipe, a quote or a sentence does. */
function shellWords(text: string): string[] {
  const words: string[] = []
  for (const [, separator, single, double, word = ''] of text.matchAll(
    /([\n`|;)&]| >>? |(?<= )#)|'([^'\n]*)'|"([^'"\n]*)"| +|((?:\$\([^)]*\)|[^\s`|;)&'"])+)|./g
  )) {
    if (separator !== undefined) break
    const quoted = single ?? double
    if (quoted !== undefined) words.push(quoted)
    else if (word !== '') words.push(word)
  }
  return words
}

/** What may follow `mdgl` beside a command: its own options, a title's colon, the verb of a sentence that mdgl begins. */
const NO_COMMAND = /^(?:--help|-h|--version|-v|help|\w+:|has|needs|)$/

/** What is wrong with a command line of `mdgl`, by its own parser; nothing where nothing is. */
export function problemOf({ words: [name = '', ...rest], quoted, whole }: CommandLine): string | undefined {
  if (isPlaceholder(name) || NO_COMMAND.test(name)) return undefined
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (command === undefined) return quoted ? `there is no command '${name}'` : undefined
  const { options } = command
  const args = quoted ? usageArguments(rest) : optionsAmong(rest, options)
  const last = /^--([\w-]+)$/.exec(args.at(-1) ?? '')?.[1]
  // A mention may leave the value out.
  if (!whole && last !== undefined && options[last]?.value !== undefined) args.push(FILLED)
  try {
    const given = parseOptions(args, withPlaceholders(options))
    if (quoted) checkRest(name, given, whole)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

/** Of `<plan> [--out DIR] [options]` what a parser can take. */
const usageArguments = (words: readonly string[]): string[] =>
  words.map(bare).filter(word => word !== '' && word !== 'options')

/** Of a sentence what a parser can take: its options, and what follows one that has a value. */
function optionsAmong(words: readonly string[], options: Options): string[] {
  const plain = words.map(bare)
  return plain.filter((word, i) => isOption(word) || (!isOption(word) && takesValue(plain[i - 1], options)))
}

/** A word without the brackets of a usage line and the stops of a sentence. */
const bare = (word: string) => word.replace(/^\[|[\],.:]+$/g, '')
const isOption = (word = '') => /^--[a-z]/.test(word)
const takesValue = (word: string | undefined, options: Options) =>
  isOption(word) && options[word?.slice(2) ?? '']?.value !== undefined

/** The options, which also take what stands for a value. */
const withPlaceholders = (options: Options): Options =>
  Object.fromEntries(
    Object.entries(options).map(([name, option]) => [
      name,
      { ...option, parse: (given: string) => (isPlaceholder(given) ? given : option.parse(given, name)) }
    ])
  )

const task = (word: string) => isCodeFile(word) || known(word, 'the task', ALL_TASK_NAMES)
const workload = (word: string) => known(word, 'the workload', WORKLOAD_NAMES)
const any = () => true

/** What each command takes beside options: the least number, and a check for each. */
function operands(
  command: string,
  { options }: Given<Options>
): { least: number; checks: readonly ((word: string) => unknown)[] } {
  switch (command) {
    case 'train':
      return { least: 1, checks: [task] }
    case 'compare':
      return options.sweep === undefined ? { least: 1, checks: [task] } : { least: 0, checks: [] }
    case 'profile':
      return { least: 1, checks: [word => ([...WORKLOAD_NAMES] as string[]).includes(word) || task(word)] }
    case 'bench':
      return options.export === undefined ? { least: 1, checks: [workload] } : { least: 0, checks: [] }
    case 'plot':
      return { least: 2, checks: [word => known(word, 'the picture', ['network', 'run']), any] }
    case 'completion':
      return { least: 1, checks: [word => known(word, 'the shell', ['bash', 'zsh'])] }
    case 'verify':
      return { least: 1, checks: Array.from({ length: 100 }, () => any) }
    case 'runs':
    case 'dashboard':
      return { least: 0, checks: [any] }
    default:
      return { least: 1, checks: [any] }
  }
}

function checkRest(command: string, given: Given<Options>, whole: boolean): void {
  const { least, checks } = operands(command, given)
  const rest = given.rest
  if (given.options.help !== true && whole && rest.length < least) throw new Error('an argument is missing')
  const more = rest.slice(checks.length).find(word => word !== FILLED)
  if (more !== undefined) throw new Error(`'${more}' is one argument too many`)
  for (const [i, word] of rest.entries()) if (!isPlaceholder(word)) checks[i]?.(word)
}

/** Options that a sentence names after a command: "train with --alignment". */
export function namedOptions({ file, text }: Advice): { command: string; option: string; place: string }[] {
  const names = Object.keys(COMMANDS).join('|')
  const found = text.matchAll(new RegExp(`(?<![-\\w])(${names})\\b((?: [\\w\`']+){0,3}? \`?)--([a-z][a-z-]*)`, 'g'))
  return [...found].map(({ 0: place, 1: command = '', 3: option = '' }) => ({
    command,
    option,
    place: `${file}: ${place}`
  }))
}
