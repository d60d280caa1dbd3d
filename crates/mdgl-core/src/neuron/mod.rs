//! Neuron models, one file each: constants, defaults and checks, state, step, adjoint, trace, linearisation.
//!
//! [`Dynamics`] lists them. Passes are generic over the model by `for_model!`, which has an arm for each.

pub(crate) mod alif;
pub(crate) mod constants;
mod cuba_lif;
pub(crate) mod equations;
pub(crate) mod filter;
pub(crate) mod lif;
pub(crate) mod parameters;
pub(crate) mod rate;
pub(crate) mod storage;
pub(crate) mod threshold;

use alif::Alif;
use constants::{Convert, Load};
use cuba_lif::Cuba;
use equations::{Described, Operations, Step};
use filter::Filter;
use lif::Lif;
use rate::Rate;

use crate::description::NeuronModel;
use crate::numeric::lanes::{Block, LANES, Lanes};
use crate::numeric::scalar::Scalar;

pub(crate) use parameters::{Neuron, Parameters};

/// Constants of one neuron (or of sixteen side by side), by its model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Dynamics<T> {
    Lif(Lif<T>),
    Alif(Alif<T>),
    Rate(Rate<T>),
    CubaLif(Cuba<Lif<T>, T>),
    CubaAlif(Cuba<Alif<T>, T>),
}

/// Runs the same code for every model: `for_model!(dynamics, model => …)`.
macro_rules! for_model {
    ($dynamics:expr, $model:ident => $body:expr) => {
        match $dynamics {
            $crate::neuron::Dynamics::Lif($model) => $body,
            $crate::neuron::Dynamics::Alif($model) => $body,
            $crate::neuron::Dynamics::Rate($model) => $body,
            $crate::neuron::Dynamics::CubaLif($model) => $body,
            $crate::neuron::Dynamics::CubaAlif($model) => $body,
        }
    };
}
pub(crate) use for_model;

/// Runs the same code for every model that has a forward form (see [`equations::Tangent`]), and something else for the
/// others.
macro_rules! for_tangent {
    ($dynamics:expr, $model:ident => $body:expr, else $otherwise:expr) => {
        match $dynamics {
            $crate::neuron::Dynamics::Lif($model) => $body,
            $crate::neuron::Dynamics::Alif($model) => $body,
            $crate::neuron::Dynamics::Rate(_) => $otherwise,
            $crate::neuron::Dynamics::CubaLif($model) => $body,
            $crate::neuron::Dynamics::CubaAlif($model) => $body,
        }
    };
}
pub(crate) use for_tangent;

/// The constants of a neuron of a complete description: those in the description's terms, and those of its equations.
pub(crate) fn neuron(p: &Parameters<'_>) -> (Neuron, Dynamics<f64>) {
    match p.population.model {
        NeuronModel::Lif => with(lif::integrate_and_fire(p), Dynamics::Lif),
        NeuronModel::Alif => with(alif::adaptive(p), |own| match own.beta == 0.0 {
            true => Dynamics::Lif(own.lif),
            false => Dynamics::Alif(own),
        }),
        NeuronModel::Rate => with(rate::neuron(p), Dynamics::Rate),
        NeuronModel::CubaLif => with(cuba_lif::current_based(p, lif::integrate_and_fire), Dynamics::CubaLif),
        NeuronModel::CubaAlif => {
            with(cuba_lif::current_based(p, alif::adaptive), |own| match own.membrane.beta == 0.0 {
                true => Dynamics::CubaLif(own.lif()),
                false => Dynamics::CubaAlif(own),
            })
        }
    }
}

fn with<M>((neuron, own): (Neuron, M), dynamics: impl FnOnce(M) -> Dynamics<f64>) -> (Neuron, Dynamics<f64>) {
    (neuron, dynamics(own))
}

impl<T: Copy> Dynamics<T> {
    /// The model with constants of another kind.
    pub fn map<C: Convert<T>>(self) -> Dynamics<C::To> {
        match self {
            Self::Lif(model) => Dynamics::Lif(model.map::<C>()),
            Self::Alif(model) => Dynamics::Alif(model.map::<C>()),
            Self::Rate(model) => Dynamics::Rate(model.map::<C>()),
            Self::CubaLif(model) => Dynamics::CubaLif(model.map::<C>()),
            Self::CubaAlif(model) => Dynamics::CubaAlif(model.map::<C>()),
        }
    }

    /// Names of its state variables; the input is added to the first.
    pub fn variables(&self) -> &'static [&'static str] {
        fn of<M: Described>(_: &M) -> &'static [&'static str] {
            M::VARIABLES
        }
        for_model!(self, model => of(model))
    }

    /// Their number beyond the first.
    pub fn further(&self) -> usize {
        self.variables().len() - 1
    }

    /// Costs of its equations.
    pub fn operations(&self) -> Operations {
        fn of<M: Described>(_: &M) -> Operations {
            M::OPERATIONS
        }
        for_model!(self, model => of(model))
    }

    /// Whether it sends values instead of spikes.
    pub fn sends_values(&self) -> bool {
        fn of<M: Described>(_: &M) -> bool {
            M::SENDS_VALUES
        }
        for_model!(self, model => of(model))
    }

    /// Whether spikes and ψ are those of the paper.
    pub fn is_usual(&self) -> bool {
        for_model!(self, model => model.is_usual())
    }

    /// How messages call its neurons.
    pub fn plural(&self) -> &'static str {
        match self {
            Self::Lif(_) => "LIF neurons",
            Self::Alif(_) => "ALIF neurons",
            Self::Rate(_) => "rate units",
            Self::CubaLif(_) => "current-based LIF neurons",
            Self::CubaAlif(_) => "current-based ALIF neurons",
        }
    }

    /// Whether it has a forward form, without which `'backward'` is the only estimator.
    pub fn has_tangent(&self) -> bool {
        for_tangent!(self, _model => true, else false)
    }
}

impl Dynamics<f64> {
    /// Its input's adjoint as a filter of what drives it, a constant in place of ψ; `None` where a model has none.
    pub fn linearised(&self, psi: f64) -> Option<Filter<f64>> {
        match self {
            Self::Lif(model) => Some(model.linearised(psi)),
            Self::Alif(model) => Some(model.linearised(psi)),
            Self::Rate(_) => None,
            Self::CubaLif(model) => Some(model.linearised(psi)),
            // Three variables; a filter has two.
            Self::CubaAlif(_) => None,
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
            Self::CubaLif(model) => Self::CubaLif(model.leak_only()),
            Self::CubaAlif(model) => Self::CubaLif(model.lif().leak_only()),
        }
    }

    /// Neurons in blocks of sixteen, all as the smallest model that includes each; `None` without neurons, and where no model
    /// includes all.
    pub fn side_by_side(all: &[Self]) -> Option<Vec<Dynamics<Block<F>>>> {
        // Models that no model includes have no arm in common: such neurons do not stand side by side.
        macro_rules! blocks {
            ($variant:ident, $model:ty: $($own:pat => $as:expr),*) => {
                all.iter()
                    .map(|own| match *own { $($own => Some($as),)* _ => None })
                    .collect::<Option<Vec<$model>>>()
                    .map(|all| {
                        let block = |own: &[$model]| Dynamics::$variant(<$model>::side_by_side(own));
                        all.chunks(LANES).map(block).collect()
                    })
            };
        }
        match all.first()? {
            Self::Lif(_) | Self::Alif(_) => blocks!(Lif, Lif<F>: Self::Lif(own) => own).or_else(|| {
                blocks!(Alif, Alif<F>: Self::Lif(lif) => Alif::without_adaptation(lif), Self::Alif(own) => own)
            }),
            Self::Rate(_) => blocks!(Rate, Rate<F>: Self::Rate(own) => own),
            Self::CubaLif(_) | Self::CubaAlif(_) => {
                blocks!(CubaLif, Cuba<Lif<F>, F>: Self::CubaLif(own) => own).or_else(|| {
                    blocks!(CubaAlif, Cuba<Alif<F>, F>:
                        Self::CubaLif(own) => own.without_adaptation(), Self::CubaAlif(own) => own)
                })
            }
        }
    }

    /// Whether up to sixteen neurons spike and have one model that includes them all.
    pub fn stand_side_by_side(each: &[Self]) -> bool {
        !each.iter().any(Self::sends_values) && Self::side_by_side(each).is_some()
    }
}

/// A model's constants of sixteen neurons side by side.
pub(crate) trait SideBySide<L: Lanes>: Sized {
    /// The model in lanes.
    type Model: Step<L>;
    /// Those of a block, where they are of this model.
    fn of(block: &Dynamics<Block<L::Scalar>>) -> Option<&Self>;
    /// In lanes.
    fn load(&self) -> Self::Model;
}

macro_rules! side_by_side {
    ($($variant:ident: $block:ty => $model:ty),* $(,)?) => {$(
        impl<L: Lanes> SideBySide<L> for $block {
            type Model = $model;
            #[inline(always)]
            fn of(block: &Dynamics<Block<L::Scalar>>) -> Option<&Self> {
                match block {
                    Dynamics::$variant(model) => Some(model),
                    _ => None,
                }
            }
            #[inline(always)]
            fn load(&self) -> $model {
                self.map::<Load<L>>()
            }
        }
    )*};
}
side_by_side! {
    Lif: Lif<Block<L::Scalar>> => Lif<L>,
    Alif: Alif<Block<L::Scalar>> => Alif<L>,
    Rate: Rate<Block<L::Scalar>> => Rate<L>,
    CubaLif: Cuba<Lif<Block<L::Scalar>>, Block<L::Scalar>> => Cuba<Lif<L>, L>,
    CubaAlif: Cuba<Alif<Block<L::Scalar>>, Block<L::Scalar>> => Cuba<Alif<L>, L>,
}
