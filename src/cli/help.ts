import { INSTRUCTION_SETS } from '../bench/instruction-set.js'
import { WORKLOAD_NAMES } from '../bench/workloads.js'
import { ruleNames } from '../rule/rule.js'
import { TASK_NAMES } from '../runs/tasks.js'

const TASKS = TASK_NAMES.join(', ')
const WORKLOADS = WORKLOAD_NAMES.join(', ')
const SETS = INSTRUCTION_SETS.join(', ')

/** Where the second column of a command's options begins. */
const COLUMN = 23
const WIDTH = 100

/** A list of names in the second column, on as many lines as it needs. */
function inColumn(names: readonly string[]): string {
  const lines: string[] = []
  for (const [i, name] of names.entries()) {
    const word = i + 1 < names.length ? `${name},` : name
    const last = lines.at(-1)
    if (last === undefined || COLUMN + last.length + 1 + word.length > WIDTH) lines.push(word)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines.join(`\n${' '.repeat(COLUMN)}`)
}

const RULES = inColumn(ruleNames)

export const MAIN_HELP = `mdgl: train recurrent spiking networks with BPTT, e-prop and multidigraph learning

Usage: mdgl <command> [options]

Commands:
  train <task>      train a network and write a run folder
  resume <run>      continue a run that was interrupted
  repeat <run>      repeat a run from its config.json
  runs [folder]     list the runs in a folder
  show <run>        settings and progress of a run
  report <run>      a run on one page, report.html
  dashboard [folder]
                    show runs in a browser
  export <run>      weights and metrics for other programs
  compare <task>    train several rules on several seeds; table and learning curves
  sweep <plan>      train every combination of rules, seeds and options in a file
  plot <picture>    draw a network, or a run
  verify <file>…    compare the engine with files of reference gradients
  bench <workload>  time training iterations
  profile <task>    where the time of a training iteration goes
  completion <sh>   completion for bash or zsh

Options:
  -h, --help        this help; \`mdgl <command> --help\` for one command
  -v, --version     the version

Environment: MDGL_THREADS, threads of the engine; MDGL_SIMD, its instruction set (${SETS}); MDGL_LAYOUT, what stands in
its lanes (trials, neurons).

Examples:
  mdgl train evidence-accumulation --rule mdgl --live
  mdgl runs
  mdgl verify __test__/fixtures/gradients/*.json
  mdgl compare evidence-accumulation --rules bptt,eprop,mdgl --seeds 1-10

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted (143 by SIGTERM).`

export const TRAIN_HELP = `mdgl train: train a network on a task and write a run folder

Usage: mdgl train <task> [options]
       mdgl train <file> [options]

Tasks: ${TASKS}
A file (.ts, .mts, .js or .mjs) has a task of your own as its default export: docs/guide/write-a-task.md.

Options (defaults are the task's where none is given):
  --rule NAME          ${RULES}
                       (default mdgl)
  --seed N             seed of network and batches (default 1)
  --iterations N       iterations to train
  --batch-size N       trials in a batch
  --validate-every N   iterations between validations
  --learning-rate X    the optimiser's learning rate: a number, cosine:FROM[:TO[:ITERATIONS]], step:FROM:FACTOR:EVERY or
                       warm-up:ITERATIONS:INTO
  --precision P        f32 or f64 (default f32)
  --threads N          threads of the engine (default: MDGL_THREADS, else one per core); results do not depend on it
  --checkpoint-every N iterations between checkpoints, from which \`mdgl resume\` continues; 0 for none (default 50)
  --alignment-every N  record the angle to BPTT's gradient every N iterations
  --live               show the run in a browser: curves, a trial, weights; pause, stop, change the learning rate
  --port N             the port of that page (default: the first free one from 8765 on)
  --out DIR            the run folder (default runs/<time>-<task>-<rule>-<seed>)
  --json               metrics as JSON lines on stdout instead of the progress bar
  -h, --help           this help

Ctrl-C ends the run after the current iteration and keeps a checkpoint; a second one ends it at once.

Examples:
  mdgl train evidence-accumulation --rule mdgl --seed 1
  mdgl train evidence-accumulation --rule mdgl --live --alignment-every 20
  mdgl train ./my-task.ts --rule mdgl
  mdgl train evidence-accumulation --rule eprop --iterations 200 --out runs/short
  mdgl train evidence-accumulation --json | jq 'select(.split == "validation") | .loss'`

export const VERIFY_HELP = `mdgl verify: compare the engine with files of reference gradients

Usage: mdgl verify <file>… [options]

Files are of schema "mdgl-gradient-fixture/1". For each rule and precision: whether the spikes are equal, and the
largest relative error of the loss and of each gradient, relative to the matrix's largest entry, wherever the network
has a synapse. Anything above 1e-9 (f64) or 1e-4 (f32), or a spike that differs, fails with exit code 1.

Or of schema "eprop2020-fixture/1": e-prop of Bellec et al. 2020 is trained as the file describes, in f64 (conventions
'bellec2020'). For each of its runs: whether the first sequence's spikes and the numbers of spikes are equal, and the
largest relative error of the losses, of the first gradient's and of the last weights' norms. Anything above 1e-6
(TensorFlow's losses) or 1e-8 (all else) fails.

Options:
  --json        one JSON line per rule and precision instead of the tables
  -h, --help    this help

Examples:
  mdgl verify __test__/fixtures/gradients/*.json
  mdgl verify --json my-fixture.json`

export const COMPARE_HELP = `mdgl compare: train several rules on several seeds, beside the published results

Usage: mdgl compare <task> [options]
       mdgl compare --sweep <plan> [--out DIR]

Tasks: ${TASKS}

Every run has a folder of its own under --out. A finished one is used again, an unfinished one continues from its last
checkpoint: repeat the command to continue after an interruption, or to add rules and seeds. At the end come a table, learning-curves.svg,
learning-curves.png and results.json.

With --alignment each run also compares its gradient with that of BPTT at the same weights, on the batch of the
validation, in alignment.jsonl of its folder: cosine, angle and ratio of norms, per projection and in total. Training stays the same
to the bit; a finished run without the records is trained again. At the end come a table, alignment.svg, alignment.png
and alignment.json.

Options (defaults are the task's where none is given):
  --rules LIST         ${RULES}
                       (default bptt,eprop,mdgl)
  --seeds LIST         seeds and ranges of seeds (default 1)
  --iterations N       iterations of each run
  --batch-size N       trials in a batch
  --validate-every N   iterations between validations
  --precision P        f32 or f64 (default f32)
  --threads N          threads of the engine (default: MDGL_THREADS, else one per core); results do not depend on it
  --alignment          record the alignment to BPTT
  --alignment-every N  iterations between its records (default: those between validations)
  --sweep PLAN         train nothing: the finished runs of \`mdgl sweep PLAN\`, one row per combination and rule, learning curves
                       and results.json in each combination's folder, sweep.json above them; exit code 1 where runs are missing
  --out DIR            the folder of the runs (default runs/compare-<task>-<iterations>); with --sweep that of the sweep (default runs/sweep-<plan>)
  -h, --help           this help

Examples:
  mdgl compare evidence-accumulation --rules bptt,eprop,mdgl --seeds 1-10
  mdgl compare evidence-accumulation --rules eprop,mdgl --seeds 1,3 --iterations 200
  mdgl compare evidence-accumulation --rules eprop,mdgl,nl-mdgl --seeds 1-5 --alignment --alignment-every 50
  mdgl compare --sweep rates.json`

export const SWEEP_HELP = `mdgl sweep: train every combination of rules, seeds and options that a file names

Usage: mdgl sweep <plan> [options]
       mdgl sweep <plan> --index N [options]

A plan is a JSON file; docs/scale.md describes it in full:

  {
    "schema": "mdgl-sweep/1",
    "task": "evidence-accumulation",
    "rules": ["eprop", "mdgl"],
    "seeds": "1-3",
    "options": { "iterations": 200, "learningRate": [0.001, 0.0025] },
    "taskOptions": { "delay": [400, 800] }
  }

A list among options and taskOptions is an axis; the items are all combinations, 24 here. They are counted from 0; axes change in the
order of the file, options before taskOptions, then rules, then seeds: the seed changes fastest. Options are iterations,
batchSize, validateEvery, checkpointEvery, alignmentEvery, learningRate, precision and optimiser.

Items run in worker processes. Each has a run folder below --out; a finished one is used again, an unfinished one continues from its last
checkpoint, with the same bits. A worker that is killed is reported, and its item tried again; the others continue. At the end, missing items are
listed, with exit code 1; so is an item that another process is running. Ctrl-C ends every worker after its current iteration, with a checkpoint.

Options:
  --index N            run item N alone, in this process; exit codes as of \`mdgl train\`
  --list               print the items, their indices and folders
  --count              print the number of items
  --jobs N             worker processes at a time (default: the cores but one, divided by --threads)
  --threads N          threads of each run (default 1); results do not depend on it
  --retries N          how often an item is tried again whose worker was killed (default 1)
  --out DIR            the folder of the runs (default runs/sweep-<plan>)
  --json               one JSON line per start and end of an item; with --index the metrics
  -h, --help           this help

Examples:
  mdgl sweep rates.json --jobs 4
  mdgl sweep rates.json --list
  sbatch --array=0-23 --wrap 'mdgl sweep rates.json --index $SLURM_ARRAY_TASK_ID'
  mdgl compare --sweep rates.json`

export const BENCH_HELP = `mdgl bench: time whole training iterations, forward, gradient and Adam

Usage: mdgl bench <workload> [options]
       mdgl bench <workload> --against <workload> [options]
       mdgl bench --export <workload> --out FILE [options]

Workloads: ${WORKLOADS}
  W        40 inputs, 50 LIF and 50 ALIF cells, 2000 steps, 64 trials, density 0.1, 2 classes, plain Adam
  W2       the same with 400 cells and 1000 steps
  W3       20 inputs, 400 cells, 2000 steps, 1 trial, 3 outputs, squared error at every step
  W-paper  Fig. 3C itself: evidence accumulation with Dale's law, l1 and rewiring
  W-dense  W at density 1
  W-silent W with input in the first 20 ms alone and the other weights near 0, so that all state decays to 0
  W-faint  W with readout weights near 0, so that learning signals are near 0, too

Options:
  --rule NAME          ${RULES}
                       (default mdgl)
  --threads N          threads of the engine (default: MDGL_THREADS, else one per core)
  --simd SET           ${SETS} (default: the best available)
  --repeats N          iterations to time, of which the median counts (default 7, after 2 that do not)
  --against WORKLOAD   run both workloads in turns, and print the processor time of each per neuron update: forward,
                       with the gradient and in two kernels, the least of --repeats rounds (default 20), and the ratios
  --seed N             seed of weights, inputs and targets (default 1)
  --neurons N, --steps N, --batch-size N, --density X
                       in place of the workload's own (W-paper: --batch-size only)
  --export WORKLOAD    write the workload to --out as JSON for other libraries instead of timing it
  --out FILE           that file
  --json               one JSON line
  -h, --help           this help

Examples:
  mdgl bench W --rule mdgl --threads 2
  mdgl bench W --rule bptt --simd avx2 --json
  mdgl bench W-silent --against W --threads 1
  mdgl bench --export W2 --out w2.json`

export const PLOT_HELP = `mdgl plot: draw a network, or a run

Usage: mdgl plot network <task> [options]
       mdgl plot network <file>.json [options]
       mdgl plot run <run> [options]

Tasks: ${TASKS}

Dots are cells, gathered by type; thin lines are synapses; dashed arrows are neuromodulatory channels, from the type
that secretes to the type that receives. A file holds a network description as \`network(…).build()\` returns it, as JSON.

Options:
  --seed N      of a network: seed of connectivity and initial weights (default 1; of a file its own)
  --curves      of a run: the loss along training (default)
  --raster      a trial with the run's last weights: inputs, spikes by cell type, readout
  --neuron N    membrane and threshold of a neuron in that trial
  --signals     learning and modulatory signal by type in that trial
  --weights     the weights now and at the start
  --out FILE    an .svg or a .png file (default network-<task>.svg, run-<picture>.svg)
  -h, --help    this help

Examples:
  mdgl plot network evidence-accumulation-six --out six-types.png
  mdgl plot network delayed-match --seed 2
  mdgl plot network my-network.json --out my-network.svg
  mdgl plot run runs/mine --raster --out raster.png`

export const PROFILE_HELP = `mdgl profile: time of a training iteration, kernel by kernel

Usage: mdgl profile <task> [options]

Tasks: ${TASKS}
and the workloads of \`mdgl bench\`: ${WORKLOADS}

Training iterations run on one batch from the same weights, in turns with and without the probes. For each kernel: ms per
iteration with its sampling error, calls, neuron updates, synaptic events, bytes and operations, and the rates reached
beside the measured peaks of the machine. docs/profiling.md explains how to read it.

Options (defaults are the task's where none is given):
  --rule NAME          ${RULES}
                       (default mdgl)
  --threads N          threads of the engine (default: MDGL_THREADS, else one per core)
  --simd SET           ${SETS} (default: the best available)
  --iterations N       profiled iterations (default 20; as many plain ones run in between)
  --every N            time one step in N (default 32)
  --batch-size N       trials in the batch
  --seed N             seed of network and batch (default 1)
  --precision P        f32 or f64 (default f32)
  --trace FILE         write a trace for Perfetto (ui.perfetto.dev) or chrome://tracing: one track per thread
  --roofline FILE.svg  draw the kernels under the machine's roofs, as SVG and PNG
  --compare SETS       instruction sets side by side, each in its own process: avx2,avx512
  --flame              how to see functions and source lines with perf
  --no-peaks           do not measure the machine
  --json               one JSON line (with --compare one per set)
  -h, --help           this help

Examples:
  mdgl profile evidence-accumulation --rule mdgl --threads 2 --trace run.json
  mdgl profile evidence-accumulation --rule mdgl --roofline roofline.svg
  mdgl profile W2 --rule bptt --threads 1 --compare avx2,avx512`

/** Options that may be chosen anew when a run is resumed or repeated. */
const ANEW = `  --threads N          threads of the engine (default: MDGL_THREADS, else one per core); results do not depend on it
  --checkpoint-every N iterations between checkpoints, 0 for none (default: as the run had it)
  --alignment-every N  record the angle to BPTT's gradient every N iterations (default: as the run had it)
  --live, --port N     show the run in a browser
  --json               metrics as JSON lines on stdout instead of the progress bar
  -h, --help           this help`

export const RESUME_HELP = `mdgl resume: continue a run from its last checkpoint

Usage: mdgl resume <run> [options]

The run ends with the same weights, bit for bit, as if it had never stopped. A damaged checkpoint is reported, and the
one before it used; with none left nothing is changed. Changes made while it ran (interventions.jsonl) are applied again at
their iteration. A run that another process is writing is refused, with the name of that process. A diverged run can be
continued with another learning rate; its records after the checkpoint are removed then.

Options:
  --learning-rate N      learning rate from the next iteration on (default: as it was)
  --from N               continue from the last checkpoint up to this iteration (default: from the last)
${ANEW}

Examples:
  mdgl resume runs/2026-01-31T12-00-00-evidence-accumulation-mdgl-1
  mdgl resume runs/mine --live`

export const RUNS_HELP = `mdgl runs: list the runs in a folder

Usage: mdgl runs [folder] [options]

One line per run folder below the folder (default runs): task, rule, seed, its progress, its last validation, and
its state: running, finished, diverged, or unfinished.

Options:
  --json        one JSON line per run
  -h, --help    this help

Examples:
  mdgl runs
  mdgl runs runs/compare-evidence-accumulation-2000
  mdgl runs --json | jq 'select(.state == "finished") | .loss'`

export const SHOW_HELP = `mdgl show: settings and progress of a run, and the commands for it

Usage: mdgl show <run> [options]

Options:
  --json        everything, config.json included, as one JSON line
  -h, --help    this help

Examples:
  mdgl show runs/mine
  mdgl show runs/mine --json | jq .config.training.optimiser`

export const DASHBOARD_HELP = `mdgl dashboard: show the runs in a folder in a browser

Usage: mdgl dashboard [folder] [options]

Every run below the folder (default runs), live while it grows: the curves of all rules, mean and spread over their seeds, angles
to BPTT, networks. Trials are shown while a run is trained: mdgl train … --live. The page can be opened on this
computer alone (127.0.0.1).

Options:
  --port N      the port (default: the first free one from 8765 on)
  -h, --help    this help

Examples:
  mdgl dashboard
  mdgl dashboard runs/compare-evidence-accumulation-2000`

export const EXPORT_HELP = `mdgl export: a run's weights and metrics for other programs

Usage: mdgl export <run> [options]

Weights are the final ones, or those of the last checkpoint of an unfinished run. An .npz holds, as NumPy arrays, the weights of each
projection a->b, its senders a->b.pre and receivers a->b.post, and each readout's bias c.bias.

Options:
  --weights FILE   a .safetensors, an .npz or an .npy file
  --projection A   of an .npy file: the projection, as a matrix with one row per sender and one column per receiver
  --metrics FILE   a .csv or a .parquet file
  -h, --help       this help

Examples:
  mdgl export runs/mine --weights mine.npz
  mdgl export runs/mine --weights recurrent.npy --projection 'cells->cells'
  mdgl export runs/mine --metrics mine.parquet`

export const REPORT_HELP = `mdgl report: a run on one page

Usage: mdgl report <run> [options]

Writes report.html into the run folder: its settings, its curves, a trial with its last weights, its network, and the command that
repeats it. One self-contained file. \`mdgl train\`, \`resume\` and \`repeat\` write it at their end.

Options:
  -h, --help    this help

Examples:
  mdgl report runs/mine`

export const COMPLETION_HELP = `mdgl completion: let the shell complete commands, options, tasks and rules

Usage: mdgl completion <shell>

Shells: bash, zsh

Options:
  -h, --help    this help

Examples:
  source <(mdgl completion bash)
  mdgl completion zsh >> ~/.zshrc`

export const REPEAT_HELP = `mdgl repeat: repeat a run

Usage: mdgl repeat <run> [options]

Trains from the run's config.json, with the changes that were made while it ran (interventions.jsonl) at their iterations: the same
weights, bit for bit, on every instruction set of the same class.

Options:
  --out DIR            the new run folder (default: the old one's name with -again)
${ANEW}

Examples:
  mdgl repeat runs/mine --out runs/mine-checked`
