//! The thread pool of a session, and the memory in which its threads work on blocks of trials.

use std::ops::Range;
use std::sync::Mutex;

use rayon::prelude::*;

use crate::batch::encode::BlockInput;
use crate::error::{Result, invalid};
use crate::instrument::recorder::{ProfileStage, Recorder, Span};
use crate::instrument::section::Section;
use crate::instrument::tally::Tally;
use crate::learn::backward::BackwardState;
use crate::learn::plan::Delta;
use crate::learn::traces::Traces;
use crate::numeric::lanes::{Block, Instructions, LANES};
use crate::run::real::Real;
use crate::run::singles::Singles;
use crate::run::structure_cache::StructureCache;
use crate::simulate::trajectory::Trajectory;
use crate::single::Layout;

/// Threads and the memory that batches reuse.
#[derive(Debug)]
pub struct Workers<F: Real> {
    pub(super) pool: rayon::ThreadPool,
    pub(super) instructions: Instructions,
    pub(super) segment: Option<usize>,
    pub(super) layout: Option<Layout>,
    /// Whether `MDGL_LAYOUT` chose it: a batch that cannot be computed in it is refused then.
    pub(super) layout_is_demanded: bool,
    pub(super) workspaces: Mutex<Vec<Workspace<F>>>,
    /// Lists that the next batch may use again.
    pub(super) structure: StructureCache<F>,
    /// Recorder of stages, while a profile is made.
    pub(super) recorder: Option<Recorder>,
}

/// The memory that one block of trials needs from its input to its gradient.
#[derive(Debug, Default)]
pub(super) struct Workspace<F: Real> {
    pub(super) input: BlockInput<F>,
    pub(super) trajectory: Trajectory<F>,
    pub(super) delta: Delta<F>,
    pub(super) backward_state: BackwardState<F>,
    pub(super) traces: Traces<F>,
    /// Layout in which the trials were simulated: `trajectory` holds them as lanes, `singles` one by one.
    pub(super) layout: Layout,
    pub(super) singles: Singles<F>,
}

impl<F: Real> Workspace<F> {
    fn bytes(&self) -> usize {
        let blocks = self.trajectory.bytes() + self.backward_state.bytes() + self.traces.bytes();
        self.input.bytes() + self.delta.bytes() + blocks + self.singles.bytes()
    }

    /// The readout, `[step][unit]`.
    pub(super) fn readout(&self) -> &[Block<F>] {
        match self.layout {
            Layout::Trials => &self.trajectory.readout,
            Layout::Neurons => &self.singles.readout,
        }
    }

    pub(super) fn spike_counts(&self, neurons: usize) -> Vec<u64> {
        match self.layout {
            Layout::Trials => self.trajectory.spike_counts(neurons),
            Layout::Neurons => self.singles.spike_counts(neurons),
        }
    }

    /// Σ ψ over all steps of all trials, one per neuron; empty where it was not kept.
    pub(super) fn psi_sums(&self, neurons: usize) -> Vec<f64> {
        match self.layout {
            Layout::Trials => self.trajectory.psi_sums(),
            Layout::Neurons => self.singles.psi_sums(neurons),
        }
    }

    /// Number of spikes of each neuron in each trial.
    pub(super) fn counts_by_trial(&self, neurons: usize) -> Vec<[u32; LANES]> {
        match self.layout {
            Layout::Trials => self.trajectory.counts_by_trial(neurons),
            Layout::Neurons => self.singles.counts_by_trial(neurons),
        }
    }

    /// Adds the neurons of one trial that spike at a step.
    pub(super) fn list_spikes(&self, lane: usize, step: usize, to: &mut Vec<u32>) {
        match self.layout {
            Layout::Trials => {
                let entries = self.trajectory.state.spikes.at(step).iter();
                to.extend(entries.filter(|entry| entry.mask >> lane & 1 == 1).map(|entry| entry.unit));
            }
            Layout::Neurons => to.extend(self.singles.trial(lane).spikes_at(step)),
        }
    }

    /// Adds the membrane of one trial's neurons at a step.
    pub(super) fn list_voltages(&self, lane: usize, step: usize, neurons: usize, to: &mut Vec<F>) {
        match self.layout {
            Layout::Trials => {
                let row = &self.trajectory.voltage[step * neurons..(step + 1) * neurons];
                to.extend(row.iter().map(|block| block.0[lane]));
            }
            Layout::Neurons => to.extend(&self.singles.trial(lane).voltage_at(step, neurons)[..neurons]),
        }
    }
}

impl<F: Real> Workers<F> {
    /// So many threads, on the best instruction set of the processor (or `MDGL_SIMD`'s); in the layout that `MDGL_LAYOUT`
    /// names, if it is set.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for 0 or over 1024 threads, or when the system gives none.
    pub fn new(threads: usize) -> Result<Self> {
        Self::with_instructions(threads, Instructions::choose()?)
    }

    /// So many threads on a given instruction set.
    ///
    /// # Errors
    /// As [`Self::new`]; also when the processor lacks the instruction set.
    pub fn with_instructions(threads: usize, instructions: Instructions) -> Result<Self> {
        if threads == 0 || threads > 1024 {
            return Err(invalid("threads", threads, "1 to 1024"));
        }
        if !instructions.is_available() {
            return Err(invalid("instructions", instructions.name(), "one that the processor has"));
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("mdgl-{i}"))
            .build()
            .map_err(|e| invalid("threads", threads, format!("fewer ({e})")))?;
        let layout = Layout::from_environment()?;
        let layout_is_demanded = layout.is_some();
        Ok(Self {
            pool,
            instructions,
            segment: None,
            layout,
            layout_is_demanded,
            workspaces: Mutex::default(),
            structure: StructureCache::default(),
            recorder: None,
        })
    }

    /// Keeps the pseudo-derivatives of at most so many steps at once and simulates the others again when the
    /// backward pass needs them. By default as many as fit into 64 MiB per block of sixteen trials; it never changes
    /// a result.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for 0.
    pub fn with_segment(mut self, steps: usize) -> Result<Self> {
        if steps == 0 {
            return Err(invalid("segment", steps, "at least 1 step"));
        }
        self.segment = Some(steps);
        Ok(self)
    }

    /// Puts trials or neurons into the lanes, whatever the batch. By default the faster of both for a network, a rule and a
    /// block's number of trials; it never changes a result. Where anything diffuses trials stand in the lanes always.
    #[must_use]
    pub fn with_layout(mut self, layout: Layout) -> Self {
        (self.layout, self.layout_is_demanded) = (Some(layout), false);
        self
    }

    /// Bytes of memory that is kept for the next batch.
    pub fn bytes(&self) -> usize {
        let workspaces = self.workspaces.lock().unwrap_or_else(|e| e.into_inner());
        workspaces.iter().map(Workspace::bytes).sum::<usize>() + self.structure.bytes()
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// The instruction set in use.
    pub fn instructions(&self) -> Instructions {
        self.instructions
    }

    /// Starts or ends a recording; returns the previous recorder.
    pub(crate) fn set_recorder(&mut self, recorder: Option<Recorder>) -> Option<Recorder> {
        std::mem::replace(&mut self.recorder, recorder)
    }

    /// Runs on every thread at once, with its index.
    pub(crate) fn on_each_thread(&self, job: impl Fn(usize) + Sync) {
        self.pool.broadcast(|context| job(context.index()));
    }

    /// A stage begins, of a block or of the whole batch.
    pub(super) fn span(&self, stage: ProfileStage, block: Option<usize>) -> Span<'_> {
        Span::begin(self.recorder.as_ref(), stage, block)
    }

    /// Whether work is counted.
    pub(super) fn counts(&self) -> bool {
        self.recorder.as_ref().is_some_and(Recorder::counts)
    }

    /// Counts work, while a profile is made.
    pub(super) fn count<const N: usize>(&self, tallies: impl FnOnce() -> [(Section, Tally); N]) {
        if let Some(recorder) = self.recorder.as_ref().filter(|recorder| recorder.counts()) {
            recorder.count(&tallies());
        }
    }

    /// Runs a job for each of some blocks; results in the order of the blocks.
    pub(super) fn blocks<T: Send>(
        &self,
        blocks: &Range<usize>,
        job: impl Fn(usize, &mut Workspace<F>) -> Result<T> + Sync + Send,
    ) -> Result<Vec<T>> {
        let in_workspace = |block| {
            let mut workspace = self.acquire();
            let result = job(block, &mut workspace);
            self.release(workspace);
            result
        };
        self.pool.install(|| blocks.clone().into_par_iter().map(in_workspace).collect())
    }

    pub(super) fn acquire(&self) -> Workspace<F> {
        let mut workspaces = self.workspaces.lock().unwrap_or_else(|e| e.into_inner());
        workspaces.pop().unwrap_or_default()
    }

    pub(super) fn release(&self, workspace: Workspace<F>) {
        self.workspaces.lock().unwrap_or_else(|e| e.into_inner()).push(workspace);
    }
}
