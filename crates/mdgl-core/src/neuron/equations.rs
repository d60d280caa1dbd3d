//! Traits of a neuron model: its step, and the derivatives of that step backwards and forwards in time.
//!
//! Every model has one file beside this one. Its equations are written once, over [`Lanes`] for the passes and over
//! `f64` for the forward-mode estimators, and every pass calls them.
//!
//! State, trace and adjoint have one value per state variable. The input is added to the first, whose adjoint is therefore the
//! input's: synapses sum it, BPTT secretes it. The others lie in lists that are empty where no model of the network has them.

use crate::numeric::lanes::{self, Block, Lanes};
use crate::numeric::scalar::Scalar;

/// Most state variables beyond the first.
pub(crate) const FURTHER: usize = 2;

/// Numbers of the linear recursions: sixteen lanes, or one number each of whose operations is rounded.
pub(crate) trait Number: Copy {
    /// 0.
    fn zero() -> Self;
    /// Sum.
    fn add(self, other: Self) -> Self;
    /// Product.
    fn mul(self, other: Self) -> Self;
    /// `self * a + b`.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// `b - self * a`.
    fn neg_mul_add(self, a: Self, b: Self) -> Self;
    /// 0 where it counts as 0, at the steps at which decayed state is cleared.
    fn cleared(self, step: usize) -> Self;
}

impl<L: Lanes> Number for L {
    #[inline(always)]
    fn zero() -> Self {
        L::splat(L::Scalar::ZERO)
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Lanes::add(self, other)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Lanes::mul(self, other)
    }
    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        Lanes::mul_add(self, a, b)
    }
    #[inline(always)]
    fn neg_mul_add(self, a: Self, b: Self) -> Self {
        Lanes::neg_mul_add(self, a, b)
    }
    #[inline(always)]
    fn cleared(self, step: usize) -> Self {
        lanes::cleared(step, self)
    }
}

impl Number for f64 {
    #[inline(always)]
    fn zero() -> Self {
        0.0
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self + other
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self * other
    }
    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        self * a + b
    }
    #[inline(always)]
    fn neg_mul_add(self, a: Self, b: Self) -> Self {
        b - self * a
    }
    #[inline(always)]
    fn cleared(self, _: usize) -> Self {
        self
    }
}

/// A list of values of one state variable.
pub(crate) trait Column<N> {
    fn get(&self, i: usize) -> N;
    fn set(&mut self, i: usize, x: N);
}

impl<L: Lanes> Column<L> for [Block<L::Scalar>] {
    #[inline(always)]
    fn get(&self, i: usize) -> L {
        L::load(&self[i])
    }
    #[inline(always)]
    fn set(&mut self, i: usize, x: L) {
        x.store(&mut self[i]);
    }
}

impl Column<f64> for [f64] {
    #[inline(always)]
    fn get(&self, i: usize) -> f64 {
        self[i]
    }
    #[inline(always)]
    fn set(&mut self, i: usize, x: f64) {
        self[i] = x;
    }
}

/// One value per state variable of a model: its state, or the adjoint or the trace of that. The first is the one to
/// which a neuron's input is added; the first adjoint is the input's.
pub(crate) trait Variables<N: Number>: Copy {
    /// Their number, the first one included.
    const COUNT: usize;
    /// The first.
    fn integrator(self) -> N;
    /// With another first.
    fn with_integrator(self, x: N) -> Self;
    /// The sum of both, variable by variable.
    fn plus(self, other: Self) -> Self;
    /// Each cleared.
    fn cleared(self, step: usize) -> Self;
    /// Σ x².
    fn squares(self) -> N;
    /// The first as given, the others from their columns.
    fn load<C: Column<N> + ?Sized>(first: N, further: &[&mut C], i: usize) -> Self;
    /// Writes all but the first.
    fn store<C: Column<N> + ?Sized>(self, further: &mut [&mut C], i: usize);
}

impl<N: Number, const COUNT: usize> Variables<N> for [N; COUNT] {
    const COUNT: usize = COUNT;

    #[inline(always)]
    fn integrator(self) -> N {
        self[0]
    }
    #[inline(always)]
    fn with_integrator(mut self, x: N) -> Self {
        self[0] = x;
        self
    }
    #[inline(always)]
    fn plus(mut self, other: Self) -> Self {
        for (x, other) in self.iter_mut().zip(other) {
            *x = x.add(other);
        }
        self
    }
    #[inline(always)]
    fn cleared(mut self, step: usize) -> Self {
        for x in &mut self {
            *x = x.cleared(step);
        }
        self
    }
    #[inline(always)]
    fn squares(self) -> N {
        let mut sum = self[0].mul(self[0]);
        for x in &self[1..] {
            sum = sum.add(x.mul(*x));
        }
        sum
    }
    #[inline(always)]
    fn load<C: Column<N> + ?Sized>(first: N, further: &[&mut C], i: usize) -> Self {
        let mut all = [first; COUNT];
        for (x, column) in all[1..].iter_mut().zip(further) {
            *x = column.get(i);
        }
        all
    }
    #[inline(always)]
    fn store<C: Column<N> + ?Sized>(self, further: &mut [&mut C], i: usize) {
        for (x, column) in self[1..].iter().zip(further) {
            column.set(i, *x);
        }
    }
}

/// Prepends a variable to those of another model.
impl<N: Number, V: Variables<N>> Variables<N> for (N, V) {
    const COUNT: usize = 1 + V::COUNT;

    #[inline(always)]
    fn integrator(self) -> N {
        self.0
    }
    #[inline(always)]
    fn with_integrator(self, x: N) -> Self {
        (x, self.1)
    }
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        (self.0.add(other.0), self.1.plus(other.1))
    }
    #[inline(always)]
    fn cleared(self, step: usize) -> Self {
        (self.0.cleared(step), self.1.cleared(step))
    }
    #[inline(always)]
    fn squares(self) -> N {
        self.0.mul(self.0).add(self.1.squares())
    }
    #[inline(always)]
    fn load<C: Column<N> + ?Sized>(first: N, further: &[&mut C], i: usize) -> Self {
        (first, V::load(further[0].get(i), &further[1..], i))
    }
    #[inline(always)]
    fn store<C: Column<N> + ?Sized>(self, further: &mut [&mut C], i: usize) {
        further[0].set(i, self.1.integrator());
        self.1.store(&mut further[1..], i);
    }
}

/// Properties of a model that do not depend on its constants.
pub(crate) trait Described {
    /// Names of its state variables; the input is added to the first.
    const VARIABLES: &'static [&'static str];
    /// Costs of its equations.
    const OPERATIONS: Operations;
    /// Whether it sends values instead of spikes.
    const SENDS_VALUES: bool = false;

    /// Whether spikes and ψ are those of the paper.
    fn is_usual(&self) -> bool;
}

/// v; between two steps its decayed value with the reset subtracted.
pub(crate) const MEMBRANE: &str = "membrane";
/// b of the next step.
pub(crate) const ADAPTATION: &str = "adaptation";

/// Floating-point operations per step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operations {
    /// Operations of a neuron's step.
    pub step: u64,
    /// Operations of its adjoint.
    pub adjoint: u64,
    /// Operations of one eligibility trace.
    pub trace: u64,
}

/// A model's variables, and its adjoint: what a pass back in time needs.
pub(crate) trait Equations<N: Number>: Copy {
    type Variables: Variables<N>;

    /// One step back in time, from the adjoint of the step after this one. `drive` is what reaches z of this step from
    /// outside the neuron, L_t + Γ_t+1.
    fn adjoint(&self, psi: N, drive: N, adjoint: Self::Variables) -> Self::Variables;

    /// The same with the leak alone, without reset and adaptation (ModProp).
    fn leak_only_adjoint(&self, drive: LeakDrive<N>, adjoint: Self::Variables) -> Self::Variables;
}

/// Input of the membrane's adjoint in ModProp: ψ_t L_t and μ Γ_t+1, each where there is one.
#[derive(Clone, Copy)]
pub(crate) struct LeakDrive<N> {
    /// ψ and L.
    pub signal: Option<(N, N)>,
    /// μ and Γ.
    pub modulation: Option<(N, N)>,
}

impl<N: Number> LeakDrive<N> {
    /// Adds it to a decayed adjoint.
    #[inline(always)]
    pub fn added_to(self, mut lambda: N) -> N {
        if let Some((psi, signal)) = self.signal {
            lambda = psi.mul_add(signal, lambda);
        }
        if let Some((mu, gamma)) = self.modulation {
            lambda = mu.mul_add(gamma, lambda);
        }
        lambda
    }
}

/// A model's derivative forwards in time: the equation of an eligibility trace, and of a column of an influence matrix.
///
/// A step has three parts: [`Self::before_input`] with dz of the step before; the step's input joins the first variable;
/// [`Self::spike`] gives dz, which [`Self::after_spike`] takes in.
pub(crate) trait Tangent<N: Number>: Equations<N> {
    /// Decay and reset.
    fn before_input(&self, tangent: Self::Variables, dz: N) -> Self::Variables;

    /// dz_t.
    fn spike(&self, psi: N, tangent: Self::Variables) -> N;

    /// The effect of dz_t on later steps, the reset aside.
    fn after_spike(&self, tangent: Self::Variables, dz: N) -> Self::Variables;

    /// The effect of an input within its step: on the variables, and on z.
    fn response(&self, psi: N, input: N) -> (Self::Variables, N);

    /// An eligibility trace before this step's input; ψ is that of the step before.
    #[inline(always)]
    fn trace(&self, psi: N, trace: Self::Variables) -> Self::Variables {
        let dz = self.spike(psi, trace);
        self.after_spike(self.before_input(trace, dz), dz)
    }
}

/// Results of one step.
pub(crate) struct Stepped<L: Lanes, V> {
    /// z_t of a spiking neuron.
    pub spikes: L::Mask,
    /// z_t of a unit that sends values.
    pub value: L,
    /// ψ_t, 0 while blocked.
    pub psi: L,
    /// The state between this step and the next one's input.
    pub state: V,
}

/// One step of a model.
pub(crate) trait Step<L: Lanes>: Equations<L> + Described {
    /// v_t, as it is recorded, from the state with this step's input.
    fn voltage(&self, state: Self::Variables) -> L;

    /// What v_t is compared with: thr, or A_t = thr + β b_t; 0 of a unit without a threshold.
    fn effective_threshold(&self, state: Self::Variables) -> L;

    /// The step from the state with its input; `blocked` lanes are refractory or over.
    fn step(&self, state: Self::Variables, blocked: L::Mask) -> Stepped<L, Self::Variables>;

    /// The same constants, with default choices as compile-time constants.
    fn usual(self) -> Self;
}
