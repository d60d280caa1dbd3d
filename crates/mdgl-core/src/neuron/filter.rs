//! A linear filter of two states: a channel's kernel with memory.

use crate::neuron::constants::Convert;
use crate::neuron::equations::Number;
use crate::numeric::lanes::Block;
use crate::numeric::scalar::Scalar;

/// s_t = m_ss s + m_sr r + i_s x, r_t = m_rs s + m_rr r + i_r x: the numbers of one filter, or of several side by side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Filter<T> {
    pub ss: T,
    pub sr: T,
    pub rs: T,
    pub rr: T,
    pub s_in: T,
    pub r_in: T,
}

impl<T: Copy> Filter<T> {
    #[inline(always)]
    pub fn map<C: Convert<T>>(self) -> Filter<C::To> {
        Filter {
            ss: C::convert(self.ss),
            sr: C::convert(self.sr),
            rs: C::convert(self.rs),
            rr: C::convert(self.rr),
            s_in: C::convert(self.s_in),
            r_in: C::convert(self.r_in),
        }
    }
}

impl<F: Scalar> Filter<Block<F>> {
    /// The filter of neurons that secrete nothing.
    pub const SILENT: Self = Self {
        ss: Block::ZERO,
        sr: Block::ZERO,
        rs: Block::ZERO,
        rr: Block::ZERO,
        s_in: Block::ZERO,
        r_in: Block::ZERO,
    };

    /// Writes a neuron's filter into a lane.
    pub fn set(&mut self, lane: usize, filter: &Filter<F>) {
        let Filter { ss, sr, rs, rr, s_in, r_in } = *filter;
        let numbers = [ss, sr, rs, rr, s_in, r_in];
        let all = [&mut self.ss, &mut self.sr, &mut self.rs, &mut self.rr, &mut self.s_in, &mut self.r_in];
        all.into_iter().zip(numbers).for_each(|(block, number)| block.0[lane] = number);
    }
}

impl<N: Number> Filter<N> {
    /// s and r of the next step, given x.
    #[inline(always)]
    pub fn step(&self, (s, r): (N, N), x: N) -> (N, N) {
        let new_s = x.mul_add(self.s_in, r.mul_add(self.sr, s.mul(self.ss)));
        let new_r = x.mul_add(self.r_in, r.mul_add(self.rr, s.mul(self.rs)));
        (new_s, new_r)
    }
}
