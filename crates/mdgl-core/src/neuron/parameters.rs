//! One neuron's constants, converted from the description to steps and decay factors.

use crate::description::{
    Conventions, InputGain, NetworkDescription, Parameter, Population, PseudoDerivative,
};
use crate::error::{Result, invalid};
use crate::numeric::steps::{self, lasting_or_zero, steps_in};

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

/// The description of one neuron.
#[derive(Clone, Copy)]
pub(crate) struct Parameters<'a> {
    pub description: &'a NetworkDescription,
    pub population: &'a Population,
    pub unit: usize,
}

impl Parameters<'_> {
    /// A parameter that must be above 0.
    pub fn positive(&self, field: &str, parameter: &Option<Parameter>, default: f64) -> Result<f64> {
        let x = self.value(field, parameter, default)?;
        match x.is_finite() && x > 0.0 {
            true => Ok(x),
            false => Err(invalid(self.path(field), x, "finite numbers above 0")),
        }
    }

    /// A parameter that may be 0.
    pub fn non_negative(&self, field: &str, parameter: &Option<Parameter>, default: f64) -> Result<f64> {
        let x = self.value(field, parameter, default)?;
        match x.is_finite() && x >= 0.0 {
            true => Ok(x),
            false => Err(invalid(self.path(field), x, "finite numbers ≥ 0")),
        }
    }

    /// exp(−dt/τ); 0 for τ = 0, which has no memory.
    pub fn decay(&self, field: &str, time_constant: &Option<Parameter>, default: f64) -> Result<f64> {
        let found = self.value(field, time_constant, default)?;
        lasting_or_zero(self.path(field), found, self.description.dt)?;
        Ok(steps::decay(found, self.description.dt))
    }

    /// Refuses parameters that the model does not have, all but those of some names.
    pub fn only(&self, names: &[&str]) -> Result<()> {
        let given = self.population.parameters().into_iter().filter(|(_, parameter)| parameter.is_some());
        match given.map(|(name, _)| name).find(|name| !names.contains(name)) {
            Some(name) => Err(invalid(self.path(name), "set", format!("not with model '{}'", self.model()))),
            None => Ok(()),
        }
    }

    /// Refuses conventions that the model does not have.
    pub fn refuse_bellec2020(&self) -> Result<()> {
        match self.description.conventions {
            Conventions::Mdgl2021 => Ok(()),
            Conventions::Bellec2020 => {
                let allowed = "with conventions 'bellec2020': 'lif' or 'alif'";
                Err(invalid(self.path("model"), format!("'{}'", self.model()), allowed))
            }
        }
    }

    fn model(&self) -> &'static str {
        self.population.model.name()
    }

    /// The refractory period in whole steps.
    pub fn refractory(&self, default: f64) -> Result<u32> {
        let (path, dt) = (self.path("refractoryPeriod"), self.description.dt);
        let period = self.value("refractoryPeriod", &self.population.refractory_period, default)?;
        lasting_or_zero(&path, period, dt)?;
        let steps = steps_in(period, dt);
        if steps > 1e6 {
            return Err(invalid(path, steps * dt, "at most 1000000 steps"));
        }
        Ok(steps as u32)
    }

    /// k of the pseudo-derivative, or 0 where the shape has none.
    pub fn steepness(&self) -> Result<f64> {
        const PATH: &str = "pseudoDerivative.steepness";
        let PseudoDerivative { shape, steepness } = self.description.pseudo_derivative;
        match (shape.usual_steepness(), steepness) {
            (None, None) => Ok(0.0),
            (None, Some(given)) => Err(invalid(PATH, given, "nothing with shape 'triangular'")),
            (Some(_), Some(given)) if given.is_finite() && given > 0.0 => Ok(given),
            (Some(_), Some(given)) => Err(invalid(PATH, given, "a finite number above 0")),
            (Some(usual), None) => Ok(usual),
        }
    }

    /// Scale of the input under the description's conventions, given 1 − α.
    pub fn input_scale(&self, usual: f64) -> f64 {
        match (self.description.conventions, self.description.input_gain) {
            (Conventions::Bellec2020, Some(InputGain::One)) => 1.0,
            (Conventions::Bellec2020 | Conventions::Mdgl2021, _) => usual,
        }
    }

    fn value(&self, field: &str, parameter: &Option<Parameter>, default: f64) -> Result<f64> {
        let size = self.population.size;
        match parameter {
            None => Ok(default),
            Some(Parameter::One(x)) => Ok(*x),
            Some(Parameter::Each(list)) => match list.numbers(|| self.path(field))? {
                values if values.len() == size => Ok(values[self.unit]),
                values => {
                    let value = format!("{} values", values.len());
                    Err(invalid(self.path(field), value, format!("a number or {size} numbers")))
                }
            },
        }
    }

    fn path(&self, field: &str) -> String {
        format!("{}.{field}", self.population.name)
    }
}
