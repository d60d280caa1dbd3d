//! Simulation of a block of trials through time, and its recordings.
//!
//! ψ is the large part: it is kept whole while it fits into [`MOST_BYTES`]; of a longer trial only the last segment,
//! with the state at each segment's start. The backward pass loads earlier segments, which are simulated
//! again: the same operations, so the same bits.

use std::ops::Range;
use std::sync::atomic::AtomicBool;

use crate::batch::encode::BlockInput;
use crate::error::Result;
use crate::numeric::cancel::check_cancelled;
use crate::numeric::lanes::{Block, LANES, Lanes, Mask, SimdKernel};
use crate::numeric::memory::{bytes_of, ensure_memory, product, refill, resize};
use crate::numeric::scalar::Scalar;
use crate::simulate::compiled::{CellRun, CompiledNetwork, ended};
use crate::simulate::packed::{Packed, RowReader};
use crate::simulate::step::{BlockStep, Column, NetworkState, PackedPsi, Row, Snapshot, step};

/// Bytes of ψ that a block of trials may keep.
pub(crate) const MOST_BYTES: usize = 64 << 20;

const SUMS: &str = "the sums of the pseudo-derivatives of a block of trials";

/// A simulated block of trials: all that the backward pass and the losses need.
#[derive(Debug, Default)]
pub(crate) struct Trajectory<F: Scalar> {
    pub state: NetworkState<F>,
    /// Readout `[step][unit]`.
    pub readout: Vec<Block<F>>,
    /// Membrane `[step][neuron]`, if recorded.
    pub voltage: Vec<Block<F>>,
    /// Chosen variables `[step][column]`.
    pub chosen: Vec<Block<F>>,
    pub lengths: [u32; LANES],
    pub steps: usize,
    /// ψ of the loaded segment, one row per step; empty if none is needed.
    psi: Packed<F>,
    pub segments: Segments<Snapshot<F>>,
    pub replay: NetworkState<F>,
    scratch: Vec<Block<F>>,
    /// Σ_t ψ of each cell, if needed.
    psi_sums: Vec<Block<F>>,
}

/// A trial's steps in segments, of which one is loaded: its ψ is kept.
#[derive(Debug)]
pub(crate) struct Segments<S> {
    /// Steps of the trial, and of a segment.
    steps: usize,
    length: usize,
    loaded: usize,
    /// State before each segment; none where one segment holds the whole trial.
    snapshots: Vec<S>,
}

impl<S> Default for Segments<S> {
    fn default() -> Self {
        Self { steps: 0, length: 1, loaded: 0, snapshots: Vec::new() }
    }
}

impl<S> Segments<S> {
    /// Begins a trial; once it is simulated, its last segment is loaded.
    pub fn reset(&mut self, steps: usize, length: usize) {
        (self.steps, self.length, self.loaded) = (steps, length, (steps - 1) / length);
        self.snapshots.clear();
    }

    /// Their number.
    pub fn count(&self) -> usize {
        self.steps.div_ceil(self.length)
    }

    /// Steps of a full segment.
    #[inline(always)]
    pub fn length(&self) -> usize {
        self.length
    }

    /// The segment of a step.
    #[inline(always)]
    pub fn of(&self, step: usize) -> usize {
        step / self.length
    }

    /// The place of a step in its segment.
    #[inline(always)]
    pub fn row(&self, step: usize) -> usize {
        // Most trials are one segment: no division.
        if step < self.length { step } else { step % self.length }
    }

    /// Steps of a segment.
    pub fn steps(&self, segment: usize) -> Range<usize> {
        segment * self.length..((segment + 1) * self.length).min(self.steps)
    }

    /// Steps of the loaded one.
    pub fn loaded_steps(&self) -> Range<usize> {
        self.steps(self.loaded)
    }

    /// Whether a segment begins with a step whose state will be needed again.
    #[inline(always)]
    pub fn begins(&self, step: usize) -> bool {
        step.is_multiple_of(self.length) && self.count() > 1
    }

    /// Saves the state before the next segment.
    pub fn keep(&mut self, snapshot: S) {
        self.snapshots.push(snapshot);
    }

    /// The state before a segment and its steps, to be simulated again; `None` where it is loaded.
    pub fn missing(&self, segment: usize) -> Option<(&S, Range<usize>)> {
        (segment != self.loaded).then(|| (&self.snapshots[segment], self.steps(segment)))
    }

    /// Marks a segment as loaded.
    pub fn set_loaded(&mut self, segment: usize) {
        self.loaded = segment;
    }
}

/// Options of what a simulation stores.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep<'a, F: Scalar> {
    /// ψ of the cells of the runs that need it; the others' counts as 0.
    pub psi: Option<&'a [CellRun<F>]>,
    pub voltage: bool,
    /// Variables of single neurons; trials must be in the lanes then.
    pub chosen: &'a [Column<F>],
    /// Steps of ψ at once; `None`: as many as fit into the budget.
    pub segment: Option<usize>,
    /// Whether ψ is also summed over all steps; then of all cells.
    pub sums: bool,
    /// Whether trials must be in the lanes, however few they are.
    pub in_blocks: bool,
}

impl<F: Scalar> Keep<'_, F> {
    /// The readout and the spikes alone.
    pub const NOTHING: Self =
        Self { psi: None, voltage: false, chosen: &[], segment: None, sums: false, in_blocks: false };
}

impl<F: Scalar> Trajectory<F> {
    /// Bytes of memory in use.
    pub fn bytes(&self) -> usize {
        let blocks =
            [&self.readout, &self.voltage, &self.chosen, &self.scratch, &self.psi_sums].map(bytes_of);
        let snapshots = self.segments.snapshots.iter().map(Snapshot::bytes).sum::<usize>();
        let states = self.state.bytes() + self.replay.bytes();
        blocks.iter().sum::<usize>() + self.psi.bytes() + snapshots + states
    }

    /// Prepares the buffers for so many steps; every row is written before it is read.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] when they cannot be allocated.
    pub fn prepare(
        &mut self,
        network: &CompiledNetwork<F>,
        lengths: [u32; LANES],
        steps: usize,
        keep: Keep<'_, F>,
    ) -> Result<()> {
        self.lengths = lengths;
        self.steps = steps;
        self.state.reset(network)?;
        self.state.values.reserve(steps)?;
        let (n, outputs) = (network.size(), network.outputs());
        let fitting = MOST_BYTES / (n * size_of::<Block<F>>());
        let length = match keep.psi {
            Some(_) => keep.segment.unwrap_or(fitting).clamp(1, steps),
            None => 1,
        };
        self.segments.reset(steps, length);
        let voltages = if keep.voltage { steps } else { 0 };
        self.psi.clear(length, n)?;
        for (buffer, rows, columns, what) in [
            (&mut self.voltage, voltages, n, "the membrane traces of a block of trials"),
            (&mut self.chosen, steps, keep.chosen.len(), "the recorded variables of a block of trials"),
            (&mut self.readout, steps, outputs, "the readouts of a block of trials"),
        ] {
            resize(buffer, product(&[rows, columns]), Block::ZERO, what)?;
        }
        refill(&mut self.psi_sums, if keep.sums { n } else { 0 }, SUMS)?;
        Ok(())
    }

    /// Number of spikes of each neuron in all lanes.
    pub fn spike_counts(&self, neurons: usize) -> Vec<u64> {
        let mut counts = vec![0; neurons];
        for step in 0..self.steps {
            for entry in self.state.spikes.at(step) {
                counts[entry.unit as usize] += u64::from(entry.mask.count_ones());
            }
        }
        counts
    }

    /// Number of spikes of each neuron in each lane.
    pub fn counts_by_trial(&self, neurons: usize) -> Vec<[u32; LANES]> {
        let mut counts = vec![[0; LANES]; neurons];
        for step in 0..self.steps {
            for entry in self.state.spikes.at(step) {
                for (lane, count) in counts[entry.unit as usize].iter_mut().enumerate() {
                    *count += u32::from(entry.mask >> lane & 1);
                }
            }
        }
        counts
    }

    /// Σ ψ over all steps of all lanes, one per cell; empty if not requested.
    pub fn psi_sums(&self) -> Vec<f64> {
        self.psi_sums.iter().map(|block| block.sum().to_f64()).collect()
    }

    /// Adds the ψ of a step.
    #[inline(always)]
    fn sum_psi<L: Lanes<Scalar = F>>(&mut self, step: usize) {
        let mut psi = self.psi.row(self.segments.row(step));
        for sum in &mut self.psi_sums {
            L::load(sum).add(psi.next()).store(sum);
        }
    }

    /// Number of ψ above 0 in an average step of the loaded segment; 0 if none is stored.
    pub fn mean_psi(&self) -> f64 {
        self.psi.values() as f64 / self.segments.loaded_steps().len() as f64
    }

    /// ψ of a step of the loaded segment.
    #[inline(always)]
    pub fn psi(&self, step: usize) -> RowReader<'_, F> {
        self.psi.row(self.segments.row(step))
    }
}

/// The simulation of one block as a kernel, or of one segment of it once more, for its ψ.
pub struct Simulate<'a, F: Scalar> {
    pub(crate) network: &'a CompiledNetwork<F>,
    pub(crate) input: &'a BlockInput<F>,
    pub(crate) trajectory: &'a mut Trajectory<F>,
    pub(crate) keep: Keep<'a, F>,
    /// The segment whose ψ is to be loaded; `None`: all steps, for all that is kept.
    pub(crate) segment: Option<usize>,
    pub(crate) cancel: &'a AtomicBool,
}

impl<F: Scalar> SimdKernel<F> for Simulate<'_, F> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(mut self) -> Result<()> {
        let steps = match self.segment {
            None => self.begin()?,
            Some(segment) => match self.begin_segment(segment)? {
                Some(steps) => steps,
                None => return Ok(()),
            },
        };
        let Self { network, input, trajectory, keep, segment, cancel } = self;
        let (n, outputs) = (network.size(), network.outputs());
        for t in steps {
            check_cancelled(t, cancel)?;
            if segment.is_none() && keep.psi.is_some() && trajectory.segments.begins(t) {
                trajectory.segments.keep(trajectory.state.snapshot());
                trajectory.psi.clear(trajectory.segments.length(), n)?;
            }
            let ended_lanes = ended(&trajectory.lengths, t);
            let Trajectory { state, replay, readout, voltage, chosen, scratch, psi, .. } = &mut *trajectory;
            let (state, readout) = match segment {
                None => (state, &mut readout[t * outputs..(t + 1) * outputs]),
                Some(_) => (replay, &mut scratch[..]),
            };
            let voltage = keep.voltage.then(|| &mut voltage[t * n..(t + 1) * n]);
            let width = keep.chosen.len();
            let chosen = (width > 0).then(|| (keep.chosen, &mut chosen[t * width..(t + 1) * width]));
            state.spikes.reserve_step(n)?;
            let mut writer = match keep.psi {
                Some(runs) => PackedPsi { row: psi.begin_row()?, runs },
                None => PackedPsi::none(&network.runs),
            };
            let block_step = BlockStep { network, input, step: t, ended_lanes };
            step::<L, _>(block_step, state, &mut writer, Row { readout, voltage, chosen });
            let written = writer.row.written();
            psi.end_row(written);
            if keep.sums && keep.psi.is_some() {
                trajectory.sum_psi::<L>(t);
            }
        }
        if let Some(segment) = segment {
            trajectory.segments.set_loaded(segment);
        }
        Ok(())
    }
}

impl<F: Scalar> Simulate<'_, F> {
    /// All steps; memory for their snapshots is available.
    fn begin(&self) -> Result<Range<usize>> {
        let (network, segments) = (self.network, self.trajectory.segments.count());
        if self.keep.psi.is_some() && segments > 1 {
            let (n, outputs) = (network.size(), network.outputs());
            let bytes = size_of::<Block<F>>() * ((1 + network.further) * n + outputs) + size_of::<Mask>() * n;
            ensure_memory(product(&[segments, bytes]), "snapshots of a block of trials")?;
        }
        Ok(0..self.trajectory.steps)
    }

    /// The steps of a segment, from the state before it; `None` where it is loaded.
    fn begin_segment(&mut self, segment: usize) -> Result<Option<Range<usize>>> {
        let Trajectory { state, psi, segments, replay, scratch, .. } = &mut *self.trajectory;
        let Some((snapshot, steps)) = segments.missing(segment) else { return Ok(None) };
        replay.restore(self.network, snapshot, state, steps.start);
        scratch.resize(self.network.outputs(), Block::ZERO);
        psi.clear(steps.len(), self.network.size())?;
        Ok(Some(steps))
    }
}
