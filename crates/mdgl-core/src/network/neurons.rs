//! The neurons' constants, as the equations have them; which neurons share them.

use std::collections::HashMap;

use super::positive;
use crate::description::{
    Conventions, InputGain, NetworkDescription, NeuronModel, Parameter, Population, PseudoDerivative,
};
use crate::error::{Result, invalid};
use crate::steps::{decay, lasting_or_zero, steps_in};

/// Neurons that share their type and all constants: what one mean of ψ speaks for.
#[derive(Debug, Clone)]
pub(crate) struct Groups {
    /// Group of each neuron, numbered as they first appear.
    pub of: Vec<u32>,
    /// The first neuron of each.
    pub first: Vec<u32>,
    /// Number of neurons of each.
    pub sizes: Vec<usize>,
}

impl Groups {
    pub(super) fn new(neurons: &[Neuron], type_of: &[usize]) -> Self {
        let (mut of, mut first, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
        let mut known: HashMap<(usize, [u64; 11]), usize> = HashMap::new();
        for (p, (neuron, &own)) in neurons.iter().zip(type_of).enumerate() {
            let group = *known.entry((own, neuron.bits())).or_insert_with(|| {
                first.push(p as u32);
                sizes.push(0);
                sizes.len() - 1
            });
            sizes[group] += 1;
            of.push(group as u32);
        }
        Self { of, first, sizes }
    }

    pub fn count(&self) -> usize {
        self.sizes.len()
    }
}

/// Constants of one neuron, in steps and decay factors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Neuron {
    pub alpha: f64,
    pub rho: f64,
    pub threshold: f64,
    pub beta: f64,
    pub dampening: f64,
    /// Steps without a spike after one.
    pub refractory: u32,
    /// What scales its input: 1 − α, or 1.
    pub gain: f64,
    /// What a spike adds to the adaptation: 1 − ρ, or 1.
    pub jump: f64,
    /// What the reset weighs in the eligibility trace: thr, or 0.
    pub reset: f64,
    /// k of the pseudo-derivative; 0 for the triangle.
    pub steepness: f64,
    /// Whether it gives max(0, v) and not spikes.
    pub rate: bool,
}

impl Neuron {
    /// All constants, comparable.
    fn bits(&self) -> [u64; 11] {
        let Self { alpha, rho, threshold, beta, dampening, refractory, gain, jump, reset, steepness, rate } =
            *self;
        let (refractory, rate) = (f64::from(refractory), f64::from(u8::from(rate)));
        [alpha, rho, threshold, beta, dampening, refractory, gain, jump, reset, steepness, rate]
            .map(f64::to_bits)
    }
}

pub(super) fn neurons(d: &NetworkDescription) -> Result<Vec<Neuron>> {
    let mut all = Vec::with_capacity(d.populations.iter().map(|p| p.size).sum());
    for population in &d.populations {
        for unit in 0..population.size {
            all.push(neuron(d, population, unit)?);
        }
    }
    Ok(all)
}

fn neuron(d: &NetworkDescription, p: &Population, unit: usize) -> Result<Neuron> {
    match p.model {
        NeuronModel::Rate => rate_unit(d, p, unit),
        NeuronModel::Lif => spiking_neuron(d, p, unit, false),
        NeuronModel::Alif => spiking_neuron(d, p, unit, true),
    }
}

/// One neuron's value of a parameter that must be above 0, or may be 0.
fn value(
    p: &Population,
    unit: usize,
    (field, parameter, default): (&str, &Option<Parameter>, f64),
    zero_allowed: bool,
) -> Result<f64> {
    let path = format!("{}.{field}", p.name);
    let x = match parameter {
        None => default,
        Some(Parameter::One(x)) => *x,
        Some(Parameter::Each(list)) => match list.numbers(|| path.clone())? {
            values if values.len() == p.size => values[unit],
            values => {
                let value = format!("{} values", values.len());
                return Err(invalid(path, value, format!("a number or {} numbers", p.size)));
            }
        },
    };
    if x.is_finite() && (x > 0.0 || zero_allowed && x == 0.0) {
        return Ok(x);
    }
    let allowed = if zero_allowed { "finite numbers ≥ 0" } else { "finite numbers above 0" };
    Err(invalid(path, x, allowed))
}

/// One neuron's value of a time constant; 0 keeps nothing.
fn time_constant_of(
    p: &Population,
    unit: usize,
    parameter: (&str, &Option<Parameter>, f64),
    dt: f64,
) -> Result<f64> {
    let found = value(p, unit, parameter, true)?;
    lasting_or_zero(format!("{}.{}", p.name, parameter.0), found, dt)?;
    Ok(found)
}

/// A leaky unit without threshold, reset and adaptation.
fn rate_unit(d: &NetworkDescription, p: &Population, unit: usize) -> Result<Neuron> {
    for (field, given) in [
        ("threshold", p.threshold.is_some()),
        ("refractoryPeriod", p.refractory_period.is_some()),
        ("dampening", p.dampening.is_some()),
        ("adaptationTimeConstant", p.adaptation_time_constant.is_some()),
        ("adaptationStrength", p.adaptation_strength.is_some()),
    ] {
        if given {
            return Err(invalid(format!("{}.{field}", p.name), "set", "not with model 'rate'"));
        }
    }
    if d.conventions == Conventions::Bellec2020 {
        let path = format!("{}.model", p.name);
        return Err(invalid(path, "'rate'", "with conventions 'bellec2020': 'lif' or 'alif'"));
    }
    let time_constant = ("membraneTimeConstant", &p.membrane_time_constant, 100.0);
    let alpha = decay(time_constant_of(p, unit, time_constant, d.dt)?, d.dt);
    Ok(Neuron {
        alpha,
        rho: 0.0,
        threshold: 1.0,
        beta: 0.0,
        dampening: 1.0,
        refractory: 0,
        gain: 1.0 - alpha,
        jump: 0.0,
        reset: 0.0,
        steepness: 0.0,
        rate: true,
    })
}

fn spiking_neuron(d: &NetworkDescription, p: &Population, unit: usize, adaptive: bool) -> Result<Neuron> {
    let dt = d.dt;
    let value = |field: &str, parameter: &Option<Parameter>, default: f64, zero_allowed: bool| {
        value(p, unit, (field, parameter, default), zero_allowed)
    };
    if !adaptive && (p.adaptation_strength.is_some() || p.adaptation_time_constant.is_some()) {
        let path = format!("{}.adaptationStrength", p.name);
        return Err(invalid(path, "set", "only with model 'alif'"));
    }
    let period = value("refractoryPeriod", &p.refractory_period, 5.0, true)?;
    let path = format!("{}.refractoryPeriod", p.name);
    lasting_or_zero(&path, period, dt)?;
    let refractory = steps_in(period, dt);
    if refractory > 1e6 {
        return Err(invalid(path, refractory * dt, "at most 1000000 steps"));
    }
    let tau = |field: &str, parameter: &Option<Parameter>, default: f64| {
        time_constant_of(p, unit, (field, parameter, default), dt)
    };
    let alpha = decay(tau("membraneTimeConstant", &p.membrane_time_constant, 20.0)?, dt);
    let rho = decay(tau("adaptationTimeConstant", &p.adaptation_time_constant, 2000.0)?, dt);
    let threshold = value("threshold", &p.threshold, 0.01, false)?;
    let usual = Neuron {
        alpha,
        rho,
        threshold,
        beta: value("adaptationStrength", &p.adaptation_strength, if adaptive { 1.8 } else { 0.0 }, true)?,
        dampening: value("dampening", &p.dampening, 0.3, true)?,
        refractory: refractory as u32,
        gain: 1.0 - alpha,
        jump: 1.0 - rho,
        reset: threshold,
        steepness: steepness(d.pseudo_derivative)?,
        rate: false,
    };
    Ok(match d.conventions {
        Conventions::Mdgl2021 => usual,
        Conventions::Bellec2020 => Neuron {
            refractory: usual.refractory.saturating_sub(1),
            gain: if d.input_gain == Some(InputGain::One) { 1.0 } else { usual.gain },
            jump: 1.0,
            reset: 0.0,
            ..usual
        },
    })
}

/// k, or 0 where the shape has none.
fn steepness(pseudo: PseudoDerivative) -> Result<f64> {
    const PATH: &str = "pseudoDerivative.steepness";
    match (pseudo.shape.usual_steepness(), pseudo.steepness) {
        (None, None) => Ok(0.0),
        (None, Some(given)) => Err(invalid(PATH, given, "nothing with shape 'triangular'")),
        (Some(_), Some(given)) => positive(PATH, given).map(|()| given),
        (Some(usual), None) => Ok(usual),
    }
}
