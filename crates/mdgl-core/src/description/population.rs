//! Reading and checking of what has units: inputs, populations, readouts and cell types.

use std::fmt::Display;

use crate::description::draft::{Draft, named_part};
use crate::description::given::Given;
use crate::description::list::List;
use crate::description::{
    CellType, Conventions, InputPopulation, MOST_UNITS, Members, NamedSign, NeuronModel, NoiseCurrent,
    Parameter, Population, Readout, Sign, SignCounts, StepCurrent,
};
use crate::error::{Result, invalid};
use crate::numeric::ranges::{at_least_0, positive, whole, whole_numbers};
use crate::numeric::steps::{in_ms, lasting_or_zero, steps_in};

/// Longest refractory period, in steps.
const MOST_REFRACTORY: f64 = 1e6;

/// What a parameter of a neuron may be.
#[derive(Clone, Copy)]
enum ParameterRange {
    /// In ms: 0, or at least half a step.
    TimeConstant,
    /// In ms, rounded to whole steps: 0 or at least one.
    Duration,
    /// Above 0.
    Positive,
    /// At least 0.
    NonNegative,
}

/// Every parameter of neurons: name, default and range.
const PARAMETERS: [(&str, f64, ParameterRange); 7] = [
    ("membraneTimeConstant", 20.0, ParameterRange::TimeConstant),
    ("synapticTimeConstant", 5.0, ParameterRange::TimeConstant),
    ("threshold", 0.01, ParameterRange::Positive),
    ("refractoryPeriod", 5.0, ParameterRange::Duration),
    ("dampening", 0.3, ParameterRange::NonNegative),
    ("adaptationTimeConstant", 2000.0, ParameterRange::TimeConstant),
    ("adaptationStrength", 1.8, ParameterRange::NonNegative),
];
/// Default τ_m of rate units, in ms.
const RATE_TIME_CONSTANT: f64 = 100.0;

impl NeuronModel {
    const ALL: [Self; 5] = [Self::Lif, Self::Alif, Self::Rate, Self::CubaLif, Self::CubaAlif];

    /// Whether neurons of the model have a parameter.
    fn has(self, parameter: &str) -> bool {
        let adapts = matches!(self, Self::Alif | Self::CubaAlif);
        match parameter {
            "membraneTimeConstant" => true,
            "synapticTimeConstant" => matches!(self, Self::CubaLif | Self::CubaAlif),
            "adaptationTimeConstant" | "adaptationStrength" => adapts,
            _ => self != Self::Rate,
        }
    }

    /// Whether the model has equations with conventions `'bellec2020'`.
    fn has_bellec2020(self) -> bool {
        matches!(self, Self::Lif | Self::Alif)
    }

    /// The default of a parameter.
    pub(crate) fn usual(self, parameter: &str) -> f64 {
        match self {
            Self::Rate if parameter == "membraneTimeConstant" => RATE_TIME_CONSTANT,
            _ => PARAMETERS.iter().find(|(name, ..)| *name == parameter).map_or(f64::NAN, |row| row.1),
        }
    }
}

impl InputPopulation {
    pub(super) fn read(given: &Given<'_>) -> Result<Self> {
        let (name, given) = named_part(given, "inputs")?;
        let [_, size, sign] = given.parts(["name", "size", "sign"])?;
        let size = read_size(&size)?;
        Ok(Self { name, size, sign: sign.or(Sign::default(), |given| Sign::read(&given))? })
    }

    pub(super) fn complete(self) -> Result<Self> {
        let path = format!("inputs.{}", self.name);
        check_size(&path, self.size)?;
        self.sign.validate(&format!("{path}.sign"), self.size)?;
        Ok(self)
    }
}

fn read_size(given: &Given<'_>) -> Result<usize> {
    given.whole(1, MOST_UNITS as u64)
}

fn check_size(path: &str, size: usize) -> Result<()> {
    whole(format_args!("{path}.size"), size as u64, 1, MOST_UNITS as u64)
}

impl Sign {
    fn read(given: &Given<'_>) -> Result<Self> {
        let names = [
            ("free", NamedSign::Free),
            ("excitatory", NamedSign::Excitatory),
            ("inhibitory", NamedSign::Inhibitory),
        ];
        if let Some(named) = given.known(&names) {
            return Ok(Self::Named(named));
        }
        if given.is_list() {
            let signs = given.floats()?;
            let signs = signs.numbers(|| given.path().to_owned())?;
            // What is no sign becomes one that no unit can have.
            let signs = signs.iter().map(|&x| [1, -1, 0].into_iter().find(|&sign| f64::from(sign) == x));
            return Ok(Self::Each(signs.map(|sign| sign.unwrap_or(i8::MAX)).collect()));
        }
        if !given.is_object() {
            let allowed = "'free', 'excitatory', 'inhibitory', {excitatory, inhibitory} or a sign per unit";
            return Err(given.refused(allowed));
        }
        let [excitatory, inhibitory, shuffled] = given.parts(["excitatory", "inhibitory", "shuffled"])?;
        Ok(Self::Counts(SignCounts {
            excitatory: excitatory.count()?,
            inhibitory: inhibitory.count()?,
            shuffled: shuffled.or(false, |given| given.flag())?,
        }))
    }

    fn validate(&self, path: &str, size: usize) -> Result<()> {
        match self {
            Self::Named(_) => Ok(()),
            Self::Each(signs) if signs.len() != size => {
                let value = format!("an array of {}", signs.len());
                Err(invalid(path, value, format!("an array of {size} signs (one per unit)")))
            }
            Self::Each(signs) => match signs.iter().position(|sign| !(-1..=1).contains(sign)) {
                Some(i) => Err(invalid(format!("{path}[{i}]"), signs[i], "1, -1 or 0")),
                None => Ok(()),
            },
            Self::Counts(counts) if counts.excitatory.checked_add(counts.inhibitory) != Some(size) => {
                let value = format!("{} + {}", counts.excitatory, counts.inhibitory);
                Err(invalid(path, value, format!("excitatory + inhibitory = {size}, the population's size")))
            }
            Self::Counts(_) => Ok(()),
        }
    }
}

impl Population {
    pub(super) fn read(given: &Given<'_>) -> Result<Self> {
        let (name, given) = named_part(given, "populations")?;
        let model = given.part("model").word(&NeuronModel::ALL.map(|model| (model.name(), model)))?;
        let (own, foreign): (Vec<_>, Vec<_>) =
            PARAMETERS.map(|(name, ..)| name).into_iter().partition(|name| model.has(name));
        if let Some(foreign) = foreign.into_iter().find_map(|name| given.part(name).given()) {
            return Err(foreign.refused(not_with(model)));
        }
        given.only(&[&["name", "size", "model", "sign"], &own[..], &["noise", "currents"]].concat())?;
        let sign = given.part("sign").or(Sign::default(), |given| Sign::read(&given))?;
        let parameter = |name| given.part(name).given().as_ref().map(Parameter::read).transpose();
        Ok(Self {
            name,
            size: read_size(&given.part("size"))?,
            model,
            sign,
            membrane_time_constant: parameter("membraneTimeConstant")?,
            synaptic_time_constant: parameter("synapticTimeConstant")?,
            threshold: parameter("threshold")?,
            refractory_period: parameter("refractoryPeriod")?,
            dampening: parameter("dampening")?,
            adaptation_time_constant: parameter("adaptationTimeConstant")?,
            adaptation_strength: parameter("adaptationStrength")?,
            noise: given.part("noise").given().as_ref().map(NoiseCurrent::read).transpose()?,
            currents: given
                .part("currents")
                .or(Vec::new(), |given| given.items()?.iter().map(StepCurrent::read).collect())?,
        })
    }

    pub(super) fn complete(mut self, dt: f64, conventions: Conventions) -> Result<Self> {
        let path = format!("populations.{}", self.name);
        let (model, size) = (self.model, self.size);
        if conventions == Conventions::Bellec2020 && !model.has_bellec2020() {
            let allowed = "with conventions 'bellec2020': 'lif' or 'alif'";
            return Err(invalid(format!("{path}.model"), format!("'{}'", model.name()), allowed));
        }
        check_size(&path, size)?;
        self.sign.validate(&format!("{path}.sign"), size)?;
        for (name, parameter) in self.parameters_mut() {
            let path = format!("{path}.{name}");
            if !model.has(name) {
                match parameter {
                    None => continue,
                    Some(_) => return Err(invalid(path, "set", not_with(model))),
                }
            }
            let given = parameter.take().unwrap_or(Parameter::One(model.usual(name)));
            let range = PARAMETERS.iter().find(|row| row.0 == name).map(|row| row.2);
            *parameter = Some(match range {
                Some(range) => given.complete(&path, size, |path, x| range.complete(path, x, dt))?,
                None => given,
            });
        }
        if let Some(noise) = &self.noise {
            noise.validate(&format!("{path}.noise"), dt)?;
        }
        for (i, current) in self.currents.iter_mut().enumerate() {
            *current = current.complete(&format!("{path}.currents[{i}]"), dt)?;
        }
        Ok(self)
    }
}

fn not_with(model: NeuronModel) -> String {
    format!("not with model '{}'", model.name())
}

impl ParameterRange {
    /// A value within the range, durations as whole steps.
    fn complete(self, path: &dyn Display, x: f64, dt: f64) -> Result<f64> {
        match self {
            Self::Positive => positive(path, x)?,
            Self::NonNegative => at_least_0(path, x)?,
            Self::TimeConstant => lasting_or_zero(path, x, dt)?,
            Self::Duration => {
                lasting_or_zero(path, x, dt)?;
                let steps = steps_in(x, dt);
                if steps > MOST_REFRACTORY {
                    return Err(invalid(path.to_string(), x, format!("at most {MOST_REFRACTORY} steps")));
                }
                return Ok(in_ms(steps, dt));
            }
        }
        // And not −0.
        Ok(x + 0.0)
    }
}

impl Parameter {
    fn read(given: &Given<'_>) -> Result<Self> {
        match given.is_structure() {
            true => given.floats().map(Self::Each),
            false => Ok(Self::One(given.number())),
        }
    }

    /// Every value by `one`, which is given its path.
    fn complete(
        self,
        path: &str,
        size: usize,
        one: impl Fn(&dyn Display, f64) -> Result<f64>,
    ) -> Result<Self> {
        let values = match &self {
            Self::One(x) => return one(&path, *x).map(Self::One),
            Self::Each(list) => list.numbers(|| path.to_owned())?,
        };
        if values.len() != size {
            let value = format!("an array of {}", values.len());
            return Err(invalid(path, value, format!("one number, or an array of {size} (one per neuron)")));
        }
        let each = values.iter().enumerate().map(|(i, &x)| one(&format_args!("{path}[{i}]"), x));
        let complete = each.collect::<Result<Vec<_>>>()?;
        let same = complete.iter().zip(values.iter()).all(|(x, y)| x.to_bits() == y.to_bits());
        Ok(if same { self } else { Self::Each(complete.into()) })
    }
}

impl Readout {
    pub(super) fn read(given: &Given<'_>) -> Result<Self> {
        let (name, given) = named_part(given, "readouts")?;
        let [_, size, time_constant, bias] = given.parts(["name", "size", "timeConstant", "bias"])?;
        Ok(Self {
            name,
            size: read_size(&size)?,
            time_constant: time_constant.number_or(20.0),
            bias: bias.given().map(|given| given.flag()).transpose()?,
        })
    }

    pub(super) fn complete(mut self, dt: f64, conventions: Conventions) -> Result<Self> {
        let path = format!("readouts.{}", self.name);
        check_size(&path, self.size)?;
        lasting_or_zero(format_args!("{path}.timeConstant"), self.time_constant, dt)?;
        self.time_constant += 0.0;
        let biased = conventions == Conventions::Mdgl2021;
        if *self.bias.get_or_insert(biased) && !biased {
            return Err(invalid(format!("{path}.bias"), true, "with conventions 'bellec2020': false"));
        }
        Ok(self)
    }
}

impl CellType {
    pub(super) fn read(given: &Given<'_>) -> Result<Self> {
        let (name, given) = named_part(given, "types")?;
        let [_, members] = given.parts(["name", "members"])?;
        let members = members.items()?.iter().map(Members::read).collect::<Result<_>>()?;
        Ok(Self { name, members })
    }

    /// Reads one whose units are given by population, as a builder has them.
    pub(super) fn read_units(name: &str, units: &Given<'_>, draft: &Draft) -> Result<Self> {
        let mut members = Vec::new();
        for (population, own) in units.entries()? {
            let size = draft.population_size(&population, units.path())?;
            let units = match own.known(&[("all", ())]) {
                Some(()) => None,
                None if own.is_list() => Some(own.units()?),
                None if own.is_object() => Some(range(&own, size)?),
                None => return Err(own.refused("'all', an array of units, or a range")),
            };
            members.push(Members { population, units });
        }
        Ok(Self { name: name.to_owned(), members })
    }

    pub(super) fn complete(self, draft: &Draft) -> Result<Self> {
        let path = format!("types.{}", self.name);
        for Members { population, units } in &self.members {
            let size = draft.population_size(population, &format!("{path}.population"))?;
            let path = format!("{path}.{population}");
            let units = units.as_ref().map(|units| units.numbers(|| path.clone())).transpose()?;
            if let Some(&unit) = units.and_then(|units| units.iter().find(|&&unit| unit as usize >= size)) {
                return Err(invalid(path, unit, whole_numbers(0, size as u64 - 1)));
            }
        }
        Ok(self)
    }
}

impl Members {
    fn read(given: &Given<'_>) -> Result<Self> {
        let [population, units] = given.parts(["population", "units"])?;
        let units = units.given().map(|given| given.units()).transpose()?;
        Ok(Self { population: population.text(), units })
    }
}

/// The units of a range that does not include its end.
fn range(given: &Given<'_>, size: usize) -> Result<List<u32>> {
    let [from, to] = given.parts(["from", "to"])?;
    let ends =
        from.whole::<u32>(0, size as u64).and_then(|from| Ok((from, to.whole::<u32>(0, size as u64)?)));
    match ends {
        Ok((from, to)) if from <= to => Ok((from..to).collect::<Vec<_>>().into()),
        _ => Err(given.refused(format!("an ascending range within 0 to {size}"))),
    }
}
