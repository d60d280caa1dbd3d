//! Derivatives of the whole state, a column a direction, carried through the network's own step.

use crate::error::Result;
use crate::learn::forward::moment::Moment;
use crate::learn::forward::wiring::Wiring;
use crate::memory::{product, resize};

/// dv, dz, db and dy of every neuron and readout unit by so many directions.
#[derive(Debug)]
pub(crate) struct Tangents {
    columns: usize,
    /// dv `[cell][column]`.
    membrane: Vec<f64>,
    /// dz `[cell][column]`.
    spikes: Vec<f64>,
    /// Whether a row of `spikes` may differ from 0: where ψ does.
    lively: Vec<bool>,
    /// db of the next step, `[adapting cell][column]`.
    adaptation: Vec<f64>,
    /// dy `[unit][column]`.
    readout: Vec<f64>,
}

impl Tangents {
    /// All 0.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] when there is no room for them.
    pub fn new(wiring: &Wiring, columns: usize) -> Result<Self> {
        let zeros = |rows: usize| {
            let mut buffer = Vec::new();
            resize(&mut buffer, product(&[rows, columns]), 0.0, "the influence of the weights")?;
            Ok(buffer)
        };
        Ok(Self {
            columns,
            membrane: zeros(wiring.cells.len())?,
            spikes: zeros(wiring.cells.len())?,
            lively: vec![false; wiring.cells.len()],
            adaptation: zeros(wiring.adapting)?,
            readout: zeros(wiring.kappa.len())?,
        })
    }

    /// Numbers of a column.
    pub fn height(wiring: &Wiring) -> usize {
        2 * wiring.cells.len() + wiring.adapting + wiring.kappa.len()
    }

    /// One step: D_t times every column.
    pub fn propagate(&mut self, wiring: &Wiring, psi: &[f64]) {
        let n = self.columns;
        for (p, cell) in wiring.cells.iter().enumerate() {
            let spikes = &self.spikes[p * n..][..n];
            let membrane = &mut self.membrane[p * n..][..n];
            for (dv, dz) in membrane.iter_mut().zip(spikes) {
                *dv = cell.alpha * *dv - cell.threshold * dz;
            }
        }
        for q in (0..wiring.cells.len()).filter(|&q| self.lively[q]) {
            for &(p, weight) in wiring.recurrent.of(q) {
                add_scaled(&mut self.membrane[p as usize * n..][..n], weight, &self.spikes[q * n..][..n]);
            }
        }
        for (p, cell) in wiring.cells.iter().enumerate() {
            self.lively[p] = psi[p] != 0.0;
            let spikes = &mut self.spikes[p * n..][..n];
            let membrane = &self.membrane[p * n..][..n];
            match cell.adapts {
                None => spikes.iter_mut().zip(membrane).for_each(|(dz, dv)| *dz = psi[p] * dv),
                Some(a) => {
                    let adaptation = &mut self.adaptation[a * n..][..n];
                    for ((dz, dv), db) in spikes.iter_mut().zip(membrane).zip(adaptation) {
                        *dz = psi[p] * (dv - cell.beta * *db);
                        *db = cell.rho * *db + cell.jump * *dz;
                    }
                }
            }
        }
        for (k, &kappa) in wiring.kappa.iter().enumerate() {
            self.readout[k * n..][..n].iter_mut().for_each(|dy| *dy *= kappa);
        }
        for p in (0..wiring.cells.len()).filter(|&p| self.lively[p]) {
            for &(k, weight) in wiring.readout.of(p) {
                add_scaled(&mut self.readout[k as usize * n..][..n], weight, &self.spikes[p * n..][..n]);
            }
        }
    }

    /// Adds to dv of a cell, after [`Self::propagate`], with all that follows within the step.
    pub fn inject(&mut self, wiring: &Wiring, psi: &[f64], p: usize, column: usize, amount: f64) {
        let n = self.columns;
        self.membrane[p * n + column] += amount;
        let dz = psi[p] * amount;
        if dz == 0.0 {
            return;
        }
        self.spikes[p * n + column] += dz;
        let cell = &wiring.cells[p];
        if let Some(a) = cell.adapts {
            self.adaptation[a * n + column] += cell.jump * dz;
        }
        for &(k, weight) in wiring.readout.of(p) {
            self.readout[k as usize * n + column] += weight * dz;
        }
    }

    /// Adds (∂E/∂x) times every column: Σ_k δ_k dy_k + Σ_p c_p dz_p.
    pub fn add_errors(&self, moment: &Moment<'_>, sums: &mut [f64]) {
        let n = self.columns;
        for (k, &delta) in moment.delta.iter().enumerate().filter(|&(_, &delta)| delta != 0.0) {
            add_scaled(sums, delta, &self.readout[k * n..][..n]);
        }
        for (p, &constant) in moment.constants.iter().enumerate().filter(|&(p, _)| self.lively[p]) {
            add_scaled(sums, constant, &self.spikes[p * n..][..n]);
        }
    }

    /// Multiplies everything.
    pub fn scale(&mut self, factor: f64) {
        for buffer in [&mut self.membrane, &mut self.spikes, &mut self.adaptation, &mut self.readout] {
            buffer.iter_mut().for_each(|x| *x *= factor);
        }
    }

    /// The Euclidean (Frobenius) norm of the state's part: v, b and y; z follows from them.
    pub fn norm(&self) -> f64 {
        (squares(&self.membrane) + squares(&self.adaptation) + squares(&self.readout)).sqrt()
    }
}

/// Σ x², in eight sums side by side: one sum would wait for each addition.
pub(crate) fn squares(x: &[f64]) -> f64 {
    let (eights, rest) = x.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for eight in eights {
        sums.iter_mut().zip(eight).for_each(|(sum, x)| *sum += x * x);
    }
    sums.iter().sum::<f64>() + rest.iter().map(|x| x * x).sum::<f64>()
}

/// to += factor · from.
fn add_scaled(to: &mut [f64], factor: f64, from: &[f64]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += factor * from);
}
