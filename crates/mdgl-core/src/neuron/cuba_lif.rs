//! Current-based LIF and ALIF, `'cuba-lif'` and `'cuba-alif'`: the input is a synaptic current that decays.
//!
//! ```text
//! c_t = α_s c_t−1 + I_t ,   v_t = α v_t−1 + (1−α) c_t − thr z_t−1 ,   z, ψ, b as of LIF, or of ALIF
//!
//! back in time      λv_t, λa_t as of LIF, or of ALIF ;   λc_t = α_s λc_t+1 + λv_t , the input's adjoint
//! forwards          εc_t = α_s εc_t−1 + (1−α) z_q,t−1 ;   εc_t in place of (1−α) z_q,t−1 in εv_t ;   e_t likewise
//! about a mean ψ    of LIF: s = λc, r = λv
//! ```
//!
//! The current holds (1−α) c, since weights are scaled beforehand; between two steps it is decayed. The adaptive form has three
//! variables, one more than a channel's filter has states, so that it has no linearisation. α_s = 0 makes it LIF, or
//! ALIF. The neuron is the common one of simulators and neuromorphic hardware (NIR's CubaLIF, norse's LIF).

use crate::neuron::alif::Alif;
use crate::neuron::constants::{Convert, lanes};
use crate::neuron::equations::{
    ADAPTATION, Described, Equations, LeakDrive, MEMBRANE, Number, Operations, Step, Stepped, Tangent,
    Variables,
};
use crate::neuron::filter::Filter;
use crate::neuron::lif::Lif;
use crate::neuron::parameters::{Neuron, Parameters};
use crate::numeric::lanes::{Block, Lanes};
use crate::numeric::scalar::Scalar;

/// Its constants: those of the membrane, a LIF or ALIF neuron's, and the current's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Cuba<M, T> {
    pub membrane: M,
    /// α_s.
    pub synaptic_decay: T,
}

/// (1−α) c; between two steps decayed.
const CURRENT: &str = "current";

/// The constants of a neuron: those of its membrane, and the current's.
pub(super) fn current_based<M>(
    p: &Parameters<'_>,
    membrane: impl Fn(&Parameters<'_>) -> (Neuron, M),
) -> (Neuron, Cuba<M, f64>) {
    let synaptic_decay = p.decay("synapticTimeConstant", &p.population.synaptic_time_constant);
    let (neuron, membrane) = membrane(p);
    (Neuron { synaptic_decay, ..neuron }, Cuba { membrane, synaptic_decay })
}

impl Cuba<Lif<f64>, f64> {
    /// Its input's adjoint with a constant in place of ψ in the reset.
    pub fn linearised(&self, psi: f64) -> Filter<f64> {
        let Filter { ss: decay, .. } = self.membrane.linearised(psi);
        Filter { ss: self.synaptic_decay, sr: decay, rs: 0.0, rr: decay, s_in: 1.0, r_in: 1.0 }
    }
}

impl<T: Copy> Cuba<Alif<T>, T> {
    /// The same without adaptation.
    pub fn lif(self) -> Cuba<Lif<T>, T> {
        Cuba { membrane: self.membrane.lif, synaptic_decay: self.synaptic_decay }
    }
}

impl<F: Scalar> Cuba<Lif<F>, F> {
    /// The leaks alone in trace and adjoint.
    pub fn leak_only(self) -> Self {
        Self { membrane: self.membrane.leak_only(), ..self }
    }

    /// The same constants as an adaptive neuron whose adaptation stays 0.
    pub fn without_adaptation(self) -> Cuba<Alif<F>, F> {
        Cuba { membrane: Alif::without_adaptation(self.membrane), synaptic_decay: self.synaptic_decay }
    }
}

/// The constants after the membrane's own.
macro_rules! with_membrane {
    ($membrane:ident, $variables:expr) => {
        impl<T: Copy> Described for Cuba<$membrane<T>, T> {
            const VARIABLES: &'static [&'static str] = $variables;
            const OPERATIONS: Operations = {
                let Operations { step, adjoint, trace } = <$membrane<T> as Described>::OPERATIONS;
                Operations { step: step + 2, adjoint: adjoint + 2, trace: trace + 4 }
            };

            #[inline(always)]
            fn is_usual(&self) -> bool {
                self.membrane.is_usual()
            }
        }

        impl<T: Copy> Cuba<$membrane<T>, T> {
            #[inline(always)]
            pub fn map<C: Convert<T>>(self) -> Cuba<$membrane<C::To>, C::To> {
                Cuba { membrane: self.membrane.map::<C>(), synaptic_decay: C::convert(self.synaptic_decay) }
            }
        }

        #[cfg(feature = "bench")]
        impl<T> Cuba<$membrane<T>, T> {
            /// A mutable reference to α.
            pub fn decay_mut(&mut self) -> &mut T {
                self.membrane.decay_mut()
            }
        }

        impl<F: Scalar> Cuba<$membrane<F>, F> {
            /// Constants of neurons side by side.
            pub fn side_by_side(each: &[Self]) -> Cuba<$membrane<Block<F>>, Block<F>> {
                let membranes: Vec<_> = each.iter().map(|own| own.membrane).collect();
                Cuba {
                    membrane: $membrane::side_by_side(&membranes),
                    synaptic_decay: lanes(each, |own| own.synaptic_decay),
                }
            }
        }
    };
}
with_membrane!(Lif, &[CURRENT, MEMBRANE]);
with_membrane!(Alif, &[CURRENT, MEMBRANE, ADAPTATION]);

impl<N: Number, M: Equations<N>> Cuba<M, N> {
    /// The membrane's variables with the current joined to its input.
    #[inline(always)]
    fn charged(&self, (current, held): (N, M::Variables)) -> M::Variables {
        held.with_integrator(held.integrator().add(current))
    }

    /// The current's adjoint before the membrane's.
    #[inline(always)]
    fn joined(&self, current: N, membrane: M::Variables) -> (N, M::Variables) {
        (current.mul_add(self.synaptic_decay, membrane.integrator()), membrane)
    }
}

impl<N: Number, M: Equations<N>> Equations<N> for Cuba<M, N> {
    type Variables = (N, M::Variables);

    #[inline(always)]
    fn adjoint(&self, psi: N, drive: N, (current, membrane): Self::Variables) -> Self::Variables {
        self.joined(current, self.membrane.adjoint(psi, drive, membrane))
    }

    #[inline(always)]
    fn leak_only_adjoint(
        &self,
        drive: LeakDrive<N>,
        (current, membrane): Self::Variables,
    ) -> Self::Variables {
        self.joined(current, self.membrane.leak_only_adjoint(drive, membrane))
    }
}

impl<N: Number, M: Tangent<N>> Tangent<N> for Cuba<M, N> {
    #[inline(always)]
    fn before_input(&self, tangent: Self::Variables, dz: N) -> Self::Variables {
        (tangent.0.mul(self.synaptic_decay), self.membrane.before_input(self.charged(tangent), dz))
    }

    #[inline(always)]
    fn spike(&self, psi: N, tangent: Self::Variables) -> N {
        self.membrane.spike(psi, self.charged(tangent))
    }

    #[inline(always)]
    fn after_spike(&self, (current, membrane): Self::Variables, dz: N) -> Self::Variables {
        (current, self.membrane.after_spike(membrane, dz))
    }

    #[inline(always)]
    fn response(&self, psi: N, input: N) -> (Self::Variables, N) {
        let (membrane, dz) = self.membrane.response(psi, input);
        // The input itself stays with the current, to which the membrane is joined when it is read.
        ((input, membrane.with_integrator(N::zero())), dz)
    }
}

impl<L: Lanes, M: Step<L>> Step<L> for Cuba<M, L>
where
    Self: Described,
{
    #[inline(always)]
    fn voltage(&self, state: Self::Variables) -> L {
        self.membrane.voltage(self.charged(state))
    }

    #[inline(always)]
    fn effective_threshold(&self, (_, membrane): Self::Variables) -> L {
        self.membrane.effective_threshold(membrane)
    }

    #[inline(always)]
    fn step(&self, state: Self::Variables, blocked: L::Mask) -> Stepped<L, Self::Variables> {
        let Stepped { spikes, value, psi, state: membrane } =
            self.membrane.step(self.charged(state), blocked);
        Stepped { spikes, value, psi, state: (state.0.mul(self.synaptic_decay), membrane) }
    }

    #[inline(always)]
    fn usual(self) -> Self {
        Self { membrane: self.membrane.usual(), ..self }
    }
}
