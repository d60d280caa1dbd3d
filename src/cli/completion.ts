import { type Command, defineCommand } from './command.js'
import { known, oneArgument } from './options.js'

const SHELLS = ['bash', 'zsh'] as const

/** `mdgl completion SHELL`: a script that completes commands, options, their words and folders. */
export const completionCommand = (others: Readonly<Record<string, Command>>): Command => {
  const command = defineCommand({
    summary: 'completion for bash or zsh',
    usage: ['<shell>'],
    details: `Shells: ${SHELLS.join(', ')}`,
    options: {},
    examples: ['source <(mdgl completion bash)', 'mdgl completion zsh >> ~/.zshrc'],
    words: SHELLS,
    async run({ rest }) {
      const shell = known(
        oneArgument(rest, `a shell is missing; it must be one of ${SHELLS.join(', ')}`),
        'the shell',
        SHELLS
      )
      const script = bash({ ...others, completion: command })
      console.log(shell === 'bash' ? script : `autoload -Uz bashcompinit && bashcompinit\n${script}`)
      return 0
    }
  })
  return command
}

function bash(commands: Readonly<Record<string, Command>>): string {
  const entries = Object.entries(commands)
  const cases = entries.map(([name, { options, words = [] }]) => {
    const completed = [...Object.keys(options).map(option => `--${option}`), ...words]
    return `    ${name}) words="${completed.join(' ')}" ;;`
  })
  const values = entries.flatMap(([name, { options }]) =>
    Object.entries(options).flatMap(([option, { choices, files }]) => {
      if (choices === undefined) return []
      const found = `$(compgen -W "${choices.join(' ')}" -- "$word")${files === true ? ' $(compgen -f -- "$word")' : ''}`
      return [`    "${name} --${option}") COMPREPLY=(${found}); return ;;`]
    })
  )
  return `_mdgl() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${[...Object.keys(commands), '--help', '--version'].join(' ')}" -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]} $before" in
${values.join('\n')}
  esac
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word") $(compgen -f -- "$word"))
}
complete -o filenames -F _mdgl mdgl`
}
