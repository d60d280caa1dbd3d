//! SnAp-1 by its definition: a mask over the dense recursion of the influence matrix.
//!
//! Menick et al. 2020: J_t = M ⊙ (D_t J_t−1 + I_t), M the entries that a weight can reach within one step of the network.
//! The state is (v, z, b) of every neuron; D_t and I_t are read off the network's linearised step.
// The indices are the equations'.
#![allow(clippy::needless_range_loop)]

use super::oracle::{Grad, Run, Spec, Table};

/// The boundary between two steps of the network: it decides what is reached within a step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum StepEnds {
    /// The step ends with z_t and with the b that z_t has changed.
    AfterTheSpike,
    /// The step ends with v_t; b changes in the next.
    BeforeTheSpike,
}

/// dv, dz and db of every neuron.
#[derive(Clone)]
struct Tangent {
    v: Vec<f64>,
    z: Vec<f64>,
    b: Vec<f64>,
}

pub fn snap1(spec: &Spec, run: &Run, ends: StepEnds) -> Grad {
    let rows = spec.n_in + spec.n_rec;
    let mut all = vec![vec![0.0; spec.n_rec]; rows];
    for trial in 0..run.z.len() {
        for (q, row) in all.iter_mut().enumerate() {
            for (p, sum) in row.iter_mut().enumerate() {
                *sum += weight_gradient(spec, run, ends, trial, (q, p));
            }
        }
    }
    let w_rec = all.split_off(spec.n_in);
    let readout = super::oracle::gradient(spec, run, super::oracle::Rule::Eprop);
    Grad { w_in: all, w_rec, more: Vec::new(), w_out: readout.w_out, b_out: readout.b_out }
}

/// One column of J through a trial, and its gradient.
fn weight_gradient(spec: &Spec, run: &Run, ends: StepEnds, trial: usize, (q, p): (usize, usize)) -> f64 {
    let mut column = Tangent { v: vec![0.0; spec.n_rec], z: vec![0.0; spec.n_rec], b: vec![0.0; spec.n_rec] };
    let mut sum = 0.0;
    for t in 0..spec.steps {
        let sent = if q < spec.n_in {
            spec.inputs[trial][t][q]
        } else if t > 0 {
            run.z[trial][t - 1][q - spec.n_in]
        } else {
            0.0
        };
        column = linear_step(spec, &run.psi[trial][t], &column, p, sent);
        mask(spec, ends, &mut column, p);
        sum += (0..spec.n_rec).map(|j| run.signal[trial][t][j] * column.z[j]).sum::<f64>();
    }
    sum
}

/// D_t times a column, plus I_t.
fn linear_step(spec: &Spec, psi: &[f64], old: &Tangent, p: usize, sent: f64) -> Tangent {
    let mut new = old.clone();
    for j in 0..spec.n_rec {
        let from = |i: usize| spec.w_rec[i][j] * old.z[i];
        let current = (0..spec.n_rec).map(from).sum::<f64>() + if j == p { sent } else { 0.0 };
        new.v[j] = spec.alpha[j] * old.v[j] + (1.0 - spec.alpha[j]) * current - spec.thr[j] * old.z[j];
        new.z[j] = psi[j] * (new.v[j] - spec.beta[j] * old.b[j]);
        new.b[j] = spec.rho[j] * old.b[j] + (1.0 - spec.rho[j]) * new.z[j];
    }
    new
}

/// Keeps what I_t can reach: all that a weight into p changes within a step that began with no change.
fn mask(spec: &Spec, ends: StepEnds, column: &mut Tangent, p: usize) {
    let still = Tangent { v: vec![0.0; spec.n_rec], z: vec![0.0; spec.n_rec], b: vec![0.0; spec.n_rec] };
    let reached = linear_step(spec, &vec![1.0; spec.n_rec], &still, p, 1.0);
    for (entries, reached) in
        [(&mut column.v, &reached.v), (&mut column.z, &reached.z), (&mut column.b, &reached.b)]
    {
        for (entry, reached) in entries.iter_mut().zip(reached) {
            if *reached == 0.0 {
                *entry = 0.0;
            }
        }
    }
    if ends == StepEnds::BeforeTheSpike {
        column.b.fill(0.0);
    }
}

/// Largest difference of two gradients of the weights into neurons, relative to the largest entry.
pub fn distance(one: &Grad, other: &Grad) -> f64 {
    let flat = |table: &Table| table.concat();
    let both = |grad: &Grad| [flat(&grad.w_in), flat(&grad.w_rec)].concat();
    let (one, other) = (both(one), both(other));
    let largest = other.iter().fold(f64::MIN_POSITIVE, |most, x| most.max(x.abs()));
    one.iter().zip(&other).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / largest
}
