//! The backward pass of one trial, neurons side by side: the recursions of [`crate::learn::backward`].
//!
//! Steps are processed in tiles. Per tile the errors are computed first, then the learning signals, then what cells secrete
//! (with steps in the lanes, so that [`crate::learn::modulation`] is used unchanged), then the recursions of some blocks of cells at
//! a time through all steps of the tile, and last the gradient sums of its events. Where cells secrete λ (BPTT) all cells are
//! processed step by step.

use std::ops::Range;
use std::sync::atomic::AtomicBool;

use crate::error::Result;
use crate::instrument::probe::Probe;
use crate::instrument::section::Section;
use crate::learn::low_pass::{FilteredPsi, LowPass, PsiSegments};
use crate::learn::modulation::Modulation;
use crate::learn::plan::{Delta, LearningPlan};
use crate::neuron::storage::Further;
use crate::numeric::cancel::check_cancelled;
use crate::numeric::lanes::{Block, LANES, Lanes, SimdKernel, clear_tiny, cleared, flat, flat_mut};
use crate::numeric::memory::{bytes_of, product, refill, resize};
use crate::numeric::scalar::Scalar;
use crate::single::columns::{LongTileColumn, TILE, TileColumn};
use crate::single::lane_layout::blocks;
use crate::single::learning::{FeedbackLayers, Learning};
use crate::single::simulate_one::LoadTrialSegment;
use crate::single::sums::TargetAdjoints;
use crate::single::tile_recursion::{Drive, TileRecursion, is_zero};
use crate::single::trial::{Trial, TrialContext};

/// Steps whose signals are found together: they share the weights.
const TOGETHER: usize = 4;

/// The backward pass over one trial.
pub struct BackwardOne<'a, F: Scalar> {
    pub(crate) context: TrialContext<'a, F>,
    pub(crate) plan: &'a LearningPlan<F>,
    pub(crate) learning: &'a Learning<F>,
    pub(crate) trial: &'a mut Trial<F>,
    pub(crate) delta: &'a Delta<F>,
    /// The regulariser's part of L, one per cell; empty without one.
    pub(crate) constants: &'a [F],
    pub(crate) state: &'a mut TrialBackwardState<F>,
    pub(crate) cancel: &'a AtomicBool,
}

/// State and sums of the pass; kept between batches for its memory. Columns are of the current tile.
#[derive(Debug, Default)]
pub(crate) struct TrialBackwardState<F: Scalar> {
    /// The adjoint of each cell's input.
    input_adjoint: Vec<LongTileColumn<F>>,
    /// The adjoints of further state variables, `[block]`.
    further_adjoint: Further<F>,
    /// Γ as secreted at the row's step; it acts at the step before.
    gamma: Vec<LongTileColumn<F>>,
    /// The rules with fewer hops, e-prop first.
    hop_recursions: Vec<HopState<F>>,
    /// On-MDGL: Σ_{u≥t} κ^{u−t} Γ_u+1.
    filtered: Vec<Block<F>>,
    /// L, where more than the recursions read it.
    signals: Vec<TileColumn<F>>,
    /// The errors of a tile's rows, one list per layer of the feedback weights; whether all are 0.
    layer_errors: Vec<[F; TILE]>,
    no_errors: bool,
    /// Whether a block's adjoints were 0 through the last tile.
    no_secretion: Vec<bool>,
    /// s and r of the secreting cells' memory, `[kernel and hop][block]`.
    memory_s: Vec<Block<F>>,
    memory_r: Vec<Block<F>>,
    /// Γ of fewer hops through that memory, likewise; empty where no kernel has several.
    passed_gamma: Vec<LongTileColumn<F>>,
    /// What each cell secretes and receives, with steps in the lanes.
    secreted: Vec<Block<F>>,
    received: Vec<Block<F>>,
    totals: Vec<Block<F>>,
    /// g_k,t = δ_k,t + κ g_k,t+1, readout units in the lanes.
    error: Vec<LongTileColumn<F>>,
    delta: Vec<Block<F>>,
    bias: Vec<Block<F>>,
    constants: Vec<Block<F>>,
    /// Cells whose Γ is needed.
    chosen: Vec<u32>,
    /// On-MDGL's ψ̄.
    psi_filtered: FilteredPsi<F>,
    /// Sums of what reaches cells, and of the readout.
    sums: [Vec<Block<F>>; 2],
    /// Counted per step of a tile.
    pub(crate) probe: Probe,
    /// Synapses that BPTT followed.
    pub(crate) asked: u64,
    /// Steps that the recursion of each block of cells left out.
    pub(crate) skipped: Vec<u64>,
}

/// One of the rules with fewer hops.
#[derive(Debug, Default)]
struct HopState<F: Scalar> {
    input_adjoint: Vec<LongTileColumn<F>>,
    further_adjoint: Further<F>,
    /// Γ from the rule with one hop less; for e-prop, which receives nothing, the secretion of the last rule.
    gamma: Vec<LongTileColumn<F>>,
}

impl<F: Scalar> HopState<F> {
    fn reset(&mut self, further: usize, blocks: usize) -> Result<()> {
        self.further_adjoint.reset(further, blocks, WHAT)?;
        refill_columns(&mut self.input_adjoint, blocks)?;
        refill_columns(&mut self.gamma, blocks)
    }
}

const WHAT: &str = "the gradient sums of a trial";

fn refill_columns<F: Scalar>(columns: &mut Vec<LongTileColumn<F>>, len: usize) -> Result<()> {
    columns.clear();
    resize(columns, len, [Block::ZERO; TILE + 1], WHAT)
}

impl<F: Scalar> TrialBackwardState<F> {
    /// Bytes of memory that its larger parts hold.
    pub fn bytes(&self) -> usize {
        let columns = bytes_of(&self.input_adjoint) + bytes_of(&self.gamma) + bytes_of(&self.error);
        columns + bytes_of(&self.signals) + self.further_adjoint.bytes()
    }

    fn reset(
        &mut self,
        context: TrialContext<'_, F>,
        plan: &LearningPlan<F>,
        learning: &Learning<F>,
        constants: &[F],
    ) -> Result<()> {
        let (n, outputs) = (context.lane_layout.blocks(), context.lane_layout.outputs());
        let [onto_cells, readout] = &mut self.sums;
        let hop_recursions = plan.hop_recursions.as_ref();
        let cells = if plan.secretes() || hop_recursions.is_some() { n * LANES } else { 0 };
        let types = plan.modulations().map(Modulation::totals).max().unwrap_or(0);
        let memory = product(&[plan.filtered_hops(), n]);
        let passed = if plan.filtered_hops() > plan.secretions.len() { memory } else { 0 };
        for (buffer, len) in [
            (&mut self.filtered, n),
            (&mut self.memory_s, memory),
            (&mut self.memory_r, memory),
            (&mut self.secreted, cells),
            (&mut self.received, cells),
            (&mut self.totals, types),
            (&mut self.delta, outputs),
            (&mut self.bias, outputs),
            (onto_cells, learning.sums.onto_cells.blocks()),
            (readout, learning.sums.readout.blocks()),
        ] {
            refill(buffer, len, WHAT)?;
        }
        for (columns, len) in [
            (&mut self.input_adjoint, n),
            (&mut self.gamma, n),
            (&mut self.passed_gamma, passed),
            (&mut self.error, outputs),
        ] {
            refill_columns(columns, len)?;
        }
        self.hop_recursions
            .resize_with(hop_recursions.map_or(0, |hop_recursions| hop_recursions.count), HopState::default);
        let further = context.lane_layout.cells.further();
        self.further_adjoint.reset(further, n, WHAT)?;
        self.hop_recursions.iter_mut().try_for_each(|hop| hop.reset(further, n))?;
        resize(&mut self.signals, n, [Block::ZERO; TILE], WHAT)?;
        self.constants = blocks(constants);
        self.no_secretion.clear();
        resize(&mut self.no_secretion, n, false, WHAT)?;
        self.asked = 0;
        self.skipped.clear();
        resize(&mut self.skipped, n, 0, WHAT)?;
        self.chosen.resize((n + 1) * LANES, 0);
        Ok(())
    }

    /// The errors of a tile's rows by layer.
    #[inline(always)]
    fn find_layer_errors<L: Lanes<Scalar = F>>(&mut self, layers: &FeedbackLayers<F>, rows: usize) {
        self.layer_errors.resize(layers.units.len(), [F::ZERO; TILE]);
        self.no_errors = are_zero::<L>(&self.error, 0..rows);
        for (&unit, to) in layers.units.iter().zip(&mut self.layer_errors) {
            let column = &self.error[unit as usize / LANES];
            for (to, errors) in to[..rows].iter_mut().zip(column) {
                *to = errors.0[unit as usize % LANES];
            }
        }
    }

    /// Writes the sums by slot of the plan.
    pub fn sums(&self, learning: &Learning<F>, set: impl FnMut(usize, F)) {
        learning.scatter_slots(&self.sums, set);
    }

    /// The bias's gradient, one sum per readout unit (then zeros).
    pub fn bias(&self) -> &[F] {
        flat(&self.bias)
    }
}

/// Steps that are worked through together.
#[derive(Clone, Copy)]
struct StepTile {
    first: usize,
    rows: usize,
}

impl<F: Scalar> SimdKernel<F> for BackwardOne<'_, F> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(mut self) -> Result<()> {
        self.state.reset(self.context, self.plan, self.learning, self.constants)?;
        if self.plan.filters_factors_separately {
            let (kappa, blocks) = (&self.context.network.kappa, self.context.lane_layout.blocks());
            let (mut trial, psi_filtered) = self.segmented();
            psi_filtered.filter_psi_before_segments::<L>(&mut trial, kappa, blocks)?;
        }
        for segment in (0..self.trial.segments.count()).rev() {
            self.load_segment::<L>(segment)?;
            let steps = self.trial.segments.steps(segment);
            for first in steps.clone().step_by(TILE).rev() {
                check_cancelled(first, self.cancel)?;
                self.work_through::<L>(StepTile { first, rows: TILE.min(steps.end - first) });
            }
        }
        L::call(self.gathering(0, 0..1));
        Ok(())
    }
}

impl<F: Scalar> BackwardOne<'_, F> {
    /// The trial by segments, and the filtered ψ.
    fn segmented(&mut self) -> (SegmentedTrial<'_, F>, &mut FilteredPsi<F>) {
        let Self { context, trial, cancel, state, .. } = self;
        (SegmentedTrial { context: *context, trial, cancel }, &mut state.psi_filtered)
    }

    #[inline(always)]
    fn work_through<L: Lanes<Scalar = F>>(&mut self, tile: StepTile) {
        let StepTile { first, rows } = tile;
        self.state.probe.step();
        // The first row of the tile before is the step after this one.
        let state = &mut *self.state;
        shift(rows, [&mut state.input_adjoint, &mut state.gamma, &mut state.passed_gamma, &mut state.error]);
        for hop in &mut state.hop_recursions {
            shift(rows, [&mut hop.input_adjoint, &mut hop.gamma]);
        }
        self.filter_errors::<L>(tile);
        match self.layers() {
            Some(_) => {
                if let Some(layers) = self.learning.feedback.layers() {
                    self.state.find_layer_errors::<L>(layers, rows);
                }
            }
            None => self.find_signals::<L>(tile),
        }
        if self.learning.returns.is_some() {
            for row in (0..rows).rev() {
                self.state.probe.lap(Section::BackwardRecursion);
                self.send_back::<L>(first, row);
                self.state.probe.lap(Section::Modulation);
                self.descend_all::<L>(first, row..row + 1);
            }
        } else {
            self.state.probe.lap(Section::BackwardRecursion);
            self.modulate::<L>(tile);
            self.modulate_filtered::<L>(tile);
            self.state.probe.lap(Section::Modulation);
            self.advance_hops::<L>(tile);
            self.descend_all::<L>(first, 0..rows);
        }
        self.state.probe.lap(Section::BackwardRecursion);
        if !self.context.input.analogue_units.is_empty() {
            for row in (0..rows).rev() {
                self.gather_analogue::<L>(first + row, row);
            }
        }
        // What the recursions have read cleared, the sums read cleared.
        for columns in [&mut self.state.input_adjoint, &mut self.state.error] {
            for column in columns {
                clear_tiny::<L>(first, &mut column[1..2]);
            }
        }
        if !self.adds_nothing::<L>(rows) {
            L::call(self.gathering(first, 1..rows + 1));
        }
        self.state.probe.lap(Section::GradientGather);
    }

    /// Whether all that the events of a tile would add is 0, as long before the last error.
    #[inline(always)]
    fn adds_nothing<L: Lanes<Scalar = F>>(&self, rows: usize) -> bool {
        let Self { state, .. } = self;
        self.layers().is_some()
            && state.no_secretion.iter().all(|&none| none)
            && are_zero::<L>(&state.error, 1..rows + 1)
    }

    /// g_t = δ_t + κ g_t+1, and the bias's gradient.
    #[inline(always)]
    fn filter_errors<L: Lanes<Scalar = F>>(&mut self, tile: StepTile) {
        let kappas = &self.context.lane_layout.kappa;
        // Before the first step that has a loss they decay.
        let judged = self.delta.first.saturating_sub(tile.first).min(tile.rows);
        for row in (judged..tile.rows).rev() {
            let t = tile.first + row;
            for (column, kappa) in self.state.error.iter_mut().zip(kappas) {
                cleared(t, L::load(&column[row + 1])).mul(L::load(kappa)).store(&mut column[row]);
            }
            self.add_delta::<L>(t, row);
        }
        for (column, kappa) in self.state.error.iter_mut().zip(kappas) {
            let (mut error, kappa) = (L::load(&column[judged]), L::load(kappa));
            for row in (0..judged).rev() {
                error = cleared(tile.first + row, error).mul(kappa);
                error.store(&mut column[row]);
            }
        }
    }

    /// Adds the errors of one step.
    #[inline(always)]
    fn add_delta<L: Lanes<Scalar = F>>(&mut self, t: usize, row: usize) {
        let (units, lane, state) = (self.context.network.outputs(), self.context.lane, &mut *self.state);
        for (to, delta) in flat_mut(&mut state.delta).iter_mut().zip(self.delta.at(t, units)) {
            *to = delta.0[lane];
        }
        for ((column, bias), delta) in state.error.iter_mut().zip(&mut state.bias).zip(&state.delta) {
            let delta = L::load(delta);
            L::load(&column[row]).add(delta).store(&mut column[row]);
            L::load(bias).add(delta).store(bias);
        }
    }

    /// L = (1−κ) Σ_k W_out g_k, plus the regulariser's constant.
    #[inline(always)]
    fn find_signals<L: Lanes<Scalar = F>>(&mut self, tile: StepTile) {
        let state = &mut *self.state;
        for (block, column) in state.signals.iter_mut().enumerate() {
            let constant = match state.constants.get(block) {
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
                    let column = &state.error[*unit as usize / LANES];
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

    /// The feedback weights in layers, where nothing but the recursions reads the learning signals.
    #[inline(always)]
    fn layers(&self) -> Option<&FeedbackLayers<F>> {
        self.learning
            .feedback
            .layers()
            .filter(|_| !self.plan.receives() && self.plan.hop_recursions.is_none())
    }

    /// The recursions of all cells through some rows of the tile.
    #[inline(always)]
    fn descend_all<L: Lanes<Scalar = F>>(&mut self, first: usize, rows: Range<usize>) {
        let layers = self.learning.feedback.layers();
        let layers = layers.filter(|_| !self.plan.receives() && self.plan.hop_recursions.is_none());
        let state = &mut *self.state;
        let drive = match layers {
            Some(layers) => Drive::Errors {
                layers,
                errors: &state.layer_errors,
                none: state.no_errors && state.constants.is_empty(),
                constants: &state.constants,
            },
            None if self.plan.receives() => Drive::Modulated { signals: &state.signals, gamma: &state.gamma },
            None => Drive::Signals(&state.signals),
        };
        L::call(TileRecursion {
            cells: &self.context.lane_layout.cells,
            psi: self.trial.psi(first, self.context.lane_layout.blocks()),
            next_psi: self.trial.psi(first.saturating_sub(TILE), self.context.lane_layout.blocks()),
            drive,
            no_secretion: &mut state.no_secretion,
            skipped: &mut state.skipped,
            live: self.trial.length.saturating_sub(first),
            first,
            rows,
            input_adjoint: &mut state.input_adjoint,
            further: state.further_adjoint.slices(0..self.context.lane_layout.blocks()),
        });
    }

    /// The rules with fewer hops through the tile: each receives what the one before secretes, and the last one's joins
    /// Γ.
    #[inline(always)]
    fn advance_hops<L: Lanes<Scalar = F>>(&mut self, tile: StepTile) {
        let Some(hop_recursions) = &self.plan.hop_recursions else { return };
        let (state, blocks) = (&mut *self.state, self.context.lane_layout.blocks());
        for hop in 0..state.hop_recursions.len() {
            let HopState { input_adjoint, further_adjoint, gamma } = &mut state.hop_recursions[hop];
            let psi = self.trial.psi(tile.first, blocks);
            L::call(TileRecursion {
                cells: &self.context.lane_layout.cells,
                psi,
                next_psi: psi,
                drive: match hop {
                    0 => Drive::Signals(&state.signals),
                    _ => Drive::Modulated { signals: &state.signals, gamma },
                },
                no_secretion: &mut state.no_secretion,
                skipped: &mut state.skipped,
                live: self.trial.length.saturating_sub(tile.first),
                first: tile.first,
                rows: 0..tile.rows,
                input_adjoint,
                further: further_adjoint.slices(0..blocks),
            });
            state.probe.lap(Section::BackwardRecursion);
            for (column, cells) in input_adjoint.iter().zip(state.secreted.chunks_exact_mut(LANES)) {
                transpose::<L>(&column[..TILE], cells);
            }
            state.received.fill(Block::ZERO);
            hop_recursions.modulation.receive::<L>(&state.secreted, &mut state.totals, &mut state.received);
            let next = (hop + 1) % state.hop_recursions.len();
            for (cells, column) in
                state.received.chunks_exact(LANES).zip(&mut state.hop_recursions[next].gamma)
            {
                transpose::<L>(cells, &mut column[..tile.rows]);
            }
            state.probe.lap(Section::Modulation);
        }
        for (column, last) in state.gamma.iter_mut().zip(&state.hop_recursions[0].gamma) {
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
        let state = &mut *self.state;
        let psi = self.trial.psi(first, self.context.lane_layout.blocks());
        state.asked +=
            returns.receive::<L>(psi, &state.input_adjoint, row, &mut state.chosen, &mut state.gamma);
    }

    /// Γ of the tile's steps, from what the cells secrete in them.
    #[inline(always)]
    fn modulate<L: Lanes<Scalar = F>>(&mut self, tile: StepTile) {
        let Some(modulation) = &self.plan.modulation else { return };
        let (state, blocks) = (&mut *self.state, self.context.lane_layout.blocks());
        for (block, cells) in state.secreted.chunks_exact_mut(LANES).enumerate() {
            if !self.learning.secretes[block] {
                continue;
            }
            let mut column = [Block::ZERO; TILE];
            if self.plan.filters_factors_separately {
                let weights = self.learning.unfiltered.of(block);
                let psi_filtered = (&state.psi_filtered, block);
                secrete_task_error::<L>(self.context, self.delta, tile, weights, psi_filtered, &mut column);
            } else {
                let psi = &self.trial.psi(tile.first, blocks)[block];
                for ((to, signal), psi) in column.iter_mut().zip(&state.signals[block]).zip(psi) {
                    L::load(signal).mul(L::load(psi)).store(to);
                }
            }
            transpose::<L>(&column, cells);
        }
        state.received.fill(Block::ZERO);
        modulation.receive::<L>(&state.secreted, &mut state.totals, &mut state.received);
        for (cells, column) in state.received.chunks_exact(LANES).zip(&mut state.gamma) {
            transpose::<L>(cells, &mut column[..tile.rows]);
        }
        if self.plan.filters_factors_separately {
            self.filter_gamma::<L>(tile);
        }
    }

    /// L ψ of the tile passes through each secreting cell's memory; what comes out joins Γ.
    #[inline(always)]
    fn modulate_filtered<L: Lanes<Scalar = F>>(&mut self, tile: StepTile) {
        let blocks = self.context.lane_layout.blocks();
        if !self.plan.secretions.is_empty() && self.plan.modulation.is_none() {
            for column in &mut self.state.gamma {
                column[..tile.rows].fill(Block::ZERO);
            }
        }
        let mut places = 0..;
        for (kernel, secretion) in self.plan.secretions.iter().enumerate() {
            for (hop, place) in (0..secretion.hops).zip(&mut places) {
                self.modulate_hop::<L>(tile, kernel, (hop, place * blocks));
            }
        }
    }

    /// One hop of a kernel; `first` is the place of its first block's memory.
    #[inline(always)]
    fn modulate_hop<L: Lanes<Scalar = F>>(
        &mut self,
        tile: StepTile,
        kernel: usize,
        (hop, first): (usize, usize),
    ) {
        let (blocks, secretion) = (self.context.lane_layout.blocks(), &self.plan.secretions[kernel]);
        let state = &mut *self.state;
        let psi = self.trial.psi(tile.first, blocks);
        for (block, cells) in state.secreted.chunks_exact_mut(LANES).enumerate() {
            if !self.learning.secretes[block] {
                continue;
            }
            let memories = &self.learning.memories[kernel];
            let (filter, mean) = (memories.lanes::<L>(block), memories.mean::<L>(block));
            let (s, r) = (&mut state.memory_s[first + block], &mut state.memory_r[first + block]);
            let mut column = [Block::ZERO; TILE];
            let mut held = (cleared(tile.first, L::load(s)), cleared(tile.first, L::load(r)));
            for row in (0..tile.rows).rev() {
                let mut x = L::load(&state.signals[block][row]).mul(L::load(&psi[block][row]));
                if hop > 0 {
                    let received = &state.passed_gamma[first - blocks + block][row + 1];
                    x = L::load(received).mul_add(mean, x);
                }
                held = filter.step(held, x);
                held.0.store(&mut column[row]);
            }
            held.0.store(s);
            held.1.store(r);
            transpose::<L>(&column, cells);
        }
        state.received.fill(Block::ZERO);
        secretion.modulation.receive::<L>(&state.secreted, &mut state.totals, &mut state.received);
        if hop + 1 < secretion.hops {
            let columns = &mut state.passed_gamma[first..first + blocks];
            for (cells, column) in state.received.chunks_exact(LANES).zip(columns) {
                transpose::<L>(cells, &mut column[..tile.rows]);
            }
            return;
        }
        for (cells, column) in state.received.chunks_exact(LANES).zip(&mut state.gamma) {
            let mut rows = [Block::ZERO; TILE];
            transpose::<L>(cells, &mut rows[..tile.rows]);
            for (gamma, row) in column.iter_mut().zip(&rows[..tile.rows]) {
                L::load(gamma).add(L::load(row)).store(gamma);
            }
        }
    }

    /// On-MDGL: (1−κ) Σ_{u≥t} κ^{u−t} Γ_u+1 in place of Γ_t+1.
    #[inline(always)]
    fn filter_gamma<L: Lanes<Scalar = F>>(&mut self, tile: StepTile) {
        let low_pass = LowPass::<L>::of(&self.context.network.kappa);
        for (column, filtered) in self.state.gamma.iter_mut().zip(&mut self.state.filtered) {
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
        let (state, lane) = (&mut *self.state, self.context.lane);
        let units = &self.context.input.analogue_units;
        let values = &self.context.input.analogue[t * units.len()..(t + 1) * units.len()];
        let target_adjoints = TargetAdjoints { columns: &state.input_adjoint, row };
        let first = self.context.network.size() as u32;
        for (&unit, value) in units.iter().zip(values) {
            self.learning.sums.onto_cells.add_value::<L>(
                first + unit,
                value.0[lane],
                target_adjoints,
                &mut state.sums[0],
            );
        }
    }

    /// What the events of some rows' steps add to the sums, the last first.
    fn gathering(&mut self, first: usize, rows: Range<usize>) -> TileGather<'_, F> {
        let Self { context, learning, trial, state, .. } = self;
        TileGather { context: *context, learning, trial, state, first, rows }
    }

    /// Loads the segment's ψ, and for On-MDGL its ψ̄.
    #[inline(always)]
    fn load_segment<L: Lanes<Scalar = F>>(&mut self, segment: usize) -> Result<()> {
        let (filters_factors_separately, kappa) =
            (self.plan.filters_factors_separately, &self.context.network.kappa);
        let (mut trial, psi_filtered) = self.segmented();
        match filters_factors_separately {
            true => psi_filtered.load::<L>(&mut trial, kappa, segment),
            false => trial.load::<L>(segment),
        }
    }
}

/// One trial, its ψ by segments.
struct SegmentedTrial<'a, F: Scalar> {
    context: TrialContext<'a, F>,
    trial: &'a mut Trial<F>,
    cancel: &'a AtomicBool,
}

impl<F: Scalar> PsiSegments<F> for SegmentedTrial<'_, F> {
    fn count(&self) -> usize {
        self.trial.segments.count()
    }

    fn steps(&self, segment: usize) -> Range<usize> {
        self.trial.segments.steps(segment)
    }

    #[inline(always)]
    fn load<L: Lanes<Scalar = F>>(&mut self, segment: usize) -> Result<()> {
        L::call(LoadTrialSegment { context: self.context, trial: self.trial, segment, cancel: self.cancel })
    }

    #[inline(always)]
    fn filter<L: Lanes<Scalar = F>>(&self, low_pass: LowPass<L>, step: usize, psi_filtered: &mut [Block<F>]) {
        let psi = self.trial.psi(step / TILE * TILE, self.context.lane_layout.blocks());
        for (held, psi) in psi_filtered.iter_mut().zip(psi) {
            low_pass.forwards(L::load(held), L::load(&psi[step % TILE])).store(held);
        }
    }
}

/// The first row becomes the one after the last: the tile before this one was the later one.
#[inline(always)]
fn shift<F: Scalar, const N: usize>(rows: usize, buffers: [&mut Vec<LongTileColumn<F>>; N]) {
    for columns in buffers {
        for column in columns {
            column[rows] = column[0];
        }
    }
}

/// The events of some rows' steps, to be added to the sums.
struct TileGather<'a, F: Scalar> {
    context: TrialContext<'a, F>,
    learning: &'a Learning<F>,
    trial: &'a Trial<F>,
    state: &'a mut TrialBackwardState<F>,
    /// The step of the tile's first row.
    first: usize,
    rows: Range<usize>,
}

impl<F: Scalar> SimdKernel<F> for TileGather<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(mut self) {
        // Of the step after the last there is nothing.
        let rows = self.rows.start..self.rows.end.min(self.trial.steps - self.first);
        if !self.trial.inputs_listed {
            for row in rows.rev() {
                self.add_row::<L>(row);
            }
            return;
        }
        let (learning, events) = (self.learning, self.trial.events.from(self.first));
        let TrialBackwardState { sums: [of_cells, of_outputs], input_adjoint, error, no_secretion, .. } =
            self.state;
        if !are_zero::<L>(error, rows.clone()) {
            let all = 0..error.len();
            learning.sums.readout.add_tile::<L>(
                |row| events.spikes(row),
                (error, all),
                rows.clone(),
                of_outputs,
            );
        }
        let live = live_blocks(no_secretion);
        learning.sums.onto_cells.add_tile::<L>(
            |row| events.received(row),
            (input_adjoint, live),
            rows,
            of_cells,
        );
    }
}

/// Whether some rows of columns are 0.
#[inline(always)]
fn are_zero<L: Lanes>(columns: &[LongTileColumn<L::Scalar>], rows: Range<usize>) -> bool {
    for column in columns {
        if !is_zero::<L>(column[rows.clone()].iter()) {
            return false;
        }
    }
    true
}

/// From the first to the last block of cells whose adjoints are not 0 through a tile and the step after it.
#[inline(always)]
fn live_blocks(no_secretion: &[bool]) -> Range<usize> {
    match no_secretion.iter().position(|&none| !none) {
        Some(first) => first..no_secretion.iter().rposition(|&none| !none).map_or(first, |last| last + 1),
        None => 0..0,
    }
}

impl<F: Scalar> TileGather<'_, F> {
    /// One row, where inputs repeat within a step or have values.
    #[inline(always)]
    fn add_row<L: Lanes<Scalar = F>>(&mut self, row: usize) {
        let TrialContext { network, input, lane, .. } = self.context;
        let (learning, events, state) = (self.learning, &self.trial.events, &mut *self.state);
        let t = self.first + row;
        let target_adjoints = TargetAdjoints { columns: &state.input_adjoint, row };
        let error = TargetAdjoints { columns: &state.error, row };
        let [of_cells, of_outputs] = &mut state.sums;
        learning.sums.readout.add::<L>(events.at(t), error, of_outputs);
        let first = network.size() as u32;
        for entry in input.events.at(t) {
            if entry.mask >> lane & 1 == 1 {
                learning.sums.onto_cells.add_count::<L>(
                    first + entry.unit,
                    entry.count,
                    target_adjoints,
                    of_cells,
                );
            }
        }
        learning.sums.onto_cells.add::<L>(events.received(t), target_adjoints, of_cells);
    }
}

/// On-MDGL's secretion of a block of cells: P_j,t ψ̄_j,t with P = Σ_k W_out δ_k, no filter, no regulariser.
#[inline(always)]
fn secrete_task_error<L: Lanes>(
    context: TrialContext<'_, L::Scalar>,
    delta: &Delta<L::Scalar>,
    tile: StepTile,
    weights: &[(u32, Block<L::Scalar>)],
    (psi_filtered, block): (&FilteredPsi<L::Scalar>, usize),
    to: &mut TileColumn<L::Scalar>,
) {
    for (row, to) in to[..tile.rows].iter_mut().enumerate() {
        let delta = delta.at(tile.first + row, context.network.outputs());
        if delta.is_empty() {
            continue;
        }
        let mut error = L::splat(L::Scalar::ZERO);
        for (unit, weights) in weights {
            error = L::splat(delta[*unit as usize].0[context.lane]).mul_add(L::load(weights), error);
        }
        error.mul(L::load(&psi_filtered.at(tile.first + row)[block])).store(to);
    }
}

/// Lane i of block j becomes lane j of block i; of the result as many blocks as there is room for.
#[inline(always)]
fn transpose<L: Lanes>(from: &[Block<L::Scalar>], to: &mut [Block<L::Scalar>]) {
    let Some(from) = from.first_chunk() else { return };
    match to.first_chunk_mut() {
        Some(to) => L::transpose(from, to),
        None => {
            let mut all = [Block::ZERO; LANES];
            L::transpose(from, &mut all);
            to.copy_from_slice(&all[..to.len()]);
        }
    }
}
