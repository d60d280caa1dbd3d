//! A block of trials through time, and what is kept of it.
//!
//! ψ is the large part: it is kept whole while it fits into [`MOST_BYTES`]; of a longer trial only the last segment,
//! with the state at each segment's start. The backward pass asks for earlier segments, which are simulated
//! again: the same operations, so the same bits.

use std::sync::atomic::AtomicBool;

use crate::circuit::{Circuit, ended};
use crate::encode::BlockInput;
use crate::error::Result;
use crate::lanes::{Block, Kernel, LANES, Lanes};
use crate::memory::{product, resize};
use crate::real::Real;
use crate::simulate::{Row, Snapshot, State, check_cancelled, step};

/// Bytes of ψ that a block of trials may keep.
const MOST_BYTES: usize = 64 << 20;

/// What a block of trials did: all that the backward pass and the losses need.
#[derive(Debug, Default)]
pub(crate) struct Trajectory<F: Real> {
    pub state: State<F>,
    /// Readout `[step][unit]`.
    pub readout: Vec<Block<F>>,
    /// Membrane `[step][neuron]`, if recorded.
    pub voltage: Vec<Block<F>>,
    pub lengths: [u32; LANES],
    pub steps: usize,
    /// ψ of the segment at hand, `[step − its first][neuron]`; of the last step only where none is wanted.
    psi: Vec<Block<F>>,
    /// Steps in a segment.
    segment: usize,
    /// The segment at hand.
    loaded: usize,
    /// State before each segment; none where one segment holds the whole trial.
    snapshots: Vec<Snapshot<F>>,
    replay: State<F>,
    scratch: Vec<Block<F>>,
}

/// What a simulation keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Keep {
    pub psi: bool,
    pub voltage: bool,
    /// Steps of ψ at once; `None`: as many as fit into the budget.
    pub segment: Option<usize>,
}

impl<F: Real> Trajectory<F> {
    /// Prepares the buffers for so many steps; every row is written before it is read.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] when they cannot be had.
    pub fn prepare(
        &mut self,
        circuit: &Circuit<F>,
        lengths: [u32; LANES],
        steps: usize,
        keep: Keep,
    ) -> Result<()> {
        self.lengths = lengths;
        self.steps = steps;
        self.state.reset(circuit)?;
        self.snapshots.clear();
        let (n, outputs) = (circuit.size(), circuit.outputs());
        let fitting = MOST_BYTES / (n * size_of::<Block<F>>());
        self.segment = match keep.psi {
            true => keep.segment.unwrap_or(fitting).clamp(1, steps),
            false => 1,
        };
        self.loaded = (steps - 1) / self.segment;
        let voltages = if keep.voltage { steps } else { 0 };
        for (buffer, rows, columns, what) in [
            (&mut self.psi, self.segment, n, "the pseudo-derivatives of a block of trials"),
            (&mut self.voltage, voltages, n, "the membrane traces of a block of trials"),
            (&mut self.readout, steps, outputs, "the readouts of a block of trials"),
        ] {
            resize(buffer, product(&[rows, columns]), Block::ZERO, what)?;
        }
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

    /// Number of segments.
    pub fn segments(&self) -> usize {
        self.steps.div_ceil(self.segment)
    }

    /// The segment of a step.
    #[inline(always)]
    pub fn segment_of(&self, step: usize) -> usize {
        step / self.segment
    }

    /// Steps of a segment.
    pub fn steps_of(&self, segment: usize) -> std::ops::Range<usize> {
        segment * self.segment..((segment + 1) * self.segment).min(self.steps)
    }

    /// ψ of a step of the segment at hand.
    #[inline(always)]
    pub fn psi(&self, step: usize, neurons: usize) -> &[Block<F>] {
        &self.psi[step % self.segment * neurons..][..neurons]
    }

    /// Brings a segment's ψ back.
    #[inline(always)]
    pub fn load<L: Lanes<Scalar = F>>(
        &mut self,
        circuit: &Circuit<F>,
        input: &BlockInput<F>,
        segment: usize,
    ) {
        if segment == self.loaded {
            return;
        }
        let (n, steps) = (circuit.size(), self.steps_of(segment));
        self.replay.restore(circuit, &self.snapshots[segment], &self.state.spikes, steps.start);
        self.scratch.resize(circuit.outputs(), Block::ZERO);
        for t in steps {
            let psi = &mut self.psi[t % self.segment * n..][..n];
            let row = Row { psi, readout: &mut self.scratch, voltage: None };
            step::<L>(circuit, input, &mut self.replay, t, ended(&self.lengths, t), row);
        }
        self.loaded = segment;
    }
}

/// The simulation of one block as a kernel.
pub struct Simulate<'a, F: Real> {
    pub(crate) circuit: &'a Circuit<F>,
    pub(crate) input: &'a BlockInput<F>,
    pub(crate) trajectory: &'a mut Trajectory<F>,
    pub(crate) keep: Keep,
    pub(crate) cancel: &'a AtomicBool,
}

impl<F: Real> Kernel<F> for Simulate<'_, F> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(self) -> Result<()> {
        let Self { circuit, input, trajectory, keep, cancel } = self;
        let (n, outputs) = (circuit.size(), circuit.outputs());
        let snapshots = keep.psi && trajectory.segments() > 1;
        for t in 0..trajectory.steps {
            check_cancelled(t, cancel)?;
            if snapshots && t.is_multiple_of(trajectory.segment) {
                trajectory.snapshots.push(trajectory.state.snapshot());
            }
            let row = Row {
                psi: &mut trajectory.psi[t % trajectory.segment * n..][..n],
                readout: &mut trajectory.readout[t * outputs..(t + 1) * outputs],
                voltage: keep.voltage.then(|| &mut trajectory.voltage[t * n..(t + 1) * n]),
            };
            let over = ended(&trajectory.lengths, t);
            step::<L>(circuit, input, &mut trajectory.state, t, over, row);
        }
        Ok(())
    }
}
