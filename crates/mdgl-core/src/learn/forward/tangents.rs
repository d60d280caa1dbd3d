//! Derivatives of the whole state, one column per direction, propagated by the network's own step.

use crate::error::Result;
use crate::learn::forward::network::ForwardNetwork;
use crate::learn::forward::trial_step::TrialStep;
use crate::neuron::equations::{FURTHER, Tangent, Variables};
use crate::neuron::{Dynamics, for_tangent};
use crate::numeric::memory::{product, resize};

/// The derivatives of every neuron's state variables and z, and of every y, by so many directions.
#[derive(Debug)]
pub(crate) struct Tangents {
    columns: usize,
    /// Rows of the variable to which input is added, `[cell][column]`.
    integrator: Vec<f64>,
    /// dz `[cell][column]`.
    spikes: Vec<f64>,
    /// Whether a row of `spikes` may differ from 0: where ψ does.
    nonzero: Vec<bool>,
    /// Rows of the others, `[place among the cells that have it][column]`.
    further: [Vec<f64>; FURTHER],
    /// dy `[unit][column]`.
    readout: Vec<f64>,
}

impl Tangents {
    /// All 0.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] when they cannot be allocated.
    pub fn new(network: &ForwardNetwork, columns: usize) -> Result<Self> {
        let zeros = |rows: usize| {
            let mut buffer = Vec::new();
            resize(&mut buffer, product(&[rows, columns]), 0.0, "the influence of the weights")?;
            Ok(buffer)
        };
        let further = network.further.iter().map(|&rows| zeros(rows)).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            columns,
            integrator: zeros(network.cells.len())?,
            spikes: zeros(network.cells.len())?,
            nonzero: vec![false; network.cells.len()],
            further: further.try_into().unwrap_or_default(),
            readout: zeros(network.kappa.len())?,
        })
    }

    /// Numbers per column.
    pub fn height(network: &ForwardNetwork) -> usize {
        network.variables() + network.cells.len() + network.kappa.len()
    }

    /// One step: D_t times every column.
    pub fn propagate(&mut self, network: &ForwardNetwork, psi: &[f64]) {
        let n = self.columns;
        for (p, dynamics) in network.cells.iter().enumerate() {
            let rows = self.rows(network, p);
            for_tangent!(dynamics, model => rows.before_input(model), else {});
        }
        for q in (0..network.cells.len()).filter(|&q| self.nonzero[q]) {
            for &(p, weight) in network.recurrent.of(q) {
                add_scaled(&mut self.integrator[p as usize * n..][..n], weight, &self.spikes[q * n..][..n]);
            }
        }
        for (p, dynamics) in network.cells.iter().enumerate() {
            self.nonzero[p] = psi[p] != 0.0;
            let rows = self.rows(network, p);
            for_tangent!(dynamics, model => rows.spike(model, psi[p]), else {});
        }
        for (k, &kappa) in network.kappa.iter().enumerate() {
            self.readout[k * n..][..n].iter_mut().for_each(|dy| *dy *= kappa);
        }
        for p in (0..network.cells.len()).filter(|&p| self.nonzero[p]) {
            for &(k, weight) in network.readout.of(p) {
                add_scaled(&mut self.readout[k as usize * n..][..n], weight, &self.spikes[p * n..][..n]);
            }
        }
    }

    /// Adds to the input of a cell, after [`Self::propagate`], with its effects within the step.
    pub fn inject(&mut self, network: &ForwardNetwork, psi: &[f64], p: usize, column: usize, amount: f64) {
        let n = self.columns;
        let rows = self.rows(network, p);
        let dz =
            for_tangent!(&network.cells[p], model => rows.inject(model, psi[p], column, amount), else 0.0);
        if dz == 0.0 {
            return;
        }
        for &(k, weight) in network.readout.of(p) {
            self.readout[k as usize * n + column] += weight * dz;
        }
    }

    /// The rows of a cell.
    fn rows(&mut self, network: &ForwardNetwork, p: usize) -> TangentRows<'_> {
        let n = self.columns;
        let mut further = self.further.each_mut().map(Vec::as_mut_slice);
        for (list, place) in further.iter_mut().zip(network.places[p]) {
            *list = std::mem::take(list).get_mut(place * n..(place + 1) * n).unwrap_or_default();
        }
        TangentRows {
            integrator: &mut self.integrator[p * n..][..n],
            spikes: &mut self.spikes[p * n..][..n],
            further,
        }
    }

    /// Adds (∂E/∂x) times every column: Σ_k δ_k dy_k + Σ_p c_p dz_p.
    pub fn add_errors(&self, trial_step: &TrialStep<'_>, sums: &mut [f64]) {
        let n = self.columns;
        for (k, &delta) in trial_step.delta.iter().enumerate().filter(|&(_, &delta)| delta != 0.0) {
            add_scaled(sums, delta, &self.readout[k * n..][..n]);
        }
        for (p, &constant) in trial_step.constants.iter().enumerate().filter(|&(p, _)| self.nonzero[p]) {
            add_scaled(sums, constant, &self.spikes[p * n..][..n]);
        }
    }

    /// Multiplies everything.
    pub fn scale(&mut self, factor: f64) {
        let buffers = [&mut self.integrator, &mut self.spikes, &mut self.readout];
        for buffer in buffers.into_iter().chain(&mut self.further) {
            buffer.iter_mut().for_each(|x| *x *= factor);
        }
    }

    /// The Euclidean (Frobenius) norm of the state's part: state variables and y; z follows from them.
    pub fn norm(&self) -> f64 {
        let further = self.further.iter().fold(squares(&self.integrator), |sum, list| sum + squares(list));
        (further + squares(&self.readout)).sqrt()
    }
}

/// One cell's rows of all columns.
struct TangentRows<'a> {
    integrator: &'a mut [f64],
    spikes: &'a mut [f64],
    further: [&'a mut [f64]; FURTHER],
}

impl TangentRows<'_> {
    fn before_input<M: Tangent<f64>>(mut self, model: &M) {
        for (i, (integrator, &dz)) in self.integrator.iter_mut().zip(&*self.spikes).enumerate() {
            let tangent = model.before_input(M::Variables::load(*integrator, &self.further, i), dz);
            *integrator = tangent.integrator();
            tangent.store(&mut self.further, i);
        }
    }

    fn spike<M: Tangent<f64>>(mut self, model: &M, psi: f64) {
        for (i, (&mut integrator, dz)) in self.integrator.iter_mut().zip(self.spikes).enumerate() {
            let tangent = M::Variables::load(integrator, &self.further, i);
            *dz = model.spike(psi, tangent);
            model.after_spike(tangent, *dz).store(&mut self.further, i);
        }
    }

    fn inject<M: Tangent<f64>>(mut self, model: &M, psi: f64, column: usize, amount: f64) -> f64 {
        let (response, dz) = model.response(psi, amount);
        self.integrator[column] += response.integrator();
        if dz != 0.0 {
            self.spikes[column] += dz;
            let tangent = M::Variables::load(0.0, &self.further, column);
            tangent.plus(response).store(&mut self.further, column);
        }
        dz
    }
}

/// The effect of an input to a cell within its step: Σ x² over its state variables, and dz.
pub(crate) fn response(dynamics: &Dynamics<f64>, psi: f64, input: f64) -> (f64, f64) {
    for_tangent!(dynamics, model => {
        let (response, dz) = model.response(psi, input);
        (response.squares(), dz)
    }, else (0.0, 0.0))
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
