//! The recursions of all cells of a trial through a tile of steps, some blocks of cells at a time.

use std::ops::Range;

use crate::neuron::equations::{Described, Equations, FURTHER, Variables};
use crate::neuron::{SideBySide, for_model};
use crate::numeric::lanes::{Block, Lanes, SimdKernel, prefetch};
use crate::numeric::scalar::Scalar;
use crate::single::cells::Cells;
use crate::single::columns::{LongTileColumn, TILE, TileColumn};
use crate::single::learning::FeedbackLayers;

/// Input of the recursions of all cells.
#[derive(Clone, Copy)]
pub(super) enum Drive<'a, F: Scalar> {
    /// L, computed within the recursion: errors of the rows by layer; whether every L is 0; the regulariser's constants.
    Errors { layers: &'a FeedbackLayers<F>, errors: &'a [[F; TILE]], none: bool, constants: &'a [Block<F>] },
    /// L.
    Signals(&'a [TileColumn<F>]),
    /// L and Γ.
    Modulated { signals: &'a [TileColumn<F>], gamma: &'a [LongTileColumn<F>] },
}

/// Some rows of a tile, for the recursions.
pub(super) struct TileRecursion<'a, F: Scalar> {
    pub cells: &'a Cells<F>,
    pub psi: &'a [TileColumn<F>],
    /// State that the next tile reads.
    pub next_psi: &'a [TileColumn<F>],
    pub drive: Drive<'a, F>,
    /// Whether a block's adjoints were 0 through the tile; set for [`Drive::Errors`] alone.
    pub no_secretion: &'a mut [bool],
    /// Rows that each block left out since its adjoints stay 0, those after the trial's end aside; and rows before it.
    pub skipped: &'a mut [u64],
    pub live: usize,
    /// The step of the tile's first row.
    pub first: usize,
    pub rows: Range<usize>,
    pub input_adjoint: &'a mut [LongTileColumn<F>],
    pub further: [&'a mut [Block<F>]; FURTHER],
}

impl<F: Scalar> SimdKernel<F> for TileRecursion<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(mut self) {
        let cells = self.cells;
        for run in cells.runs() {
            for_model!(cells.block(run.start), first => self.descend_run::<L, _>(first, run.clone()));
        }
    }
}

impl<F: Scalar> TileRecursion<'_, F> {
    /// Blocks of one model, as many at a time as there are registers for: each is a chain of dependent operations.
    #[inline(always)]
    fn descend_run<L: Lanes<Scalar = F>, M: SideBySide<L>>(&mut self, _: &M, run: Range<usize>) {
        // Units that send values are not computed in this layout.
        if const { M::Model::SENDS_VALUES } {
            return;
        }
        let mut block = run.start;
        // Constants, so that only the code that runs is compiled.
        if const { stays_in_registers::<L, M::Model>(4) } {
            while run.end - block >= 4 {
                self.backward_tile::<L, M, 4>(block);
                block += 4;
            }
        }
        if const { stays_in_registers::<L, M::Model>(2) } {
            while run.end - block >= 2 {
                self.backward_tile::<L, M, 2>(block);
                block += 2;
            }
        }
        while block < run.end {
            self.backward_tile::<L, M, 1>(block);
            block += 1;
        }
    }

    /// The adjoints of some blocks of cells of one model.
    #[inline(always)]
    fn backward_tile<L: Lanes<Scalar = F>, M: SideBySide<L>, const N: usize>(&mut self, block: usize) {
        let Some(models) = models::<L, M, N>(self.cells, block) else { return };
        let own = block..block + N;
        let (Some(columns), Some(psi), Some(next_psi)) = (
            self.input_adjoint[own.clone()].first_chunk_mut::<N>(),
            self.psi[own.clone()].first_chunk::<N>(),
            self.next_psi[own.clone()].first_chunk::<N>(),
        ) else {
            return;
        };
        let further = &mut self.further;
        let zero = L::splat(F::ZERO);
        let mut adjoint = [<M::Model as Equations<L>>::Variables::load(zero, further, block); N];
        for (i, (adjoint, column)) in adjoint.iter_mut().zip(&*columns).enumerate() {
            *adjoint = Variables::load(L::load(&column[self.rows.end]), further, block + i);
        }
        let held = further[..<M::Model as Equations<L>>::Variables::COUNT - 1]
            .iter()
            .flat_map(|list| &list[own.clone()]);
        let mut constants = [zero; N];
        let mut layers: &[Block<F>] = &[];
        let (mut stride, mut errors): (usize, &[[F; TILE]]) = (0, &[]);
        // Two layers, as of two classes, need no loop.
        let mut two: Option<[Layer<'_, F, N>; 2]> = None;
        if let Drive::Errors { layers: all, errors: by_layer, none, constants: all_constants } = self.drive {
            if none && is_zero::<L>(columns.iter().map(|column| &column[self.rows.end]).chain(held)) {
                let rows = self.live.min(self.rows.end).saturating_sub(self.rows.start) as u64;
                for (i, column) in columns.iter_mut().enumerate() {
                    self.skipped[block + i] += rows;
                    if !std::mem::replace(&mut self.no_secretion[block + i], true) {
                        column[self.rows.clone()].fill(Block::ZERO);
                    }
                }
                return;
            }
            self.no_secretion[own.clone()].fill(false);
            for (constant, own) in constants.iter_mut().zip(all_constants.iter().skip(block)) {
                *constant = L::load(own);
            }
            // Without errors the constants alone drive.
            let by_layer = if none { &[] } else { by_layer };
            (layers, stride, errors) = (&all.weights[..], all.blocks, by_layer);
            if let [first, second] = by_layer {
                let own = |layer: usize| layers[layer * stride + block..].first_chunk::<N>();
                two = own(0).zip(own(1)).map(|(a, b)| [(a, first), (b, second)]);
            }
        }
        for row in self.rows.clone().rev() {
            let row = row % TILE;
            let mut drive = constants;
            match (self.drive, two) {
                (Drive::Errors { .. }, Some([first, second])) => {
                    drive = add_errors::<L, N>(first, row, drive);
                    drive = add_errors::<L, N>(second, row, drive);
                }
                (Drive::Errors { .. }, None) => {
                    for (i, errors) in errors.iter().enumerate() {
                        let error = L::splat(errors[row]);
                        let weights = &layers[i * stride + block..][..N];
                        for (drive, weights) in drive.iter_mut().zip(weights) {
                            *drive = error.mul_add(L::load(weights), *drive);
                        }
                    }
                }
                (Drive::Signals(signals), _) => {
                    for (drive, signals) in drive.iter_mut().zip(&signals[own.clone()]) {
                        *drive = L::load(&signals[row]);
                    }
                }
                (Drive::Modulated { signals, gamma }, _) => {
                    let lists = signals[own.clone()].iter().zip(&gamma[own.clone()]);
                    for (drive, (signals, gamma)) in drive.iter_mut().zip(lists) {
                        *drive = L::load(&signals[row]).add(L::load(&gamma[row + 1]));
                    }
                }
            }
            // Tiles begin where decayed state is cleared.
            if row == 0 {
                for adjoint in &mut adjoint {
                    *adjoint = adjoint.cleared(self.first);
                }
            }
            for i in 0..N {
                prefetch(&next_psi[i][row]);
                adjoint[i] = models[i].adjoint(L::load(&psi[i][row]), drive[i], adjoint[i]);
                adjoint[i].integrator().store(&mut columns[i][row]);
            }
        }
        for (i, adjoint) in adjoint.into_iter().enumerate() {
            adjoint.store(further, block + i);
        }
    }
}

/// Weights of one layer of the feedback onto some blocks of cells, and the layer's errors.
type Layer<'a, F, const N: usize> = (&'a [Block<F>; N], &'a [F; TILE]);

/// Adds what a layer contributes to a row.
#[inline(always)]
fn add_errors<L: Lanes, const N: usize>(
    (weights, errors): Layer<'_, L::Scalar, N>,
    row: usize,
    mut drive: [L; N],
) -> [L; N] {
    let error = L::splat(errors[row]);
    for (drive, weights) in drive.iter_mut().zip(weights) {
        *drive = error.mul_add(L::load(weights), *drive);
    }
    drive
}

/// Whether the adjoints of so many blocks and what drives them have registers, with four to spare.
const fn stays_in_registers<L: Lanes, M: Equations<L>>(blocks: usize) -> bool {
    blocks * L::REGISTERS_PER_BLOCK * (M::Variables::COUNT + 1) + 4 <= L::REGISTERS
}

/// Whether every number is 0.
#[inline(always)]
pub(super) fn is_zero<'a, L: Lanes>(blocks: impl Iterator<Item = &'a Block<L::Scalar>>) -> bool {
    let mut nonzero = 0;
    for block in blocks {
        nonzero |= L::load(block).abs().gt(L::splat(L::Scalar::ZERO));
    }
    nonzero == 0
}

/// The constants of some blocks of cells of one model; `None` where a block is of another.
#[inline(always)]
fn models<L: Lanes, M: SideBySide<L>, const N: usize>(
    cells: &Cells<L::Scalar>,
    block: usize,
) -> Option<[M::Model; N]> {
    let mut models = [M::of(cells.block(block))?.load(); N];
    for (i, model) in models.iter_mut().enumerate().skip(1) {
        *model = M::of(cells.block(block + i))?.load();
    }
    Some(models)
}
