//! Neuron models, one file each: constants with their defaults and refusals, state, step, adjoint, trace, linearisation.
//!
//! [`Dynamics`] lists them. Passes say what they do of any model by `for_model!`, which has an arm for each.

pub(crate) mod alif;
pub(crate) mod constants;
pub(crate) mod equations;
pub(crate) mod filter;
pub(crate) mod lif;
pub(crate) mod parameters;
pub(crate) mod rate;
pub(crate) mod storage;
pub(crate) mod threshold;
mod variable;

use alif::Alif;
use constants::{Convert, Load};
use equations::Equations;
use filter::Filter;
use lif::Lif;
use rate::Rate;

use crate::description::NeuronModel;
use crate::error::Result;
use crate::lanes::{Block, LANES, Lanes};
use crate::scalar::Scalar;

pub(crate) use parameters::{Neuron, Parameters, Spiking};
pub(crate) use variable::{Operations, Variable};

/// Constants of one neuron (or of sixteen side by side), by its model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Dynamics<T> {
    Lif(Lif<T>),
    Alif(Alif<T>),
    Rate(Rate<T>),
}

/// Does the same for every model: `for_model!(dynamics, model => …)`.
macro_rules! for_model {
    ($dynamics:expr, $model:ident => $body:expr) => {
        match $dynamics {
            $crate::neuron::Dynamics::Lif($model) => $body,
            $crate::neuron::Dynamics::Alif($model) => $body,
            $crate::neuron::Dynamics::Rate($model) => $body,
        }
    };
}
pub(crate) use for_model;

/// Does the same for every model that has a forward form (see [`equations::Tangent`]), and something else for the others.
macro_rules! for_tangent {
    ($dynamics:expr, $model:ident => $body:expr, else $otherwise:expr) => {
        match $dynamics {
            $crate::neuron::Dynamics::Lif($model) => $body,
            $crate::neuron::Dynamics::Alif($model) => $body,
            $crate::neuron::Dynamics::Rate(_) => $otherwise,
        }
    };
}
pub(crate) use for_tangent;

impl Neuron {
    /// Checks what a description says of a neuron.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] with the parameter's path, its value and what is allowed.
    pub fn new(p: &Parameters<'_>) -> Result<Self> {
        match p.population.model {
            NeuronModel::Lif => lif::neuron(p),
            NeuronModel::Alif => alif::neuron(p),
            NeuronModel::Rate => rate::neuron(p),
        }
    }

    /// Its constants as the equations have them.
    pub fn dynamics(&self, spiking: Spiking) -> Dynamics<f64> {
        match self.model {
            NeuronModel::Lif => Dynamics::Lif(Lif::of(self, spiking)),
            NeuronModel::Alif if self.beta == 0.0 => Dynamics::Lif(Lif::of(self, spiking)),
            NeuronModel::Alif => Dynamics::Alif(Alif::of(self, spiking)),
            NeuronModel::Rate => Dynamics::Rate(Rate::of(self)),
        }
    }

    /// Whether it sends values and not spikes.
    pub fn sends_values(&self) -> bool {
        match self.model {
            NeuronModel::Lif | NeuronModel::Alif => false,
            NeuronModel::Rate => true,
        }
    }
}

impl NeuronModel {
    /// What messages call its neurons.
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::Lif => "LIF neurons",
            Self::Alif => "ALIF neurons",
            Self::Rate => "rate units",
        }
    }

    /// Whether it has a forward form, without which `'backward'` is the only estimator.
    pub(crate) fn has_tangent(self) -> bool {
        match self {
            Self::Lif | Self::Alif => true,
            Self::Rate => false,
        }
    }
}

impl<T: Copy> Dynamics<T> {
    /// With constants of another kind.
    pub fn map<C: Convert<T>>(self) -> Dynamics<C::To> {
        match self {
            Self::Lif(model) => Dynamics::Lif(model.map::<C>()),
            Self::Alif(model) => Dynamics::Alif(model.map::<C>()),
            Self::Rate(model) => Dynamics::Rate(model.map::<C>()),
        }
    }

    /// Its state variables; the input is added to the first.
    pub fn variables(&self) -> &'static [Variable] {
        match self {
            Self::Lif(_) => lif::VARIABLES,
            Self::Alif(_) => alif::VARIABLES,
            Self::Rate(_) => rate::VARIABLES,
        }
    }

    /// Their number beyond the first.
    pub fn further(&self) -> usize {
        self.variables().len() - 1
    }

    /// What its equations cost.
    pub fn operations(&self) -> Operations {
        match self {
            Self::Lif(_) => lif::OPERATIONS,
            Self::Alif(_) => alif::OPERATIONS,
            Self::Rate(_) => rate::OPERATIONS,
        }
    }

    /// Whether it sends values and not spikes.
    pub fn sends_values(&self) -> bool {
        match self {
            Self::Lif(_) | Self::Alif(_) => false,
            Self::Rate(_) => true,
        }
    }

    /// Whether spikes and ψ are those of the paper.
    pub fn is_usual(&self) -> bool {
        match self {
            Self::Lif(model) => model.threshold.is_usual(),
            Self::Alif(model) => model.lif.threshold.is_usual(),
            Self::Rate(_) => true,
        }
    }
}

impl Dynamics<f64> {
    /// Its input's adjoint as a filter of what drives it, a constant in place of ψ; `None` where a model has none.
    pub fn linearised(&self, psi: f64) -> Option<Filter<f64>> {
        match self {
            Self::Lif(model) => Some(model.linearised(psi)),
            Self::Alif(model) => Some(model.linearised(psi)),
            Self::Rate(_) => None,
        }
    }
}

impl<F: Scalar> Dynamics<F> {
    /// The same with the leak alone in trace and adjoint (RFLO).
    pub fn leak_only(self) -> Self {
        match self {
            Self::Lif(model) => Self::Lif(model.leak_only()),
            Self::Alif(model) => Self::Lif(model.lif.leak_only()),
            Self::Rate(model) => Self::Rate(model),
        }
    }

    /// Neurons in blocks of sixteen, all as the least model that has room for each; `None` where there is none.
    pub fn side_by_side(all: &[Self]) -> Option<Vec<Dynamics<Block<F>>>> {
        fn blocks<M, F: Scalar>(
            all: Option<Vec<M>>,
            block: fn(&[M]) -> Dynamics<Block<F>>,
        ) -> Option<Vec<Dynamics<Block<F>>>> {
            Some(all?.chunks(LANES).map(block).collect())
        }
        blocks(all.iter().map(Self::as_lif).collect(), |own| Dynamics::Lif(Lif::side_by_side(own)))
            .or_else(|| {
                blocks(all.iter().map(Self::as_alif).collect(), |own| Dynamics::Alif(Alif::side_by_side(own)))
            })
            .or_else(|| {
                blocks(all.iter().map(Self::as_rate).collect(), |own| Dynamics::Rate(Rate::side_by_side(own)))
            })
    }

    /// Whether up to sixteen neurons spike and fit into one model.
    pub fn stand_side_by_side(each: &[Self]) -> bool {
        !each.iter().any(Self::sends_values) && Self::side_by_side(each).is_some()
    }

    fn as_lif(&self) -> Option<Lif<F>> {
        match *self {
            Self::Lif(model) => Some(model),
            Self::Alif(_) | Self::Rate(_) => None,
        }
    }

    fn as_alif(&self) -> Option<Alif<F>> {
        match *self {
            Self::Lif(model) => Some(Alif::without_adaptation(model)),
            Self::Alif(model) => Some(model),
            Self::Rate(_) => None,
        }
    }

    fn as_rate(&self) -> Option<Rate<F>> {
        match *self {
            Self::Rate(model) => Some(model),
            Self::Lif(_) | Self::Alif(_) => None,
        }
    }
}

/// A model's constants of sixteen neurons side by side.
pub(crate) trait SideBySide<L: Lanes>: Sized {
    /// The model in lanes.
    type Model: Equations<L>;
    /// Those of a block, where they are of this model.
    fn of(block: &Dynamics<Block<L::Scalar>>) -> Option<&Self>;
    /// In lanes.
    fn load(&self) -> Self::Model;
}

macro_rules! side_by_side {
    ($($variant:ident: $model:ident),*) => {$(
        impl<L: Lanes> SideBySide<L> for $model<Block<L::Scalar>> {
            type Model = $model<L>;
            #[inline(always)]
            fn of(block: &Dynamics<Block<L::Scalar>>) -> Option<&Self> {
                match block {
                    Dynamics::$variant(model) => Some(model),
                    _ => None,
                }
            }
            #[inline(always)]
            fn load(&self) -> $model<L> {
                self.map::<Load<L>>()
            }
        }
    )*};
}
side_by_side!(Lif: Lif, Alif: Alif, Rate: Rate);
