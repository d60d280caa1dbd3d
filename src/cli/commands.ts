import type { OptionsConfig } from './arguments.js'
import { BENCH_OPTIONS, benchCommand } from './bench.js'
import { COMPARE_OPTIONS, compareCommand } from './compare.js'
import { COMPLETION_OPTIONS, completionCommand } from './completion.js'
import { DASHBOARD_OPTIONS, dashboardCommand } from './dashboard.js'
import { EXPORT_OPTIONS, exportCommand } from './export.js'
import { PLOT_OPTIONS, plotCommand } from './plot.js'
import { PROFILE_OPTIONS, profileCommand } from './profile.js'
import { REPORT_OPTIONS, reportCommand } from './report-command.js'
import { REPEAT_OPTIONS, RESUME_OPTIONS, repeatCommand, resumeCommand } from './resume.js'
import { RUNS_OPTIONS, runsCommand, SHOW_OPTIONS, showCommand } from './runs.js'
import { SWEEP_OPTIONS, sweepCommand } from './sweep.js'
import { TRAIN_OPTIONS, trainCommand } from './train.js'
import { VERIFY_OPTIONS, verifyCommand } from './verify.js'

/** A command of `mdgl`. */
export interface Command {
  /** Runs it with the arguments after its name; gives the exit code. */
  readonly run: (args: readonly string[]) => Promise<number>
  readonly options: OptionsConfig
}

/** The commands by name. */
export const COMMANDS: Readonly<Record<string, Command>> = {
  train: { run: trainCommand, options: TRAIN_OPTIONS },
  resume: { run: resumeCommand, options: RESUME_OPTIONS },
  repeat: { run: repeatCommand, options: REPEAT_OPTIONS },
  runs: { run: runsCommand, options: RUNS_OPTIONS },
  show: { run: showCommand, options: SHOW_OPTIONS },
  report: { run: reportCommand, options: REPORT_OPTIONS },
  dashboard: { run: dashboardCommand, options: DASHBOARD_OPTIONS },
  export: { run: exportCommand, options: EXPORT_OPTIONS },
  compare: { run: compareCommand, options: COMPARE_OPTIONS },
  sweep: { run: sweepCommand, options: SWEEP_OPTIONS },
  plot: { run: plotCommand, options: PLOT_OPTIONS },
  verify: { run: verifyCommand, options: VERIFY_OPTIONS },
  bench: { run: benchCommand, options: BENCH_OPTIONS },
  profile: { run: profileCommand, options: PROFILE_OPTIONS },
  completion: { run: completionCommand, options: COMPLETION_OPTIONS }
}
