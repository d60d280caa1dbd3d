import { commandFile } from '../runs/command-file.js'
import { shellWord } from '../support/shell-word.js'

/** How to see the engine with `perf`: release builds keep symbols, and line tables if they are asked for. */
export function flameHelp(task: string, rule: string): string {
  const run = `node ${shellWord(commandFile())} profile ${task} --rule ${rule} --no-peaks --iterations 200`
  return `The engine's release builds keep symbols, so that Linux's perf can name functions. Source lines need, in a clone, an engine
with line tables:

  CARGO_PROFILE_RELEASE_DEBUG=line-tables-only npm run build

  perf record -F 999 --call-graph dwarf,8192 -o mdgl.perf ${run}
  perf report -i mdgl.perf --no-children --sort symbol -g none                        # by function
  perf annotate -i mdgl.perf --stdio -l                                               # by line and instruction, the costliest function first

Everything that a kernel does at each step is inlined into one function for each kernel and instruction set, \`enter\`: lines
tell its parts apart. Sources are shown where the engine was built, in a clone after \`npm run build\`.

Samples are taken while a thread has a processor: the time that a profile calls \`preempted\` is in none of them. Who ran meanwhile:

  perf sched record -o mdgl.sched ${run}
  perf sched timehist -i mdgl.sched -s

A flame graph, with inferno (\`cargo install inferno\`):

  perf script -i mdgl.perf --no-inline | inferno-collapse-perf | inferno-flamegraph > mdgl-flame.svg

If perf may not record, lower the guard until the next boot: sudo sysctl kernel.perf_event_paranoid=1`
}
