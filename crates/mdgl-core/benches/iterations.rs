//! Benchmarks of whole passes over a batch of Fig. 3C: 100 cells, 2000 steps, 64 trials, one thread.
//!
//! `cargo bench --bench iterations -- [filter]`. Items are neuron updates: cells × steps × trials.

use std::fmt::{self, Debug, Formatter};
use std::sync::atomic::AtomicBool;

use divan::counter::ItemsCount;
use divan::{Bencher, Divan, black_box};
use mdgl_core::bench::Workload;
use mdgl_core::{Assignment, Instructions, Optimiser, Record, Rule, Training, Workers};

const CELLS: usize = 100;
const STEPS: usize = 2000;
const TRIALS: usize = 64;

fn main() {
    Divan::default().sample_count(30).config_with_args().main();
}

/// A rule on an instruction set.
#[derive(Clone, Copy)]
struct Case {
    rule: &'static str,
    set: Instructions,
}

impl Debug for Case {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.rule, self.set.name())
    }
}

fn sets() -> Vec<Instructions> {
    Instructions::ALL.into_iter().filter(|set| set.is_available()).collect()
}

fn cases() -> Vec<Case> {
    let rules = ["eprop", "mdgl", "nl-mdgl", "on-mdgl", "bptt"];
    rules.iter().flat_map(|&rule| sets().into_iter().map(move |set| Case { rule, set })).collect()
}

/// One batch, one thread.
struct Bench {
    workload: Workload<f32>,
    workers: Workers<f32>,
    cancel: AtomicBool,
}

impl Bench {
    fn new(set: Instructions) -> Self {
        Self {
            workload: Workload::paper(TRIALS, STEPS, 0.1),
            workers: Workers::with_instructions(1, set).expect("one thread"),
            cancel: AtomicBool::new(false),
        }
    }

    fn assignment(&self) -> Assignment<'_> {
        let Workload { batch, objective, .. } = &self.workload;
        Assignment { batch, objective }
    }
}

fn updates() -> ItemsCount {
    ItemsCount::new(CELLS * STEPS * TRIALS)
}

/// Inputs, simulation, losses.
#[divan::bench(args = sets())]
fn evaluate(bencher: Bencher, set: Instructions) {
    let bench = Bench::new(set);
    let Bench { workload, workers, cancel } = &bench;
    bencher.counter(updates()).bench_local(|| {
        black_box(mdgl_core::evaluate(&workload.model, bench.assignment(), workers, cancel)).is_ok()
    });
}

/// Inputs and simulation, spikes and readout recorded.
#[divan::bench(args = sets())]
fn simulate(bencher: Bencher, set: Instructions) {
    let Bench { workload, workers, cancel } = Bench::new(set);
    bencher.counter(updates()).bench_local(|| {
        black_box(mdgl_core::simulate(&workload.model, &workload.batch, Record::default(), &workers, &cancel))
            .is_ok()
    });
}

/// Inputs, simulation, losses, gradients.
#[divan::bench(args = cases())]
fn gradients(bencher: Bencher, case: Case) {
    let bench = Bench::new(case.set);
    let Bench { workload, workers, cancel } = &bench;
    let rule = Rule::named(case.rule).expect("a rule");
    bencher.counter(updates()).bench_local(|| {
        black_box(mdgl_core::gradients(&workload.model, bench.assignment(), &rule, None, workers, cancel))
            .is_ok()
    });
}

/// A training iteration: gradients, optimiser, rewiring.
#[divan::bench(args = cases())]
fn train_step(bencher: Bencher, case: Case) {
    let bench = Bench::new(case.set);
    let Bench { workload, workers, cancel } = &bench;
    let rule = Rule::named(case.rule).expect("a rule");
    let optimiser = Optimiser::fig_3c();
    bencher.counter(updates()).bench_local(|| {
        let step = mdgl_core::train_step(
            &workload.model,
            bench.assignment(),
            Training { rule: &rule, optimiser: &optimiser },
            None,
            workers,
            cancel,
        );
        black_box(step).is_ok()
    });
}
