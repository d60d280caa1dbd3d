//! Benchmarks of single kernels on one block of sixteen trials of Fig. 3C with 1000 steps, one thread.
//!
//! `cargo bench --bench kernels -- [filter]`. A call is the whole block: its µs are ns per step of 16 trials. Items are
//! what the kernel's work is counted in: neuron updates (cells × steps × trials), synaptic events (events × synapses of
//! their senders, in each trial), modulatory gains (× steps × trials), input events, gradient sums or weights.

use std::sync::atomic::{AtomicUsize, Ordering};

use divan::counter::ItemsCount;
use divan::{Bencher, Divan};
use mdgl_core::Instructions;
use mdgl_core::bench::{TrialBlock, optimise, rewire};
use mdgl_core::profile::Section;

fn main() {
    Divan::default().sample_count(500).config_with_args().main();
}

const SPARSE: f64 = 0.1;
const DENSE: f64 = 1.0;

fn sets() -> Vec<Instructions> {
    Instructions::ALL.into_iter().filter(|set| set.is_available()).collect()
}

fn block(rule: &str) -> TrialBlock<f32> {
    TrialBlock::new(rule, SPARSE)
}

/// Calls a kernel repeatedly; `items` is the work of one call.
fn time(bencher: Bencher, items: u64, mut call: impl FnMut()) {
    bencher.counter(ItemsCount::new(items)).bench_local(&mut call);
}

mod drawing_inputs {
    use super::*;

    #[divan::bench]
    fn from_rates(bencher: Bencher) {
        let mut block = block("mdgl");
        time(bencher, block.events(), || block.encode());
    }

    #[divan::bench]
    fn from_events(bencher: Bencher) {
        let mut block = block("mdgl");
        block.give_events();
        time(bencher, block.events(), || block.encode());
    }
}

#[divan::bench(args = sets())]
fn input_scatter(bencher: Bencher, set: Instructions) {
    let mut block = block("mdgl");
    let events = block.tally(Section::InputScatter).synaptic_events;
    time(bencher, events, || block.scatter_input(set));
}

#[divan::bench(args = sets())]
fn recurrent_scatter(bencher: Bencher, set: Instructions) {
    let mut block = block("mdgl");
    let events = block.tally(Section::RecurrentScatter).synaptic_events;
    time(bencher, events, || block.scatter_spikes(set));
}

mod neuron_update {
    use super::*;

    fn update(bencher: Bencher, set: Instructions, silent: bool) {
        let mut block = block("mdgl");
        let updates = block.tally(Section::NeuronUpdate).neuron_updates;
        time(bencher, updates, || block.update_neurons(set, silent));
    }

    #[divan::bench(args = sets())]
    fn active(bencher: Bencher, set: Instructions) {
        update(bencher, set, false);
    }

    /// Every state is 0; the cost should be that of an active one.
    #[divan::bench(args = sets())]
    fn silent(bencher: Bencher, set: Instructions) {
        update(bencher, set, true);
    }
}

mod readout {
    use super::*;

    fn read_out(bencher: Bencher, set: Instructions, density: f64) {
        let mut block = TrialBlock::<f32>::new("mdgl", density);
        let events = block.tally(Section::Readout).synaptic_events;
        time(bencher, events, || block.read_out(set));
    }

    #[divan::bench(args = sets())]
    fn sparse(bencher: Bencher, set: Instructions) {
        read_out(bencher, set, SPARSE);
    }

    #[divan::bench(args = sets())]
    fn dense(bencher: Bencher, set: Instructions) {
        read_out(bencher, set, DENSE);
    }
}

/// Squared error of both readout units; items are steps × trials.
#[divan::bench]
fn loss(bencher: Bencher) {
    let mut block = block("mdgl");
    let steps = block.tally(Section::NeuronUpdate).neuron_updates / 100;
    time(bencher, steps, || {
        divan::black_box(block.evaluate_loss_every_step());
    });
}

mod backward_recursion {
    use super::*;

    fn recurse(bencher: Bencher, set: Instructions, rule: &str) {
        let mut block = block(rule);
        let updates = block.tally(Section::BackwardRecursion).neuron_updates;
        time(bencher, updates, || block.recurse(set));
    }

    /// Restricted to the cells that project to the readout.
    #[divan::bench(args = sets())]
    fn eprop(bencher: Bencher, set: Instructions) {
        recurse(bencher, set, "eprop");
    }

    #[divan::bench(args = sets())]
    fn mdgl(bencher: Bencher, set: Instructions) {
        recurse(bencher, set, "mdgl");
    }

    #[divan::bench(args = sets())]
    fn bptt(bencher: Bencher, set: Instructions) {
        recurse(bencher, set, "bptt");
    }
}

mod modulation {
    use super::*;

    fn modulate(bencher: Bencher, set: Instructions, rule: &str) {
        let mut block = block(rule);
        let gains = block.tally(Section::Modulation).operations / 2;
        time(bencher, gains, || block.modulate(set));
    }

    #[divan::bench(args = sets())]
    fn mdgl(bencher: Bencher, set: Instructions) {
        modulate(bencher, set, "mdgl");
    }

    #[divan::bench(args = sets())]
    fn nonlocal_mdgl(bencher: Bencher, set: Instructions) {
        modulate(bencher, set, "nl-mdgl");
    }

    #[divan::bench(args = sets())]
    fn bptt(bencher: Bencher, set: Instructions) {
        modulate(bencher, set, "bptt");
    }
}

#[divan::bench(args = sets())]
fn gradient_gather(bencher: Bencher, set: Instructions) {
    let mut block = block("mdgl");
    let events = block.tally(Section::GradientGather).synaptic_events;
    time(bencher, events, || block.gather(set));
}

/// Over sixteen lanes and four blocks; items are gradient sums.
#[divan::bench]
fn reduction(bencher: Bencher) {
    let block = block("mdgl");
    let sums = block.tally(Section::Reduction).operations / 16;
    time(bencher, sums, || {
        divan::black_box(block.reduce());
    });
}

/// Items are weights.
mod optimiser {
    use super::*;

    #[divan::bench]
    fn learning(bencher: Bencher) {
        let block = block("mdgl");
        let gradients = block.reduce();
        time(bencher, block.weights(), || {
            divan::black_box(optimise(block.model(), &gradients));
        });
    }

    /// No gradient for about a thousand steps: the first moments have decayed to subnormal numbers.
    #[divan::bench]
    fn forgotten(bencher: Bencher) {
        let block = block("mdgl");
        let (model, gradients) = block.forgotten();
        time(bencher, block.weights(), || {
            divan::black_box(optimise(&model, &gradients));
        });
    }
}

/// One synapse in twenty is dead; items are weights.
#[divan::bench]
fn rewiring(bencher: Bencher) {
    let block = block("mdgl");
    let model = block.pruned();
    bencher.counter(ItemsCount::new(block.weights())).with_inputs(|| model.clone()).bench_local_refs(rewire);
}

/// Two threads that wait for each other: the least cost of a step whose cells two threads share. A call is 1000 times.
#[divan::bench]
fn barrier(bencher: Bencher) {
    const TIMES: usize = 1000;
    let meet = |own: &AtomicUsize, other: &AtomicUsize| {
        for step in 1..=TIMES {
            own.store(step, Ordering::Release);
            while other.load(Ordering::Acquire) < step {
                std::hint::spin_loop();
            }
        }
    };
    bencher.bench_local(|| {
        let (a, b) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| meet(&a, &b));
            meet(&b, &a);
        });
    });
}
