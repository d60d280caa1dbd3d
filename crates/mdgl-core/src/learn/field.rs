//! A learning signal that spreads over the sheet of cells.
//!
//! ```text
//! G_t = K ∗ G_t−1 + Σ_{p at the site} Σ_k B[p→k] δ_k,t
//! ```
//!
//! Forwards in time, as errors come in: the online form's gradient is Σ_t G_t[site of p at t] ē_qp,t. Backwards it is that of
//! L_p,t = (1−κ) Σ_{u≥t} κ^{u−t} G_u[site of p at u]. A field has no inverse: it is computed once from the first step
//! on, and again span by span from snapshots.

use crate::error::Result;
use crate::learn::diffusion::Spread;
use crate::network::Network;
use crate::network::sheet::SheetPlaces;
use crate::numeric::csr::Csr;
use crate::numeric::lanes::{Block, Lanes, Mask, clear_tiny};
use crate::numeric::memory::{product, refill, resize};
use crate::numeric::scalar::Scalar;

/// Steps from one snapshot to the next.
const SPAN: usize = 64;

const WHAT: &str = "the diffusing errors of a block of trials";

/// Sources of errors in the field, and the cells that receive it.
#[derive(Debug)]
pub(crate) struct FieldSources<F: Scalar> {
    spread: Spread<F>,
    pub places: SheetPlaces,
    /// Readout unit → (cell, B).
    weights: Csr<F>,
}

impl<F: Scalar> FieldSources<F> {
    /// From the feedback weights (1 − κ) B of each cell.
    pub fn new(network: &Network, feedback: &Csr<F>) -> Self {
        let mut triples = Vec::new();
        for p in 0..network.size() {
            for &(k, weight) in feedback.of(p) {
                let rest = F::from_f64(1.0 - network.outputs[k as usize].kappa);
                triples.push((k as usize, p, weight / rest));
            }
        }
        let weights = Csr::new(network.output_units(), &triples);
        Self { spread: Spread::new(&network.grid), places: network.grid.places.clone(), weights }
    }

    pub fn sites(&self) -> usize {
        self.spread.sites()
    }

    /// G_t from G_t−1 and δ_t; lanes that are over have none.
    #[inline(always)]
    pub fn advance<L: Lanes<Scalar = F>>(
        &self,
        at: FieldStep<'_, F>,
        field: &mut [Block<F>],
        sums: &mut [Block<F>],
    ) {
        let FieldStep { step, places, ended_lanes, delta } = at;
        clear_tiny::<L>(step, field);
        self.spread.step::<L>(field, sums);
        for (k, delta) in delta.iter().enumerate() {
            let delta = L::load(delta);
            for &(p, weight) in self.weights.of(k) {
                let field = &mut field[places[p as usize] as usize];
                delta.mul_add(L::splat(weight), L::load(field)).store(field);
            }
        }
        if ended_lanes != 0 {
            for field in field {
                L::load(field).clear(ended_lanes).store(field);
            }
        }
    }
}

/// A step of the field: where the cells stand, the trials that are over, and δ (empty where all are 0).
#[derive(Clone, Copy)]
pub(crate) struct FieldStep<'a, F: Scalar> {
    pub step: usize,
    pub places: &'a [u32],
    pub ended_lanes: Mask,
    pub delta: &'a [Block<F>],
}

/// The field through the pass back in time.
#[derive(Debug, Default)]
pub(crate) struct Field<F: Scalar> {
    /// G before the first step of each span.
    snapshots: Vec<Block<F>>,
    /// G of the current span, `[step − first step of the span][site]`.
    span: Vec<Block<F>>,
    loaded: Option<usize>,
    now: Vec<Block<F>>,
    sums: Vec<Block<F>>,
    /// Σ_{u≥t} κ^{u−t} G_u[site of p], one per cell.
    pub held: Vec<Block<F>>,
    places: Vec<u32>,
}

impl<F: Scalar> Field<F> {
    /// # Errors
    /// [`crate::Error::Memory`].
    pub fn reset(&mut self, sources: &FieldSources<F>, cells: usize, steps: usize) -> Result<()> {
        let sites = sources.sites();
        self.loaded = None;
        for (buffer, len) in [(&mut self.now, sites), (&mut self.sums, sites), (&mut self.held, cells)] {
            refill(buffer, len, WHAT)?;
        }
        sources.places.allocate(&mut self.places)?;
        let snapshots = product(&[sites, steps.div_ceil(SPAN)]);
        resize(&mut self.snapshots, snapshots, Block::ZERO, WHAT)?;
        resize(&mut self.span, product(&[sites, SPAN.min(steps)]), Block::ZERO, WHAT)
    }

    /// One step of the pass from the first to the last.
    #[inline(always)]
    pub fn pass<L: Lanes<Scalar = F>>(
        &mut self,
        sources: &FieldSources<F>,
        t: usize,
        ended_lanes: Mask,
        delta: &[Block<F>],
    ) {
        if t.is_multiple_of(SPAN) {
            let sites = self.now.len();
            self.snapshots[t / SPAN * sites..][..sites].copy_from_slice(&self.now);
        }
        let places = sources.places.at(t, &mut self.places);
        let at = FieldStep { step: t, places, ended_lanes, delta };
        sources.advance::<L>(at, &mut self.now, &mut self.sums);
    }

    /// Steps of a step's span, if that is not loaded: they are to be computed with [`Self::fill`].
    pub fn missing(&mut self, t: usize, steps: usize) -> std::ops::Range<usize> {
        if self.loaded == Some(t / SPAN) {
            return t..t;
        }
        self.loaded = Some(t / SPAN);
        let (first, sites) = (t / SPAN * SPAN, self.now.len());
        self.now.copy_from_slice(&self.snapshots[t / SPAN * sites..][..sites]);
        first..(first + SPAN).min(steps)
    }

    /// One step of a span.
    #[inline(always)]
    pub fn fill<L: Lanes<Scalar = F>>(
        &mut self,
        sources: &FieldSources<F>,
        t: usize,
        ended_lanes: Mask,
        delta: &[Block<F>],
    ) {
        let places = sources.places.at(t, &mut self.places);
        let at = FieldStep { step: t, places, ended_lanes, delta };
        sources.advance::<L>(at, &mut self.now, &mut self.sums);
        let sites = self.now.len();
        self.span[t % SPAN * sites..][..sites].copy_from_slice(&self.now);
    }

    /// The filtered field at each cell from this step on, from that of the step after.
    #[inline(always)]
    pub fn hold<L: Lanes<Scalar = F>>(&mut self, sources: &FieldSources<F>, t: usize, kappa: F) {
        clear_tiny::<L>(t, &mut self.held);
        let places = sources.places.at(t, &mut self.places);
        let field = &self.span[t % SPAN * self.now.len()..][..self.now.len()];
        for (held, &site) in self.held.iter_mut().zip(places) {
            L::load(held).mul_add(L::splat(kappa), L::load(&field[site as usize])).store(held);
        }
    }
}
