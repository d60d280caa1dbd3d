//! Compressed sparse rows: a list of targets per sending unit.

use crate::numeric::memory::bytes_of;

/// Projections of each unit: target and an item (a weight, a gain, an accumulator's place).
#[derive(Debug, Clone, Default)]
pub(crate) struct Csr<T> {
    start: Vec<u32>,
    items: Vec<(u32, T)>,
}

impl<T: Copy> Csr<T> {
    /// Groups (unit, target, item) triples by unit, keeping their order.
    pub fn new(units: usize, triples: &[(usize, usize, T)]) -> Self {
        Self::group(units, triples.iter().copied())
    }

    /// The same for triples that can be iterated over twice.
    pub fn group(units: usize, triples: impl Iterator<Item = (usize, usize, T)> + Clone) -> Self {
        let mut start = vec![0; units + 1];
        for (unit, ..) in triples.clone() {
            start[unit + 1] += 1;
        }
        for unit in 0..units {
            start[unit + 1] += start[unit];
        }
        let mut end = start.clone();
        // Each element holds an arbitrary item until its own is written.
        let mut items: Vec<_> = triples
            .clone()
            .next()
            .map_or_else(Vec::new, |(_, target, item)| vec![(target as u32, item); start[units] as usize]);
        for (unit, target, item) in triples {
            items[end[unit] as usize] = (target as u32, item);
            end[unit] += 1;
        }
        Self { start, items }
    }

    /// The targets that `change` keeps, with the item that it computes from (unit, target, item).
    pub fn filter_map<U>(&self, mut change: impl FnMut(usize, usize, T) -> Option<U>) -> Csr<U> {
        self.retarget(|unit, target, item| Some((target, change(unit, target, item)?)))
    }

    /// The same where targets change, too.
    pub fn retarget<U>(&self, mut change: impl FnMut(usize, usize, T) -> Option<(usize, U)>) -> Csr<U> {
        let mut start = Vec::with_capacity(self.start.len());
        let mut items = Vec::with_capacity(self.items.len());
        start.push(0);
        for unit in 0..self.start.len().saturating_sub(1) {
            let change = |&(target, item): &(u32, T)| {
                change(unit, target as usize, item).map(|(target, item)| (target as u32, item))
            };
            items.extend(self.of(unit).iter().filter_map(change));
            start.push(items.len() as u32);
        }
        Csr { start, items }
    }

    /// The items by class, of which there are so many, in several lists of the same units; their order is kept.
    pub fn split(&self, classes: usize, class: impl Fn(T) -> usize) -> Vec<Self> {
        let units = self.start.len().saturating_sub(1);
        let mut parts: Vec<Self> = Vec::with_capacity(classes);
        parts.resize_with(classes, || Self { start: Vec::with_capacity(units + 1), items: Vec::new() });
        let mut sizes = vec![0; classes];
        self.items.iter().for_each(|&(_, item)| sizes[class(item)] += 1);
        for (part, size) in parts.iter_mut().zip(sizes) {
            part.start.push(0);
            part.items.reserve_exact(size);
        }
        for unit in 0..units {
            for &(target, item) in self.of(unit) {
                parts[class(item)].items.push((target, item));
            }
            parts.iter_mut().for_each(|part| part.start.push(part.items.len() as u32));
        }
        parts
    }

    /// The same with a target for each of the last units, which have none.
    pub fn with_last(mut self, targets: impl ExactSizeIterator<Item = (usize, T)>) -> Self {
        let first = self.start.len() - targets.len();
        for (i, (target, item)) in targets.enumerate() {
            self.items.push((target as u32, item));
            self.start[first + i] = self.items.len() as u32;
        }
        self
    }

    /// Bytes of memory in use.
    pub fn bytes(&self) -> usize {
        bytes_of(&self.start) + bytes_of(&self.items)
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Targets of a unit.
    #[inline(always)]
    pub fn of(&self, unit: usize) -> &[(u32, T)] {
        &self.items[self.start[unit] as usize..self.start[unit + 1] as usize]
    }
}
