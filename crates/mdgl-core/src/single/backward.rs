//! The backward pass of one trial, neurons side by side: the recursions of [`crate::learn::backward`].
//!
//! Steps go by in tiles. Within a tile the errors come first, then the learning signals, then what cells secrete (with
//! steps in the lanes, so that [`crate::learn::modulation`] serves as it is), then some blocks of cells at a time run through
//! all steps of the tile, and last the events add to the sums. Where cells secrete λ (BPTT) all cells go step by step.

use std::ops::Range;
use std::sync::atomic::AtomicBool;

use crate::error::Result;
use crate::instrument::probe::Probe;
use crate::instrument::section::Section;
use crate::learn::low_pass::{FilteredPsi, LowPass, PsiSegments};
use crate::learn::modulation::Modulation;
use crate::learn::plan::{Delta, LearningPlan};
use crate::neuron::equations::{Equations, FURTHER, Variables};
use crate::neuron::storage::Further;
use crate::neuron::{SideBySide, for_model};
use crate::numeric::cancel::check_cancelled;
use crate::numeric::lanes::{
    Block, LANES, Lanes, Places, SimdKernel, clear_tiny, cleared, flat, flat_mut, prefetch,
};
use crate::numeric::memory::{bytes_of, product, refill, resize};
use crate::numeric::scalar::Scalar;
use crate::single::cells::Cells;
use crate::single::columns::{ABREAST, Column, LongColumn, TILE};
use crate::single::learning::Learning;
use crate::single::sums::Felt;
use crate::single::trial::{Load, On, Trial};
use crate::single::wiring::blocks;

/// Steps whose signals are found together: they share the weights.
const TOGETHER: usize = 4;

/// The backward pass over one trial.
pub struct BackwardOne<'a, F: Scalar> {
    pub(crate) on: On<'a, F>,
    pub(crate) plan: &'a LearningPlan<F>,
    pub(crate) learning: &'a Learning<F>,
    pub(crate) trial: &'a mut Trial<F>,
    pub(crate) delta: &'a Delta<F>,
    /// The regulariser's part of L, one a cell; empty without one.
    pub(crate) constants: &'a [F],
    pub(crate) work: &'a mut Work<F>,
    pub(crate) cancel: &'a AtomicBool,
}

/// State and sums of the pass; kept between batches for its memory. Columns are of the tile at hand.
#[derive(Debug, Default)]
pub(crate) struct Work<F: Scalar> {
    /// The adjoint of each cell's input.
    input_adjoint: Vec<LongColumn<F>>,
    /// The adjoints of further state variables, `[block]`.
    further_adjoint: Further<F>,
    /// Γ as secreted at the row's step; it acts at the step before.
    gamma: Vec<LongColumn<F>>,
    /// The rules with fewer hops, e-prop first.
    hop_recursions: Vec<HopState<F>>,
    /// On-MDGL: Σ_{u≥t} κ^{u−t} Γ_u+1.
    filtered: Vec<Block<F>>,
    /// L.
    signals: Vec<Column<F>>,
    /// s and r of the secreting cells' memory, `[kernel][block]`.
    memory_s: Vec<Block<F>>,
    memory_r: Vec<Block<F>>,
    /// What each cell secretes, and what it receives, a step a lane.
    secreted: Vec<Block<F>>,
    received: Vec<Block<F>>,
    totals: Vec<Block<F>>,
    /// g_k,t = δ_k,t + κ g_k,t+1, readout units in the lanes.
    error: Vec<LongColumn<F>>,
    delta: Vec<Block<F>>,
    bias: Vec<Block<F>>,
    constants: Vec<Block<F>>,
    /// Cells whose Γ is asked for.
    chosen: Vec<u32>,
    /// On-MDGL's ψ̄.
    psi_filtered: FilteredPsi<F>,
    /// Input, recurrent and readout sums.
    sums: [Vec<Block<F>>; 3],
    /// Its steps are tiles.
    pub(crate) probe: Probe,
    /// Synapses that BPTT followed.
    pub(crate) asked: u64,
}

/// One of the rules with fewer hops.
#[derive(Debug, Default)]
struct HopState<F: Scalar> {
    input_adjoint: Vec<LongColumn<F>>,
    further_adjoint: Further<F>,
    /// What it receives of the rule with one hop less; of e-prop, which receives nothing, what the last one secretes.
    gamma: Vec<LongColumn<F>>,
}

impl<F: Scalar> HopState<F> {
    fn reset(&mut self, further: usize, blocks: usize) -> Result<()> {
        self.further_adjoint.reset(further, blocks, WHAT)?;
        refill_columns(&mut self.input_adjoint, blocks)?;
        refill_columns(&mut self.gamma, blocks)
    }
}

const WHAT: &str = "the gradient sums of a trial";

fn refill_columns<F: Scalar>(columns: &mut Vec<LongColumn<F>>, len: usize) -> Result<()> {
    columns.clear();
    resize(columns, len, [Block::ZERO; TILE + 1], WHAT)
}

impl<F: Scalar> Work<F> {
    /// Bytes of memory that its larger parts hold.
    pub fn bytes(&self) -> usize {
        let columns = bytes_of(&self.input_adjoint) + bytes_of(&self.gamma) + bytes_of(&self.error);
        columns + bytes_of(&self.signals) + self.further_adjoint.bytes()
    }

    fn reset(
        &mut self,
        on: On<'_, F>,
        plan: &LearningPlan<F>,
        learning: &Learning<F>,
        constants: &[F],
    ) -> Result<()> {
        let (n, outputs) = (on.wiring.blocks(), on.wiring.outputs());
        let [input, recurrent, readout] = &mut self.sums;
        let hop_recursions = plan.hop_recursions.as_ref();
        let cells = if plan.secretes() || hop_recursions.is_some() { n * LANES } else { 0 };
        let types = plan.modulations().map(Modulation::totals).max().unwrap_or(0);
        let memory = product(&[plan.secretions.len(), n]);
        for (buffer, len) in [
            (&mut self.filtered, n),
            (&mut self.memory_s, memory),
            (&mut self.memory_r, memory),
            (&mut self.secreted, cells),
            (&mut self.received, cells),
            (&mut self.totals, types),
            (&mut self.delta, outputs),
            (&mut self.bias, outputs),
            (input, learning.input.blocks()),
            (recurrent, learning.recurrent.blocks()),
            (readout, learning.readout.blocks()),
        ] {
            refill(buffer, len, WHAT)?;
        }
        for (columns, len) in [(&mut self.input_adjoint, n), (&mut self.gamma, n), (&mut self.error, outputs)]
        {
            refill_columns(columns, len)?;
        }
        self.hop_recursions
            .resize_with(hop_recursions.map_or(0, |hop_recursions| hop_recursions.count), HopState::default);
        let further = on.wiring.cells.further();
        self.further_adjoint.reset(further, n, WHAT)?;
        self.hop_recursions.iter_mut().try_for_each(|hop| hop.reset(further, n))?;
        resize(&mut self.signals, n, [Block::ZERO; TILE], WHAT)?;
        self.constants = blocks(constants);
        self.asked = 0;
        self.chosen.resize((n + 1) * LANES, 0);
        Ok(())
    }

    /// Writes the sums by slot of the plan.
    pub fn sums(&self, learning: &Learning<F>, set: impl FnMut(usize, F)) {
        learning.scatter_slots(&self.sums, set);
    }

    /// The bias's gradient, one sum a readout unit (and zeros behind them).
    pub fn bias(&self) -> &[F] {
        flat(&self.bias)
    }
}

/// Steps that are worked through together.
#[derive(Clone, Copy)]
struct Tile {
    first: usize,
    rows: usize,
}

impl<F: Scalar> SimdKernel<F> for BackwardOne<'_, F> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(mut self) -> Result<()> {
        self.work.reset(self.on, self.plan, self.learning, self.constants)?;
        if self.plan.filters_factors_separately {
            let (kappa, blocks) = (&self.on.compiled.kappa, self.on.wiring.blocks());
            let (mut trial, psi_filtered) = self.segmented();
            psi_filtered.filter_psi_before_segments::<L>(&mut trial, kappa, blocks)?;
        }
        for segment in (0..self.trial.segments.count()).rev() {
            self.load_segment::<L>(segment)?;
            let steps = self.trial.segments.steps(segment);
            for first in steps.clone().step_by(TILE).rev() {
                check_cancelled(first, self.cancel)?;
                self.work_through::<L>(Tile { first, rows: TILE.min(steps.end - first) });
            }
        }
        L::call(self.gathering(0, 0..1));
        Ok(())
    }
}

impl<F: Scalar> BackwardOne<'_, F> {
    /// The trial by segments, and the filtered ψ.
    fn segmented(&mut self) -> (Segmented<'_, F>, &mut FilteredPsi<F>) {
        let Self { on, trial, cancel, work, .. } = self;
        (Segmented { on: *on, trial, cancel }, &mut work.psi_filtered)
    }

    #[inline(always)]
    fn work_through<L: Lanes<Scalar = F>>(&mut self, tile: Tile) {
        let Tile { first, rows } = tile;
        self.work.probe.step();
        // The first row of the tile before is the step after this one.
        let work = &mut *self.work;
        shift(rows, [&mut work.input_adjoint, &mut work.gamma, &mut work.error]);
        for hop in &mut work.hop_recursions {
            shift(rows, [&mut hop.input_adjoint, &mut hop.gamma]);
        }
        self.filter_errors::<L>(tile);
        self.find_signals::<L>(tile);
        if self.learning.returns.is_some() {
            for row in (0..rows).rev() {
                self.work.probe.lap(Section::BackwardRecursion);
                self.send_back::<L>(first, row);
                self.work.probe.lap(Section::Modulation);
                self.descend_all::<L>(first, row..row + 1);
            }
        } else {
            self.work.probe.lap(Section::BackwardRecursion);
            self.modulate::<L>(tile);
            self.modulate_filtered::<L>(tile);
            self.work.probe.lap(Section::Modulation);
            self.advance_hops::<L>(tile);
            self.descend_all::<L>(first, 0..rows);
        }
        self.work.probe.lap(Section::BackwardRecursion);
        for row in (0..rows).rev() {
            self.gather_analogue::<L>(first + row, row);
        }
        // What the recursions have read cleared, the sums read cleared.
        for columns in [&mut self.work.input_adjoint, &mut self.work.error] {
            for column in columns {
                clear_tiny::<L>(first, &mut column[1..2]);
            }
        }
        L::call(self.gathering(first, 1..rows + 1));
        self.work.probe.lap(Section::GradientGather);
    }

    /// g_t = δ_t + κ g_t+1, and the bias's gradient.
    #[inline(always)]
    fn filter_errors<L: Lanes<Scalar = F>>(&mut self, tile: Tile) {
        let (units, lane, work) = (self.on.compiled.outputs(), self.on.lane, &mut *self.work);
        for row in (0..tile.rows).rev() {
            let t = tile.first + row;
            for (column, kappa) in work.error.iter_mut().zip(&self.on.wiring.kappa) {
                cleared(t, L::load(&column[row + 1])).mul(L::load(kappa)).store(&mut column[row]);
            }
            let delta = self.delta.at(t, units);
            if delta.is_empty() {
                continue;
            }
            for (to, delta) in flat_mut(&mut work.delta).iter_mut().zip(delta) {
                *to = delta.0[lane];
            }
            for ((column, bias), delta) in work.error.iter_mut().zip(&mut work.bias).zip(&work.delta) {
                let delta = L::load(delta);
                L::load(&column[row]).add(delta).store(&mut column[row]);
                L::load(bias).add(delta).store(bias);
            }
        }
    }

    /// L = (1−κ) Σ_k W_out g_k, plus the regulariser's constant.
    #[inline(always)]
    fn find_signals<L: Lanes<Scalar = F>>(&mut self, tile: Tile) {
        let work = &mut *self.work;
        for (block, column) in work.signals.iter_mut().enumerate() {
            let constant = match work.constants.get(block) {
                Some(constant) => L::load(constant),
                None => L::splat(F::ZERO),
            };
            let terms = self.learning.feedback.of(block);
            for (chunk, signals) in column.chunks_exact_mut(TOGETHER).enumerate() {
                if chunk * TOGETHER >= tile.rows {
                    break;
                }
                let mut sums = [constant; TOGETHER];
                for (unit, weights) in terms {
                    let weights = L::load(weights);
                    let column = &work.error[*unit as usize / LANES];
                    for (i, sum) in sums.iter_mut().enumerate() {
                        let error = column[chunk * TOGETHER + i].0[*unit as usize % LANES];
                        *sum = L::splat(error).mul_add(weights, *sum);
                    }
                }
                for (signal, sum) in signals.iter_mut().zip(sums) {
                    sum.store(signal);
                }
            }
        }
    }

    /// The recursions of all cells through some rows of the tile.
    #[inline(always)]
    fn descend_all<L: Lanes<Scalar = F>>(&mut self, first: usize, rows: Range<usize>) {
        let modulated = self.plan.receives();
        let work = &mut *self.work;
        L::call(Passage {
            cells: &self.on.wiring.cells,
            psi: self.trial.psi(first, self.on.wiring.blocks()),
            next_psi: self.trial.psi(first.saturating_sub(TILE), self.on.wiring.blocks()),
            signals: &work.signals,
            gamma: &work.gamma,
            modulated,
            first,
            rows,
            input_adjoint: &mut work.input_adjoint,
            further: work.further_adjoint.slices(0..self.on.wiring.blocks()),
        });
    }

    /// The rules with fewer hops through the tile: each receives what the one before secretes, and the last one's joins
    /// Γ.
    #[inline(always)]
    fn advance_hops<L: Lanes<Scalar = F>>(&mut self, tile: Tile) {
        let Some(hop_recursions) = &self.plan.hop_recursions else { return };
        let (work, blocks) = (&mut *self.work, self.on.wiring.blocks());
        for hop in 0..work.hop_recursions.len() {
            let HopState { input_adjoint, further_adjoint, gamma } = &mut work.hop_recursions[hop];
            let psi = self.trial.psi(tile.first, blocks);
            L::call(Passage {
                cells: &self.on.wiring.cells,
                psi,
                next_psi: psi,
                signals: &work.signals,
                gamma,
                modulated: hop > 0,
                first: tile.first,
                rows: 0..tile.rows,
                input_adjoint,
                further: further_adjoint.slices(0..blocks),
            });
            work.probe.lap(Section::BackwardRecursion);
            for (column, cells) in input_adjoint.iter().zip(work.secreted.chunks_exact_mut(LANES)) {
                transpose::<L>(&column[..TILE], cells);
            }
            work.received.fill(Block::ZERO);
            hop_recursions.modulation.receive::<L>(&work.secreted, &mut work.totals, &mut work.received);
            let next = (hop + 1) % work.hop_recursions.len();
            for (cells, column) in work.received.chunks_exact(LANES).zip(&mut work.hop_recursions[next].gamma)
            {
                transpose::<L>(cells, &mut column[..tile.rows]);
            }
            work.probe.lap(Section::Modulation);
        }
        for (column, last) in work.gamma.iter_mut().zip(&work.hop_recursions[0].gamma) {
            for (gamma, last) in column[..tile.rows].iter_mut().zip(last) {
                let last = L::load(last);
                match self.plan.receives_directly() {
                    true => last.add(L::load(gamma)).store(gamma),
                    false => last.store(gamma),
                }
            }
        }
    }

    /// BPTT: Γ of the step after a row, from its λ; only where ψ is not 0.
    #[inline(always)]
    fn send_back<L: Lanes<Scalar = F>>(&mut self, first: usize, row: usize) {
        let Some(returns) = &self.learning.returns else { return };
        let work = &mut *self.work;
        let psi = self.trial.psi(first, self.on.wiring.blocks());
        work.asked += returns.receive::<L>(psi, &work.input_adjoint, row, &mut work.chosen, &mut work.gamma);
    }

    /// Γ of the tile's steps, from what the cells secrete in them.
    #[inline(always)]
    fn modulate<L: Lanes<Scalar = F>>(&mut self, tile: Tile) {
        let Some(modulation) = &self.plan.modulation else { return };
        let (work, blocks) = (&mut *self.work, self.on.wiring.blocks());
        for (block, cells) in work.secreted.chunks_exact_mut(LANES).enumerate() {
            if !self.learning.secretes[block] {
                continue;
            }
            let mut column = [Block::ZERO; TILE];
            if self.plan.filters_factors_separately {
                let weights = self.learning.unfiltered.of(block);
                let psi_filtered = (&work.psi_filtered, block);
                secrete_task_error::<L>(self.on, self.delta, tile, weights, psi_filtered, &mut column);
            } else {
                let psi = &self.trial.psi(tile.first, blocks)[block];
                for ((to, signal), psi) in column.iter_mut().zip(&work.signals[block]).zip(psi) {
                    L::load(signal).mul(L::load(psi)).store(to);
                }
            }
            transpose::<L>(&column, cells);
        }
        work.received.fill(Block::ZERO);
        modulation.receive::<L>(&work.secreted, &mut work.totals, &mut work.received);
        for (cells, column) in work.received.chunks_exact(LANES).zip(&mut work.gamma) {
            transpose::<L>(cells, &mut column[..tile.rows]);
        }
        if self.plan.filters_factors_separately {
            self.filter_gamma::<L>(tile);
        }
    }

    /// L ψ of the tile passes through each secreting cell's memory; what comes out joins Γ.
    #[inline(always)]
    fn modulate_filtered<L: Lanes<Scalar = F>>(&mut self, tile: Tile) {
        let blocks = self.on.wiring.blocks();
        if !self.plan.secretions.is_empty() && self.plan.modulation.is_none() {
            for column in &mut self.work.gamma {
                column[..tile.rows].fill(Block::ZERO);
            }
        }
        for (kernel, secretion) in self.plan.secretions.iter().enumerate() {
            let work = &mut *self.work;
            let psi = self.trial.psi(tile.first, blocks);
            for (block, cells) in work.secreted.chunks_exact_mut(LANES).enumerate() {
                if !self.learning.secretes[block] {
                    continue;
                }
                let filter = self.learning.memories[kernel].lanes::<L>(block);
                let (s, r) = (
                    &mut work.memory_s[kernel * blocks + block],
                    &mut work.memory_r[kernel * blocks + block],
                );
                let mut column = [Block::ZERO; TILE];
                let mut held = (cleared(tile.first, L::load(s)), cleared(tile.first, L::load(r)));
                for row in (0..tile.rows).rev() {
                    let x = L::load(&work.signals[block][row]).mul(L::load(&psi[block][row]));
                    held = filter.step(held, x);
                    held.0.store(&mut column[row]);
                }
                held.0.store(s);
                held.1.store(r);
                transpose::<L>(&column, cells);
            }
            work.received.fill(Block::ZERO);
            secretion.modulation.receive::<L>(&work.secreted, &mut work.totals, &mut work.received);
            for (cells, column) in work.received.chunks_exact(LANES).zip(&mut work.gamma) {
                let mut rows = [Block::ZERO; TILE];
                transpose::<L>(cells, &mut rows[..tile.rows]);
                for (gamma, row) in column.iter_mut().zip(&rows[..tile.rows]) {
                    L::load(gamma).add(L::load(row)).store(gamma);
                }
            }
        }
    }

    /// On-MDGL: (1−κ) Σ_{u≥t} κ^{u−t} Γ_u+1 in place of Γ_t+1.
    #[inline(always)]
    fn filter_gamma<L: Lanes<Scalar = F>>(&mut self, tile: Tile) {
        let low_pass = LowPass::<L>::of(&self.on.compiled.kappa);
        for (column, filtered) in self.work.gamma.iter_mut().zip(&mut self.work.filtered) {
            let mut held = L::load(filtered);
            for row in (0..tile.rows).rev() {
                let before = cleared(tile.first + row, held);
                let (sum, now) = low_pass.backwards(before, L::load(&column[row + 1]));
                now.store(&mut column[row + 1]);
                held = sum;
            }
            held.store(filtered);
        }
    }

    /// What the trial's analogue inputs add at a step.
    #[inline(always)]
    fn gather_analogue<L: Lanes<Scalar = F>>(&mut self, t: usize, row: usize) {
        let (work, lane) = (&mut *self.work, self.on.lane);
        let units = &self.on.input.analogue_units;
        let values = &self.on.input.analogue[t * units.len()..(t + 1) * units.len()];
        let felt = Felt { columns: &work.input_adjoint, row };
        for (&unit, value) in units.iter().zip(values) {
            self.learning.input.add_value::<L>(unit, value.0[lane], felt, &mut work.sums[0]);
        }
    }

    /// What the events of some rows' steps add to the sums, the last first.
    fn gathering(&mut self, first: usize, rows: Range<usize>) -> Gathering<'_, F> {
        let Self { on, learning, trial, work, .. } = self;
        Gathering { on: *on, learning, trial, work, first, rows }
    }

    /// Brings the segment's ψ, and for On-MDGL its ψ̄.
    #[inline(always)]
    fn load_segment<L: Lanes<Scalar = F>>(&mut self, segment: usize) -> Result<()> {
        let (filters_factors_separately, kappa) =
            (self.plan.filters_factors_separately, &self.on.compiled.kappa);
        let (mut trial, psi_filtered) = self.segmented();
        match filters_factors_separately {
            true => psi_filtered.load::<L>(&mut trial, kappa, segment),
            false => trial.load::<L>(segment),
        }
    }
}

/// One trial, its ψ by segments.
struct Segmented<'a, F: Scalar> {
    on: On<'a, F>,
    trial: &'a mut Trial<F>,
    cancel: &'a AtomicBool,
}

impl<F: Scalar> PsiSegments<F> for Segmented<'_, F> {
    fn count(&self) -> usize {
        self.trial.segments.count()
    }

    fn steps(&self, segment: usize) -> Range<usize> {
        self.trial.segments.steps(segment)
    }

    #[inline(always)]
    fn load<L: Lanes<Scalar = F>>(&mut self, segment: usize) -> Result<()> {
        L::call(Load { on: self.on, trial: self.trial, segment, cancel: self.cancel })
    }

    #[inline(always)]
    fn filter<L: Lanes<Scalar = F>>(&self, low_pass: LowPass<L>, step: usize, psi_filtered: &mut [Block<F>]) {
        let psi = self.trial.psi(step / TILE * TILE, self.on.wiring.blocks());
        for (held, psi) in psi_filtered.iter_mut().zip(psi) {
            low_pass.forwards(L::load(held), L::load(&psi[step % TILE])).store(held);
        }
    }
}

/// The first row becomes the one after the last: the tile before this one was the later one.
#[inline(always)]
fn shift<F: Scalar, const N: usize>(rows: usize, buffers: [&mut Vec<LongColumn<F>>; N]) {
    for columns in buffers {
        for column in columns {
            column[rows] = column[0];
        }
    }
}

/// The events of some rows' steps, to be added to the sums.
struct Gathering<'a, F: Scalar> {
    on: On<'a, F>,
    learning: &'a Learning<F>,
    trial: &'a Trial<F>,
    work: &'a mut Work<F>,
    /// The step of the tile's first row.
    first: usize,
    rows: Range<usize>,
}

impl<F: Scalar> SimdKernel<F> for Gathering<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(mut self) {
        // Of the step after the last there is nothing.
        let rows = self.rows.start..self.rows.end.min(self.trial.steps - self.first);
        for row in rows.rev() {
            self.add_row::<L>(row);
        }
    }
}

impl<F: Scalar> Gathering<'_, F> {
    #[inline(always)]
    fn add_row<L: Lanes<Scalar = F>>(&mut self, row: usize) {
        let On { input, lane, .. } = self.on;
        let (learning, spikes, work) = (self.learning, &self.trial.spikes, &mut *self.work);
        let t = self.first + row;
        let felt = Felt { columns: &work.input_adjoint, row };
        let error = Felt { columns: &work.error, row };
        let [of_inputs, of_cells, of_outputs] = &mut work.sums;
        for &unit in spikes.at(t) {
            learning.readout.add::<L>(unit, error, of_outputs);
        }
        for entry in input.events.at(t) {
            if entry.mask >> lane & 1 == 1 {
                learning.input.add_count::<L>(entry.unit, entry.count, felt, of_inputs);
            }
        }
        for &unit in spikes.before(t) {
            learning.recurrent.add::<L>(unit, felt, of_cells);
        }
    }
}

/// Some rows of a tile, to be gone through by the recursions.
struct Passage<'a, F: Scalar> {
    cells: &'a Cells<F>,
    psi: &'a [Column<F>],
    /// What the next tile reads.
    next_psi: &'a [Column<F>],
    signals: &'a [Column<F>],
    gamma: &'a [LongColumn<F>],
    /// Whether Γ joins.
    modulated: bool,
    /// The step of the tile's first row.
    first: usize,
    rows: Range<usize>,
    input_adjoint: &'a mut [LongColumn<F>],
    further: [&'a mut [Block<F>]; FURTHER],
}

impl<F: Scalar> SimdKernel<F> for Passage<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(mut self) {
        match self.modulated {
            true => self.descend_all::<L, true>(),
            false => self.descend_all::<L, false>(),
        }
    }
}

impl<F: Scalar> Passage<'_, F> {
    /// All blocks of cells, some at a time.
    #[inline(always)]
    fn descend_all<L: Lanes<Scalar = F>, const MODULATED: bool>(&mut self) {
        let adjoints = std::mem::take(&mut self.input_adjoint);
        let (some, rest) = adjoints.as_chunks_mut::<ABREAST>();
        let done = some.len() * ABREAST;
        for (i, adjoints) in some.iter_mut().enumerate() {
            self.backward_tile::<L, ABREAST, MODULATED>(i * ABREAST, adjoints);
        }
        for (i, adjoint) in rest.iter_mut().enumerate() {
            self.backward_tile::<L, 1, MODULATED>(done + i, std::array::from_mut(adjoint));
        }
    }

    /// The adjoints of some blocks of cells: together where they are of one model.
    #[inline(always)]
    fn backward_tile<L: Lanes<Scalar = F>, const N: usize, const MODULATED: bool>(
        &mut self,
        block: usize,
        input_adjoint: &mut [LongColumn<F>; N],
    ) {
        let cells = self.cells;
        let together = for_model!(cells.abreast(block), first => {
            match same_model::<L, _, N>(first, cells, block) {
                Some(models) => {
                    self.descend_together::<L, _, N, MODULATED>(models, block, input_adjoint);
                    true
                }
                None => false,
            }
        });
        if !together {
            for (i, column) in input_adjoint.iter_mut().enumerate() {
                self.backward_tile::<L, 1, MODULATED>(block + i, std::array::from_mut(column));
            }
        }
    }

    #[inline(always)]
    fn descend_together<L, M, const N: usize, const MODULATED: bool>(
        &mut self,
        models: [M; N],
        block: usize,
        input_adjoint: &mut [LongColumn<F>; N],
    ) where
        L: Lanes<Scalar = F>,
        M: Equations<L>,
    {
        let own = block..block + N;
        let (psi, next_psi) = (&self.psi[own.clone()], &self.next_psi[own.clone()]);
        let (signals, gamma) = (&self.signals[own.clone()], &self.gamma[own.clone()]);
        let further = &mut self.further;
        let mut adjoint = [M::Variables::load(L::splat(F::ZERO), further, block); N];
        for (i, (adjoint, column)) in adjoint.iter_mut().zip(&*input_adjoint).enumerate() {
            *adjoint = M::Variables::load(L::load(&column[self.rows.end]), further, block + i);
        }
        for row in self.rows.clone().rev() {
            // Tiles begin where decayed state is cleared.
            if row == 0 {
                for adjoint in &mut adjoint {
                    *adjoint = adjoint.cleared(self.first);
                }
            }
            for i in 0..N {
                prefetch(&next_psi[i][row]);
                let psi = L::load(&psi[i][row]);
                let mut drive = L::load(&signals[i][row]);
                if MODULATED {
                    drive = drive.add(L::load(&gamma[i][row + 1]));
                }
                adjoint[i] = models[i].adjoint(psi, drive, adjoint[i]);
                adjoint[i].integrator().store(&mut input_adjoint[i][row]);
            }
        }
        for (i, adjoint) in adjoint.into_iter().enumerate() {
            adjoint.store(further, block + i);
        }
    }
}

/// The constants of some blocks of cells from one on, whose model is known; `None` where another block is of another model.
#[inline(always)]
fn same_model<L: Lanes, M: SideBySide<L>, const N: usize>(
    first: &M,
    cells: &Cells<L::Scalar>,
    block: usize,
) -> Option<[M::Model; N]> {
    let mut models = [first.load(); N];
    for (i, model) in models.iter_mut().enumerate().skip(1) {
        *model = M::of(cells.abreast(block + i))?.load();
    }
    Some(models)
}

/// On-MDGL's secretion of a block of cells: P_j,t ψ̄_j,t with P = Σ_k W_out δ_k, no filter, no regulariser.
#[inline(always)]
fn secrete_task_error<L: Lanes>(
    on: On<'_, L::Scalar>,
    delta: &Delta<L::Scalar>,
    tile: Tile,
    weights: &[(u32, Block<L::Scalar>)],
    (psi_filtered, block): (&FilteredPsi<L::Scalar>, usize),
    to: &mut Column<L::Scalar>,
) {
    for (row, to) in to[..tile.rows].iter_mut().enumerate() {
        let delta = delta.at(tile.first + row, on.compiled.outputs());
        if delta.is_empty() {
            continue;
        }
        let mut error = L::splat(L::Scalar::ZERO);
        for (unit, weights) in weights {
            error = L::splat(delta[*unit as usize].0[on.lane]).mul_add(L::load(weights), error);
        }
        error.mul(L::load(&psi_filtered.at(tile.first + row)[block])).store(to);
    }
}

/// Lane i of block j becomes lane j of block i.
#[inline(always)]
fn transpose<L: Lanes>(from: &[Block<L::Scalar>], to: &mut [Block<L::Scalar>]) {
    let mut places = Places([0; LANES]);
    for (block, place) in places.0.iter_mut().enumerate() {
        *place = (block * LANES) as u32;
    }
    assert!(from.len() == LANES && to.len() <= LANES, "not a square");
    for (lane, to) in to.iter_mut().enumerate() {
        // SAFETY: sixteen blocks have sixteen values each.
        unsafe { L::gather(&flat(from)[lane..], &places) }.store(to);
    }
}
