//! One neuron's constants, converted from the description to steps and decay factors.

use crate::description::list::List;
use crate::description::{
    Conventions, InputGain, NetworkDescription, Parameter, Population, PseudoDerivative,
};
use crate::numeric::steps::{self, steps_in};

/// The constants of one neuron in the description's terms, whatever its model; those that a model does not have are
/// ignored.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Neuron {
    /// α, decay of the membrane.
    pub alpha: f64,
    /// ρ, decay of the adaptation.
    pub rho: f64,
    /// α_s, decay of the synaptic current.
    pub synaptic_decay: f64,
    /// thr.
    pub threshold: f64,
    /// β, strength of the adaptation.
    pub beta: f64,
    /// γ.
    pub dampening: f64,
    /// Steps without a spike after one.
    pub refractory: u32,
    /// Scale of its input: 1 − α, or 1.
    pub input_scale: f64,
    /// Spike increment of the adaptation: 1 − ρ, or 1.
    pub adaptation_increment: f64,
    /// Factor of the reset in the eligibility trace: thr, or 0.
    pub trace_reset: f64,
    /// k of the pseudo-derivative; 0 for the triangle.
    pub steepness: f64,
}

impl Neuron {
    /// All numbers, comparable.
    pub fn bits(&self) -> [u64; 11] {
        let Self {
            alpha,
            rho,
            synaptic_decay,
            threshold,
            beta,
            dampening,
            refractory,
            input_scale,
            adaptation_increment,
            trace_reset,
            steepness,
        } = *self;
        [
            alpha,
            rho,
            synaptic_decay,
            threshold,
            beta,
            dampening,
            f64::from(refractory),
            input_scale,
            adaptation_increment,
            trace_reset,
            steepness,
        ]
        .map(f64::to_bits)
    }
}

/// The description of one neuron, complete.
#[derive(Clone, Copy)]
pub(crate) struct Parameters<'a> {
    pub description: &'a NetworkDescription,
    pub population: &'a Population,
    pub unit: usize,
}

impl Parameters<'_> {
    /// A parameter as it was given, or its default.
    pub fn value(&self, name: &str, parameter: &Option<Parameter>) -> f64 {
        match parameter {
            Some(Parameter::One(x)) => *x,
            Some(Parameter::Each(List::Here(values))) => values[self.unit],
            Some(Parameter::Each(List::Beside(_))) | None => self.population.model.usual(name),
        }
    }

    /// exp(−dt/τ); 0 for τ = 0, which has no memory.
    pub fn decay(&self, name: &str, time_constant: &Option<Parameter>) -> f64 {
        steps::decay(self.value(name, time_constant), self.description.dt)
    }

    /// The refractory period in whole steps.
    pub fn refractory(&self) -> u32 {
        let period = self.value("refractoryPeriod", &self.population.refractory_period);
        steps_in(period, self.description.dt) as u32
    }

    /// k of the pseudo-derivative, or 0 where the shape has none.
    pub fn steepness(&self) -> f64 {
        let PseudoDerivative { shape, steepness } = self.description.pseudo_derivative;
        steepness.or(shape.usual_steepness()).unwrap_or(0.0)
    }

    /// Scale of the input under the description's conventions, given 1 − α.
    pub fn input_scale(&self, usual: f64) -> f64 {
        match (self.description.conventions, self.description.input_gain) {
            (Conventions::Bellec2020, Some(InputGain::One)) => 1.0,
            (Conventions::Bellec2020 | Conventions::Mdgl2021, _) => usual,
        }
    }
}
