//! The pairs of a projection's units that lesions keep silent.

/// Pairs by the types of their units, and single ones.
#[derive(Debug)]
pub(super) struct LesionedPairs {
    /// Type of each sender and of each receiver; 0 for inputs and readouts, which have none.
    pub types: (Vec<usize>, Vec<usize>),
    /// Whether all pairs of a sender's and a receiver's type are silent.
    pub by_type: Vec<Vec<bool>>,
    /// Single pairs (post, pre), ascending.
    pub pairs: Vec<(u32, u32)>,
    /// Whether the types leave no pair.
    pub are_all: bool,
}

impl LesionedPairs {
    /// Whether a pair is silent.
    pub fn contains(&self, pre: u32, post: u32) -> bool {
        self.by_type[self.types.0[pre as usize]][self.types.1[post as usize]]
            || self.pairs.binary_search(&(post, pre)).is_ok()
    }

    /// Orders single pairs, and finds whether any pair is left.
    pub fn conclude(&mut self) {
        self.pairs.sort_unstable();
        self.pairs.dedup();
        let types = self.by_type.len();
        let present = |units: &[usize]| {
            let mut present = vec![false; types];
            units.iter().for_each(|&own| present[own] = true);
            present
        };
        let (senders, receivers) = (present(&self.types.0), present(&self.types.1));
        let left = |from: usize, to: usize| senders[from] && receivers[to] && !self.by_type[from][to];
        self.are_all = !(0..types).any(|from| (0..types).any(|to| left(from, to)));
    }

    /// Adds all pairs of a sender's and a receiver's type, `None` for any.
    pub fn add(&mut self, types: (Option<usize>, Option<usize>)) {
        for (from, row) in self.by_type.iter_mut().enumerate() {
            for (to, silent) in row.iter_mut().enumerate() {
                *silent |= types.0.is_none_or(|own| own == from) && types.1.is_none_or(|own| own == to);
            }
        }
    }
}
