//! Compressed sparse rows padded to chunks of four targets, so that kernels need no remainder loop.

use crate::numeric::csr::Csr;
use crate::numeric::memory::bytes_of;

/// Targets in a chunk.
pub(crate) const CHUNK: usize = 4;

/// Most bytes of a table of all pairs: it should stay in the second-level cache.
const MOST_BYTES: usize = 512 << 10;

/// Four targets of one unit and their items.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chunk<T> {
    pub target: [u32; CHUNK],
    pub item: [T; CHUNK],
}

/// Padded lists of targets by unit. If their number is no multiple of four the last chunk repeats its first target,
/// with an item that changes nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct PaddedCsr<T> {
    /// One more than the highest target.
    targets: usize,
    /// Start of each unit's chunks.
    start: Vec<u32>,
    /// Most chunks of one unit.
    most: usize,
    chunks: Vec<Chunk<T>>,
    /// Where most pairs have a synapse: the items again as a table, `[four neighbouring targets][unit]`.
    columns: Vec<[T; CHUNK]>,
}

impl<T: Copy> PaddedCsr<T> {
    /// Pads the rows; `nothing` is the item that changes nothing.
    pub fn new(csr: &Csr<T>, units: usize, nothing: T) -> Self {
        let chunks = Vec::with_capacity((0..units).map(|unit| csr.of(unit).len().div_ceil(CHUNK)).sum());
        let mut cut = Self { targets: 0, start: vec![0], most: 0, chunks, columns: Vec::new() };
        for unit in 0..units {
            for part in csr.of(unit).chunks(CHUNK) {
                let mut chunk = Chunk { target: [part[0].0; CHUNK], item: [nothing; CHUNK] };
                for (i, &(target, item)) in part.iter().enumerate() {
                    chunk.target[i] = target;
                    chunk.item[i] = item;
                    cut.targets = cut.targets.max(target as usize + 1);
                }
                cut.chunks.push(chunk);
            }
            cut.most = cut.most.max(cut.chunks.len() - cut.start[unit] as usize);
            cut.start.push(cut.chunks.len() as u32);
        }
        cut
    }

    /// Adds a table of all pairs where two in three have a synapse, none has two, and it is small; `item` changes each, and `nothing`
    /// stands where there is none.
    pub fn with_columns(mut self, csr: &Csr<T>, units: usize, nothing: T, item: impl Fn(T) -> T) -> Self {
        let targets = self.targets.next_multiple_of(CHUNK);
        let is_dense = csr.len() > 0 && 3 * csr.len() >= 2 * units * targets;
        if !is_dense || units * targets * size_of::<T>() > MOST_BYTES {
            return self;
        }
        let mut columns = vec![[nothing; CHUNK]; targets / CHUNK * units];
        let mut is_taken = vec![false; targets * units];
        for unit in 0..units {
            for &(target, own) in csr.of(unit) {
                let (four, place) = (target as usize / CHUNK, target as usize % CHUNK);
                if std::mem::replace(&mut is_taken[target as usize * units + unit], true) {
                    return self;
                }
                columns[four * units + unit][place] = item(own);
            }
        }
        self.columns = columns;
        self
    }

    /// The table, per four neighbouring targets the items of all units; none where most pairs have no synapse.
    #[inline(always)]
    pub fn columns(&self) -> std::slice::ChunksExact<'_, [T; CHUNK]> {
        self.columns.chunks_exact(self.start.len().saturating_sub(1).max(1))
    }

    /// Checks once that every target is a row of a buffer, so that kernels need no check per access.
    #[inline(always)]
    pub fn check_targets<B>(&self, rows: &[B]) {
        assert!(self.targets <= rows.len(), "a target beyond the buffer");
    }

    /// Bytes of memory in use.
    pub fn bytes(&self) -> usize {
        bytes_of(&self.start) + bytes_of(&self.chunks) + bytes_of(&self.columns)
    }

    /// Whether no unit has a target.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Most chunks of one unit.
    #[inline(always)]
    pub fn most(&self) -> usize {
        self.most
    }

    /// First and end of a unit's chunks.
    #[inline(always)]
    pub fn range(&self, unit: usize) -> (u32, u32) {
        (self.start[unit], self.start[unit + 1])
    }

    /// A unit's chunks.
    #[inline(always)]
    pub fn of(&self, unit: usize) -> &[Chunk<T>] {
        &self.chunks[self.start[unit] as usize..self.start[unit + 1] as usize]
    }

    /// A chunk by its place.
    #[inline(always)]
    pub fn at(&self, place: u32) -> &Chunk<T> {
        &self.chunks[place as usize]
    }
}
