import { benchCommand } from './bench.js'
import type { Command } from './command.js'
import { compareCommand } from './compare.js'
import { completionCommand } from './completion.js'
import { dashboardCommand } from './dashboard.js'
import { exportCommand } from './export.js'
import { plotCommand } from './plot.js'
import { profileCommand } from './profile.js'
import { reportCommand } from './report-command.js'
import { repeatCommand, resumeCommand } from './resume.js'
import { runsCommand, showCommand } from './runs.js'
import { sweepCommand } from './sweep.js'
import { trainCommand } from './train.js'
import { verifyCommand } from './verify.js'

const others = {
  train: trainCommand,
  resume: resumeCommand,
  repeat: repeatCommand,
  runs: runsCommand,
  show: showCommand,
  report: reportCommand,
  dashboard: dashboardCommand,
  export: exportCommand,
  compare: compareCommand,
  sweep: sweepCommand,
  plot: plotCommand,
  verify: verifyCommand,
  bench: benchCommand,
  profile: profileCommand
}

/** The commands by name, in the order of the help. */
export const COMMANDS: Readonly<Record<string, Command>> = { ...others, completion: completionCommand(others) }
