// completion bash|zsh|fish: prints a script, made from the table of commands.

import { type Call, type Command, UsageError } from '../command.js'
import { GLOBAL } from '../command-line.js'

export function run({ args: [shell], commands }: Call): Promise<number> {
  process.stdout.write(completionScript(shell, commands))
  return Promise.resolve(0)
}

export function completionScript(shell: string | undefined, commands: readonly Command[]): string {
  switch (shell) {
    case 'bash':
      return bash(commands)
    case 'zsh':
      return `autoload -U +X bashcompinit && bashcompinit\n${bash(commands)}`
    case 'fish':
      return fish(commands)
    default:
      throw new UsageError('completion: one of bash, zsh, fish')
  }
}

const flags = ({ options }: Command) => Object.keys({ ...options, ...GLOBAL }).map((name) => `--${name}`)

function bash(table: readonly Command[]): string {
  const cases = table.map((command) => `    ${command.name}) words="${flags(command).join(' ')}" ;;`)
  return `_agentkeys() {
  local words command="\${COMP_WORDS[1]}"
  case "$command" in
${cases.join('\n')}
  esac
  [ "$COMP_CWORD" -eq 1 ] && words="${table.map(({ name }) => name).join(' ')}"
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _agentkeys agentkeys
`
}

function fish(table: readonly Command[]): string {
  const commands = table.map(
    ({ name, summary }) =>
      `complete -c agentkeys -f -n __fish_use_subcommand -a ${name} -d '${summary.replace(/'/g, '')}'`,
  )
  const options = table.flatMap((command) =>
    Object.entries({ ...command.options, ...GLOBAL }).map(
      ([name, { help }]) =>
        `complete -c agentkeys -n '__fish_seen_subcommand_from ${command.name}' -l ${name} -d '${help.replace(/'/g, '')}'`,
    ),
  )
  return `${[...commands, ...options].join('\n')}\n`
}
