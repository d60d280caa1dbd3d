//! The sheet of cells: a grid with periodic boundaries, and the site of each cell.

use crate::description::{Positions, Sheet};
use crate::error::{Result, invalid};
use crate::numeric::memory::reserve;
use crate::numeric::random::{CounterRng, DrawStream};

/// Most sites of a sheet.
const MOST_SITES: usize = 1 << 24;

/// The stream's iteration for the shuffles of each step; 0 is that of the first positions.
const SHUFFLES: u32 = 1;

/// The site of each cell at a step.
#[derive(Debug, Clone)]
pub(crate) struct SheetPlaces {
    /// The sites at every step, or the order that each step shuffles.
    sites: Vec<u32>,
    /// The seed of the shuffles, where there are any.
    shuffled: Option<u64>,
}

impl SheetPlaces {
    /// The site of each cell. `buffer` holds them where they change from step to step.
    pub fn at<'a>(&'a self, t: usize, buffer: &'a mut Vec<u32>) -> &'a [u32] {
        let Some(seed) = self.shuffled else { return &self.sites };
        buffer.clear();
        buffer.extend_from_slice(&self.sites);
        CounterRng::internal(seed, DrawStream::Sheet, SHUFFLES, t).shuffle(buffer);
        buffer
    }

    /// The site of each cell at the first step.
    pub fn first(&self) -> &[u32] {
        &self.sites
    }

    /// Allocates the buffer of [`Self::at`].
    ///
    /// # Errors
    /// [`crate::Error::Memory`].
    pub fn allocate(&self, buffer: &mut Vec<u32>) -> Result<()> {
        match self.shuffled {
            Some(_) => reserve(buffer, self.sites.len(), "the sites of a sheet's cells"),
            None => Ok(()),
        }
    }
}

/// The grid and the cells' sites.
#[derive(Debug, Clone)]
pub(crate) struct Grid {
    pub width: usize,
    pub height: usize,
    pub places: SheetPlaces,
    /// The sum of the box that a field is convolved with per step.
    pub spread: f64,
}

impl Grid {
    /// # Errors
    /// [`crate::Error::Invalid`] for a grid without sites or with too many, and a spread that is not below 1.
    pub fn new(sheet: Sheet, seed: u64, type_of: &[usize]) -> Result<Self> {
        let cells = type_of.len();
        let rest = |side: usize| cells.div_ceil(side.max(1)).max(1);
        let square = (1..).find(|side| side * side >= cells).unwrap_or(1);
        let (width, height) = match (sheet.width, sheet.height) {
            (Some(width), Some(height)) => (width, height),
            (Some(width), None) => (width, rest(width)),
            (None, Some(height)) => (rest(height), height),
            (None, None) => (square, rest(square)),
        };
        for (side, value) in [("width", width), ("height", height)] {
            if value == 0 || width.saturating_mul(height) > MOST_SITES {
                let allowed = format!("at least 1, with at most {MOST_SITES} sites in all");
                return Err(invalid(format!("sheet.{side}"), value, allowed));
            }
        }
        let mut order: Vec<usize> = (0..cells).collect();
        match sheet.positions {
            Positions::Sorted => order.sort_by_key(|&p| type_of[p]),
            Positions::Random | Positions::Shuffled => {
                CounterRng::internal(seed, DrawStream::Sheet, 0, 0).shuffle(&mut order)
            }
        }
        let mut sites = vec![0; cells];
        for (place, p) in order.into_iter().enumerate() {
            sites[p] = (place % (width * height)) as u32;
        }
        let shuffled = (sheet.positions == Positions::Shuffled).then_some(seed);
        Ok(Self { width, height, places: SheetPlaces { sites, shuffled }, spread: sheet.spread })
    }

    pub fn sites(&self) -> usize {
        self.width * self.height
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_has_a_site_of_its_own_while_there_are_enough() {
        let types: Vec<usize> = (0..10).map(|p| p % 3).collect();
        for positions in [Positions::Random, Positions::Sorted, Positions::Shuffled] {
            let grid = Grid::new(Sheet { positions, ..Sheet::default() }, 7, &types).unwrap();
            assert_eq!((grid.width, grid.height), (4, 3));
            let (mut first, mut later) = (Vec::new(), Vec::new());
            let (first, later) = (grid.places.at(0, &mut first), grid.places.at(9, &mut later));
            assert_eq!(first != later, positions == Positions::Shuffled);
            for sites in [first, later] {
                let mut sites = sites.to_vec();
                sites.sort_unstable();
                assert_eq!(sites, (0..10).collect::<Vec<_>>());
            }
            if positions == Positions::Sorted {
                assert_eq!(first, [0, 4, 7, 1, 5, 8, 2, 6, 9, 3]);
            }
        }
        let crowded = Grid::new(Sheet { width: Some(2), height: Some(2), ..Sheet::default() }, 7, &types);
        assert!(crowded.unwrap().places.sites.iter().all(|&site| site < 4));
        for wrong in [
            Sheet { width: Some(0), ..Sheet::default() },
            Sheet { height: Some(MOST_SITES + 1), ..Sheet::default() },
        ] {
            assert!(Grid::new(wrong, 7, &types).is_err(), "{wrong:?}");
        }
    }
}
