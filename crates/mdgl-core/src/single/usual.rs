//! Simulation of one trial in its usual form: LIF and ALIF neurons, whole rows of weights, listed inputs, nothing recorded.
//!
//! The steps of [`crate::single::trial`] as one loop, which all passes of a training in this layout go through. The input of some
//! blocks of cells is summed in registers, and their state follows in the same loop. Each operation is the same as there, so that
//! the bits are.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::atomic::AtomicBool;

use crate::error::Result;
use crate::instrument::section::Section;
use crate::numeric::cancel::check_cancelled;
use crate::numeric::lanes::{Block, LANES, Lanes, RegisterMask, SimdKernel, clear_tiny, prefetch_at};
use crate::numeric::scalar::Scalar;
use crate::single::cells::UsualCells;
use crate::single::columns::{TILE, TileColumn};
use crate::single::events::{CELLS, Lists};
use crate::single::outgoing::{add_parts, fits};
use crate::single::refractory::is_blocked;
use crate::single::rows::Rows;
use crate::single::trial::{AHEAD, Trial, TrialContext, TrialState};
use crate::single::usual_block::UsualBlock;

/// Blocks of cells in a word of their spikes.
const BLOCKS: usize = CELLS / LANES;

/// Some steps of a trial within one segment, the first of them the segment's first.
pub(super) struct SimulateUsual<'a, F: Scalar> {
    pub context: TrialContext<'a, F>,
    pub usual: &'a UsualCells<F>,
    pub trial: &'a mut Trial<F>,
    pub steps: Range<usize>,
    pub cancel: &'a AtomicBool,
}

impl<F: Scalar> SimdKernel<F> for SimulateUsual<'_, F> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(self) -> Result<()> {
        let Self { context: TrialContext { lane_layout, .. }, usual, trial, steps, cancel } = self;
        let (blocks, outputs) = (lane_layout.blocks(), lane_layout.outputs());
        let Trial { events, readout, psi, state, length, probe, usual_cells: cells, .. } = trial;
        let TrialState { carried, refractory, .. } = state;
        UsualBlock::read(usual, carried, cells)?;
        let (Some(weights), Some(readout_weights)) =
            (lane_layout.onto_cells.rows(), lane_layout.readout.rows())
        else {
            return Ok(());
        };
        let mut readout_state = ReadoutState {
            weights: readout_weights,
            held: &mut carried.readout[..outputs],
            kappa: &lane_layout.kappa[..outputs],
            bias: &lane_layout.bias[..outputs],
        };
        for (first, columns) in steps.clone().step_by(TILE).zip(psi.chunks_exact_mut(blocks)) {
            check_cancelled(first, cancel)?;
            let tile = first..steps.end.min(first + TILE);
            for block in cells.iter_mut() {
                block.clear_tiny::<L>(first);
            }
            clear_tiny::<L>(first, readout_state.held);
            refractory.begin_tile::<L>();
            let mut refractory = refractory.tile(&lane_layout.periods);
            let (mut lists, rows) = events.lists(tile.clone(), blocks)?;
            let out = readout[tile.start * outputs..tile.end * outputs].chunks_exact_mut(outputs);
            let cells = &mut cells[..blocks];
            let end = length.wrapping_sub(first);
            let mut row_before = -F::ONE;
            for ((row, events), out) in (0..TILE).zip(rows).zip(out) {
                probe.step();
                if row == end {
                    refractory.end();
                }
                let received = lists.begin_step(events);
                receive::<L>(weights, lists.senders(received), cells);
                probe.lap(Section::RecurrentScatter);
                let step = CellStep { row, before: L::splat(row_before), lif: usual.lif };
                step.run(cells, refractory.last, columns, &mut lists);
                probe.lap(Section::NeuronUpdate);
                row_before += F::ONE;
                readout_state.step::<L>(lists.spikes(), out, |cell| refractory.begin(cell, row_before));
                probe.lap(Section::Readout);
            }
            lists.keep();
        }
        UsualBlock::write(cells, carried);
        Ok(())
    }
}

/// Adds the rows of some senders to v, as many blocks at a time as there are registers for.
#[inline(always)]
fn receive<L: Lanes>(weights: Rows<'_, L::Scalar>, senders: &[u32], mut rest: &mut [UsualBlock<L::Scalar>]) {
    let mut first = 0;
    while !rest.is_empty() {
        rest = match rest.len() {
            14.. if const { fits::<L>(14) } => receive_chunk::<L, 14>(weights, senders, &mut first, rest),
            7.. if const { fits::<L>(7) } => receive_chunk::<L, 7>(weights, senders, &mut first, rest),
            4.. if const { fits::<L>(4) } => receive_chunk::<L, 4>(weights, senders, &mut first, rest),
            3.. if const { fits::<L>(3) && !fits::<L>(4) } => {
                receive_chunk::<L, 3>(weights, senders, &mut first, rest)
            }
            2.. if const { fits::<L>(2) } => receive_chunk::<L, 2>(weights, senders, &mut first, rest),
            _ => receive_chunk::<L, 1>(weights, senders, &mut first, rest),
        };
    }
}

/// Of so many blocks, from one on; the rest.
#[inline(always)]
fn receive_chunk<'a, L: Lanes, const N: usize>(
    weights: Rows<'_, L::Scalar>,
    senders: &[u32],
    first: &mut usize,
    blocks: &'a mut [UsualBlock<L::Scalar>],
) -> &'a mut [UsualBlock<L::Scalar>] {
    let Some((chunk, rest)) = blocks.split_first_chunk_mut::<N>() else { return &mut [] };
    let mut v = [L::splat(L::Scalar::ZERO); N];
    for (v, block) in v.iter_mut().zip(&*chunk) {
        *v = L::load(&block.v);
    }
    add_parts(weights, senders, *first, &mut v);
    for (block, v) in chunk.iter_mut().zip(v) {
        v.store(&mut block.v);
    }
    *first += N;
    rest
}

/// One step of all cells, whose input is in v.
struct CellStep<L: Lanes> {
    /// The row of the tile, and the one before, with which refractory periods are compared.
    row: usize,
    before: L,
    /// Blocks before the first one that adapts.
    lif: usize,
}

/// Some blocks: themselves, the last steps in which they may not spike, and the tile's columns of their ψ.
type Blocks<'a, F, const N: usize> =
    (&'a mut [UsualBlock<F>; N], &'a [Block<F>; N], &'a mut [TileColumn<F>; N]);

/// Blocks that are left to be computed in a step.
struct Remaining<'a, F: Scalar> {
    cells: *mut UsualBlock<F>,
    last: *const Block<F>,
    columns: *mut TileColumn<F>,
    /// The next one, and the number of all.
    next: usize,
    count: usize,
    all: PhantomData<&'a mut F>,
}

impl<'a, F: Scalar> Remaining<'a, F> {
    /// As many as each list has.
    #[inline(always)]
    fn new(cells: &'a mut [UsualBlock<F>], last: &'a [Block<F>], columns: &'a mut [TileColumn<F>]) -> Self {
        let count = cells.len().min(last.len()).min(columns.len());
        let (cells, last, columns) = (cells.as_mut_ptr(), last.as_ptr(), columns.as_mut_ptr());
        Self { cells, last, columns, next: 0, count, all: PhantomData }
    }

    /// The next N blocks and the index of the first, where as many are left. One comparison serves all three lists.
    #[inline(always)]
    fn take<const N: usize>(&mut self) -> Option<(usize, Blocks<'a, F, N>)> {
        let first = self.next;
        if self.count - first < N {
            return None;
        }
        self.next += N;
        // SAFETY: N elements of each list follow the place `first`, as just compared; each is given once, since `next` is now
        // behind them.
        Some((first, unsafe {
            (
                &mut *self.cells.add(first).cast(),
                &*self.last.add(first).cast(),
                &mut *self.columns.add(first).cast(),
            )
        }))
    }
}

/// Steps of so many blocks, of which the first `LIF` do not adapt. Each is written out: a loop would keep which cells spike in
/// memory, and choose between the models where it is known.
macro_rules! word {
    ($name:ident, $count:literal, $($i:literal)*) => {
        #[inline(always)]
        fn $name<const LIF: usize>(
            &self,
            first: usize,
            (cells, last, columns): Blocks<'_, L::Scalar, $count>,
            lists: &mut Lists<'_>,
        ) {
            let row = self.row % TILE;
            let mut spikes = [L::Mask::from_bits(0); BLOCKS];
            $(
                prefetch_at(columns[$i].as_ptr().wrapping_add((row + AHEAD).min(TILE - 1)));
                let (blocked, psi) = (is_blocked::<L>(&last[$i], self.before), &mut columns[$i][row]);
                spikes[$i] = match $i < LIF {
                    true => cells[$i].step_lif::<L>(blocked, psi),
                    false => cells[$i].step_alif::<L>(blocked, psi),
                };
            )*
            lists.list(L::Mask::word(spikes), (first * LANES) as u32);
        }
    };
}

impl<L: Lanes> CellStep<L> {
    /// A word of spikes at a time.
    #[inline(always)]
    fn run(
        &self,
        cells: &mut [UsualBlock<L::Scalar>],
        last: &[Block<L::Scalar>],
        columns: &mut [TileColumn<L::Scalar>],
        lists: &mut Lists<'_>,
    ) {
        let mut rest = Remaining::new(cells, last, columns);
        while let Some((first, blocks)) = rest.take::<BLOCKS>() {
            match self.lif.saturating_sub(first) {
                0 => self.four::<0>(first, blocks, lists),
                1 => self.four::<1>(first, blocks, lists),
                2 => self.four::<2>(first, blocks, lists),
                3 => self.four::<3>(first, blocks, lists),
                _ => self.four::<4>(first, blocks, lists),
            }
        }
        // Cells that do not adapt adapt by 0 beside others.
        let adapts = self.lif < rest.count;
        if let Some((first, blocks)) = rest.take::<3>() {
            match adapts {
                false => self.three::<4>(first, blocks, lists),
                true => self.three::<0>(first, blocks, lists),
            }
        } else if let Some((first, blocks)) = rest.take::<2>() {
            match adapts {
                false => self.two::<4>(first, blocks, lists),
                true => self.two::<0>(first, blocks, lists),
            }
        } else if let Some((first, blocks)) = rest.take::<1>() {
            match adapts {
                false => self.one::<4>(first, blocks, lists),
                true => self.one::<0>(first, blocks, lists),
            }
        }
    }

    word!(four, 4, 0 1 2 3);
    word!(three, 3, 0 1 2);
    word!(two, 2, 0 1);
    word!(one, 1, 0);
}

/// The readout units while a trial is simulated.
struct ReadoutState<'a, F: Scalar> {
    weights: Rows<'a, F>,
    /// y without the bias.
    held: &'a mut [Block<F>],
    kappa: &'a [Block<F>],
    bias: &'a [Block<F>],
}

impl<F: Scalar> ReadoutState<'_, F> {
    /// One step, from its spikes; `spiked` is called with the cell of each.
    #[inline(always)]
    fn step<L: Lanes<Scalar = F>>(
        &mut self,
        spikes: &[u32],
        out: &mut [Block<F>],
        mut spiked: impl FnMut(u32),
    ) {
        let count = out.len();
        let (held, kappa, bias) = (&mut self.held[..count], &self.kappa[..count], &self.bias[..count]);
        for block in 0..count {
            let mut sum = [L::load(&held[block]).mul(L::load(&kappa[block]))];
            match block {
                0 => spikes.iter().for_each(|&cell| {
                    spiked(cell);
                    sum[0] = sum[0].add(L::load(&self.weights.part::<1>(cell, 0)[0]));
                }),
                _ => add_parts(self.weights, spikes, block, &mut sum),
            }
            sum[0].store(&mut held[block]);
            sum[0].add(L::load(&bias[block])).store(&mut out[block]);
        }
    }
}
