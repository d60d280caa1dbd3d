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
}

impl LesionedPairs {
    /// Whether a pair is silent.
    pub fn contains(&self, pre: u32, post: u32) -> bool {
        self.by_type[self.types.0[pre as usize]][self.types.1[post as usize]]
            || self.pairs.binary_search(&(post, pre)).is_ok()
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
