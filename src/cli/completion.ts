import { ruleNames } from '../rule/rule.js'
import { TASK_NAMES } from '../runs/tasks.js'
import { known, split, UsageError } from './arguments.js'
import * as help from './help.js'

export const COMPLETION_OPTIONS = { help: { type: 'boolean', short: 'h' } } as const
const SHELLS = ['bash', 'zsh'] as const

/** `mdgl completion SHELL`: a script that completes commands, options, tasks, rules and folders. */
export async function completionCommand(args: readonly string[]): Promise<number> {
  const given = split(args, COMPLETION_OPTIONS)
  if (given.options.help) {
    console.log(help.COMPLETION_HELP)
    return 0
  }
  const [shell, ...more] = given.rest
  if (shell === undefined) throw new UsageError(`a shell is missing; it must be one of ${SHELLS.join(', ')}`)
  if (more.length > 0) throw new UsageError(`'${more[0]}' is one argument too many`)
  const script = bash()
  console.log(
    known(shell, 'the shell', SHELLS) === 'bash' ? script : `autoload -Uz bashcompinit && bashcompinit\n${script}`
  )
  return 0
}

/** The options of each command, parsed from its help text, so that both agree. */
function optionsOf(text: string): string[] {
  return [...new Set(text.match(/(?<=^ {2}|, )--[a-z-]+/gm) ?? [])]
}

const HELPS: Readonly<Record<string, string>> = {
  train: help.TRAIN_HELP,
  resume: help.RESUME_HELP,
  repeat: help.REPEAT_HELP,
  runs: help.RUNS_HELP,
  show: help.SHOW_HELP,
  report: help.REPORT_HELP,
  dashboard: help.DASHBOARD_HELP,
  export: help.EXPORT_HELP,
  compare: help.COMPARE_HELP,
  sweep: help.SWEEP_HELP,
  plot: help.PLOT_HELP,
  verify: help.VERIFY_HELP,
  bench: help.BENCH_HELP,
  profile: help.PROFILE_HELP,
  completion: help.COMPLETION_HELP
}

const OF_TASKS = ['train', 'compare', 'profile']

function bash(): string {
  const cases = Object.entries(HELPS).map(([name, text]) => {
    const words = [...optionsOf(text), '--help', ...(OF_TASKS.includes(name) ? TASK_NAMES : [])]
    return `    ${name}) words="${[...new Set(words)].join(' ')}" ;;`
  })
  return `_mdgl() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" words=""
  case "$before" in
    --rule|--rules) COMPREPLY=($(compgen -W "${ruleNames.join(' ')}" -- "$word")); return ;;
    --precision) COMPREPLY=($(compgen -W "f32 f64" -- "$word")); return ;;
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${[...Object.keys(HELPS), '--help', '--version'].join(' ')}" -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word") $(compgen -f -- "$word"))
}
complete -o filenames -F _mdgl mdgl`
}
