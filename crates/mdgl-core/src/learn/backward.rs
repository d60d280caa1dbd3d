//! The backward form of every rule: one recursion a cell, from the last step to the first.
//!
//! ```text
//! D_t  = L_t + Γ_t+1 − thr λv_t+1 + (1−ρ) λa_t+1
//! λv_t = α λv_t+1 + ψ_t D_t,   λa_t = ρ λa_t+1 − β ψ_t D_t
//! ∂E/∂W[q→p] = (1−α_p) Σ_t λv_p,t z_q,t−1   (x_i,t for an input)
//! ```

use std::sync::atomic::AtomicBool;

use crate::circuit::{Circuit, Fan};
use crate::encode::{BlockInput, Entry};
use crate::error::Result;
use crate::lanes::{Block, Kernel, Lanes, clear_tiny};
use crate::learn::partial::Partial;
use crate::learn::plan::{Delta, Plan};
use crate::memory::{product, resize};
use crate::real::Real;
use crate::simulate::{Trajectory, check_cancelled, refill};

/// The backward pass over one block of trials.
pub struct Backward<'a, F: Real> {
    pub(crate) circuit: &'a Circuit<F>,
    pub(crate) plan: &'a Plan<F>,
    pub(crate) input: &'a BlockInput<F>,
    pub(crate) trajectory: &'a Trajectory<F>,
    pub(crate) delta: &'a Delta<F>,
    /// The regulariser's part of L, one a cell; empty without one.
    pub(crate) constants: &'a [F],
    pub(crate) work: &'a mut Work<F>,
    /// Where L and Γ go, if wanted.
    pub(crate) signals: Option<&'a mut Signals<F>>,
    pub(crate) cancel: &'a AtomicBool,
}

/// Recorded signals, `[step][neuron]`.
#[derive(Debug, Default)]
pub(crate) struct Signals<F: Real> {
    /// L_p,t.
    pub learning: Vec<Block<F>>,
    /// Γ_p,t, as secreted at step t.
    pub modulation: Vec<Block<F>>,
}

/// State and sums of the pass; kept between batches for its memory.
#[derive(Debug, Default)]
pub(crate) struct Work<F: Real> {
    lambda_v: Vec<Block<F>>,
    lambda_a: Vec<Block<F>>,
    /// Γ_t+1 while step t runs.
    gamma: Vec<Block<F>>,
    /// On-MDGL: Σ_{u≥t} κ^{u−t} Γ_u+1.
    filtered: Vec<Block<F>>,
    secreted: Vec<Block<F>>,
    totals: Vec<Block<F>>,
    /// g_k,t = δ_k,t + κ g_k,t+1.
    error: Vec<Block<F>>,
    /// ψ̄ of the steps with δ, `[step − first][neuron]` (On-MDGL).
    psi_bar: Vec<Block<F>>,
    /// One sum a slot of the plan.
    sums: Vec<Block<F>>,
    /// One sum a readout unit: the bias's gradient.
    bias: Vec<Block<F>>,
}

impl<F: Real> Work<F> {
    /// The lanes' sums, with the targets' scales.
    pub fn partial(&self, plan: &Plan<F>) -> Partial<F> {
        let slots = self.sums.iter().zip(&plan.slots);
        Partial {
            sums: slots.map(|(sum, slot)| sum.sum() * slot.scale).collect(),
            bias: self.bias.iter().map(Block::sum).collect(),
            ..Partial::default()
        }
    }

    fn reset(&mut self, circuit: &Circuit<F>, plan: &Plan<F>) {
        let n = circuit.size();
        for buffer in
            [&mut self.lambda_v, &mut self.lambda_a, &mut self.gamma, &mut self.filtered, &mut self.secreted]
        {
            refill(buffer, n);
        }
        refill(&mut self.totals, plan.modulation.as_ref().map_or(0, |m| m.types()));
        refill(&mut self.error, circuit.outputs());
        refill(&mut self.bias, circuit.outputs());
        refill(&mut self.sums, plan.slots.len());
    }
}

impl<F: Real> Kernel<F> for Backward<'_, F> {
    type Output = Result<()>;

    #[inline(always)]
    fn run<L: Lanes<Scalar = F>>(mut self) -> Result<()> {
        self.work.reset(self.circuit, self.plan);
        if self.plan.separate {
            self.filter_psi::<L>()?;
        }
        let n = self.circuit.size();
        for t in (0..self.trajectory.steps).rev() {
            check_cancelled(t, self.cancel)?;
            clear_tiny::<L>(t, &mut self.work.lambda_v);
            clear_tiny::<L>(t, &mut self.work.lambda_a);
            clear_tiny::<L>(t, &mut self.work.filtered);
            clear_tiny::<L>(t, &mut self.work.error);
            self.filter_error::<L>(t);
            let spikes = self.trajectory.state.spikes.at(t);
            gather::<L>(spikes, &self.plan.readout, &self.work.error, &mut self.work.sums);
            let psi = &self.trajectory.psi[t * n..(t + 1) * n];
            self.update_cells::<L>(t, psi);
            self.modulate::<L>(t);
            self.gather_inputs::<L>(t);
        }
        Ok(())
    }
}

impl<F: Real> Backward<'_, F> {
    /// ψ̄_t = κ ψ̄_t−1 + (1−κ) ψ_t, kept for the steps with δ.
    #[inline(always)]
    fn filter_psi<L: Lanes<Scalar = F>>(&mut self) -> Result<()> {
        let n = self.circuit.size();
        let (first, steps) = (self.delta.first, self.trajectory.steps);
        let len = product(&[steps - first, n]);
        resize(&mut self.work.psi_bar, len, Block::ZERO, "the filtered pseudo-derivatives")?;
        let Some(&kappa) = self.circuit.kappa.first() else { return Ok(()) };
        let (kappa, rest) = (L::splat(kappa), L::splat(F::ONE - kappa));
        let mut filtered = vec![Block::<F>::ZERO; n];
        for t in 0..steps {
            clear_tiny::<L>(t, &mut filtered);
            for (bar, psi) in filtered.iter_mut().zip(&self.trajectory.psi[t * n..]) {
                kappa.mul_add(L::load(bar), rest.mul(L::load(psi))).store(bar);
            }
            if let Some(row) = t.checked_sub(first) {
                self.work.psi_bar[row * n..(row + 1) * n].copy_from_slice(&filtered);
            }
        }
        Ok(())
    }

    /// g_t = δ_t + κ g_t+1, and the bias's gradient.
    #[inline(always)]
    fn filter_error<L: Lanes<Scalar = F>>(&mut self, t: usize) {
        for (g, &kappa) in self.work.error.iter_mut().zip(&self.circuit.kappa) {
            L::load(g).mul(L::splat(kappa)).store(g);
        }
        let delta = self.delta.at(t, self.circuit.outputs());
        let sums = self.work.error.iter_mut().zip(&mut self.work.bias);
        for ((g, bias), delta) in sums.zip(delta) {
            L::load(g).add(L::load(delta)).store(g);
            L::load(bias).add(L::load(delta)).store(bias);
        }
    }

    #[inline(always)]
    fn update_cells<L: Lanes<Scalar = F>>(&mut self, t: usize, psi: &[Block<F>]) {
        let (plan, circuit) = (self.plan, self.circuit);
        let work = &mut *self.work;
        let kappa = circuit.kappa.first().copied().unwrap_or(F::ZERO);
        for &p in &plan.active {
            let p = p as usize;
            let cell = &circuit.cells[p];
            let psi = L::load(&psi[p]);
            let mut drive = L::splat(F::ZERO);
            if plan.signalled[p] {
                drive = signal::<L>(circuit, &work.error, self.constants, p);
                drive.mul(psi).store(&mut work.secreted[p]);
            }
            if let Some(signals) = self.signals.as_mut() {
                drive.store(&mut signals.learning[t * circuit.size() + p]);
            }
            if plan.separate {
                let held = L::load(&work.filtered[p]);
                let held = held.mul_add(L::splat(kappa), L::load(&work.gamma[p]));
                held.store(&mut work.filtered[p]);
                drive = held.mul_add(L::splat(F::ONE - kappa), drive);
            } else if plan.modulation.is_some() {
                drive = drive.add(L::load(&work.gamma[p]));
            }
            let lambda_v = L::load(&work.lambda_v[p]);
            drive = lambda_v.neg_mul_add(L::splat(cell.threshold), drive);
            if cell.adaptive {
                let lambda_a = L::load(&work.lambda_a[p]);
                let through = psi.mul(lambda_a.mul_add(L::splat(cell.jump), drive));
                let lambda_a = lambda_a.mul(L::splat(cell.rho));
                through.neg_mul_add(L::splat(cell.beta), lambda_a).store(&mut work.lambda_a[p]);
                lambda_v.mul_add(L::splat(cell.alpha), through).store(&mut work.lambda_v[p]);
            } else {
                let through = psi.mul(drive);
                lambda_v.mul_add(L::splat(cell.alpha), through).store(&mut work.lambda_v[p]);
            }
        }
    }

    /// Γ_t, from what the cells secreted at step t.
    #[inline(always)]
    fn modulate<L: Lanes<Scalar = F>>(&mut self, t: usize) {
        let Some(modulation) = &self.plan.modulation else { return };
        let work = &mut *self.work;
        if self.plan.separate {
            secrete_task_error::<L>(self.circuit, self.plan, self.delta, t, work);
        }
        let secreted = if self.plan.adjoint { &work.lambda_v } else { &work.secreted };
        modulation.receive::<L>(secreted, &mut work.totals, &mut work.gamma);
        if let Some(signals) = self.signals.as_mut() {
            let n = self.circuit.size();
            signals.modulation[t * n..(t + 1) * n].copy_from_slice(&work.gamma);
        }
    }

    #[inline(always)]
    fn gather_inputs<L: Lanes<Scalar = F>>(&mut self, t: usize) {
        let (plan, work) = (self.plan, &mut *self.work);
        gather::<L>(self.input.events.at(t), &plan.input, &work.lambda_v, &mut work.sums);
        let units = &self.input.analogue_units;
        let values = &self.input.analogue[t * units.len()..(t + 1) * units.len()];
        gather_values::<L>(units, values, &plan.input, &work.lambda_v, &mut work.sums);
        if t > 0 {
            let spikes = self.trajectory.state.spikes.at(t - 1);
            gather::<L>(spikes, &plan.recurrent, &work.lambda_v, &mut work.sums);
        }
    }
}

/// L_p = (1−κ) Σ_k W_out[p→k] g_k, plus the regulariser's constant.
#[inline(always)]
fn signal<L: Lanes>(
    circuit: &Circuit<L::Scalar>,
    error: &[Block<L::Scalar>],
    constants: &[L::Scalar],
    p: usize,
) -> L {
    let constant = constants.get(p).copied().unwrap_or(L::Scalar::ZERO);
    let mut signal = L::splat(constant);
    for &(k, weight) in circuit.readout.of(p) {
        signal = L::load(&error[k as usize]).mul_add(L::splat(weight), signal);
    }
    signal
}

/// On-MDGL's secretion: P_j,t ψ̄_j,t with P = Σ_k W_out δ_k, no filter, no regulariser.
#[inline(always)]
fn secrete_task_error<L: Lanes>(
    circuit: &Circuit<L::Scalar>,
    plan: &Plan<L::Scalar>,
    delta: &Delta<L::Scalar>,
    t: usize,
    work: &mut Work<L::Scalar>,
) {
    let delta_now = delta.at(t, circuit.outputs());
    let row = t.saturating_sub(delta.first) * circuit.size();
    for &p in &plan.active {
        let p = p as usize;
        let mut error = L::splat(L::Scalar::ZERO);
        for &(k, weight) in circuit.readout.of(p) {
            if let Some(delta) = delta_now.get(k as usize) {
                let unfiltered = weight / (L::Scalar::ONE - circuit.kappa[k as usize]);
                error = L::load(delta).mul_add(L::splat(unfiltered), error);
            }
        }
        let secreted = match delta_now {
            [] => error,
            _ => error.mul(L::load(&work.psi_bar[row + p])),
        };
        secreted.store(&mut work.secreted[p]);
    }
}

/// Adds the targets' values to the slots of each entry, in its lanes.
#[inline(always)]
fn gather<L: Lanes>(
    entries: &[Entry],
    fan: &Fan<u32>,
    values: &[Block<L::Scalar>],
    sums: &mut [Block<L::Scalar>],
) {
    for entry in entries {
        for &(post, slot) in fan.of(entry.unit as usize) {
            let mut value = L::load(&values[post as usize]);
            if entry.count != 1 {
                value = value.mul(L::splat(L::Scalar::from_f64(f64::from(entry.count))));
            }
            let sum = &mut sums[slot as usize];
            L::load(sum).add_where(entry.mask, value).store(sum);
        }
    }
}

/// Adds unit value times target value to each slot.
#[inline(always)]
fn gather_values<L: Lanes>(
    units: &[u32],
    inputs: &[Block<L::Scalar>],
    fan: &Fan<u32>,
    values: &[Block<L::Scalar>],
    sums: &mut [Block<L::Scalar>],
) {
    for (&unit, input) in units.iter().zip(inputs) {
        let input = L::load(input);
        for &(post, slot) in fan.of(unit as usize) {
            let sum = &mut sums[slot as usize];
            input.mul_add(L::load(&values[post as usize]), L::load(sum)).store(sum);
        }
    }
}
