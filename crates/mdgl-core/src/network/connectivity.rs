//! Which pairs of a projection have a synapse: drawn by density, probability or degree, or every pair.

use std::collections::BTreeMap;

use super::populations::{PopulationKind, PopulationRange};
use super::sheet::Grid;
use crate::description::{Distance, DistanceProfile, Positions, Probability, Projection, Sheet};
use crate::error::{Result, invalid, unknown};
use crate::numeric::memory::{ensure_memory, product};
use crate::numeric::random::CounterRng;

/// Most synapses of a network.
pub(super) const MOST_SYNAPSES: u64 = 1 << 30;

/// What a projection may depend on besides the sizes of its two ends.
pub(super) struct Surroundings<'a> {
    pub type_names: &'a [String],
    /// Type of each neuron of the network.
    pub type_of: &'a [usize],
    pub sheet: Option<Sheet>,
    pub grid: &'a Grid,
}

/// The two ends of a projection.
#[derive(Clone, Copy)]
pub(super) struct Ends<'a> {
    pub from: &'a PopulationRange,
    pub to: &'a PopulationRange,
    /// Whether both are the same population, whose neurons have no synapse with themselves.
    pub excludes_autapses: bool,
    /// Whether a pair may have several synapses.
    pub repeats: bool,
}

impl Ends<'_> {
    fn pairs(&self) -> f64 {
        self.from.size as f64 * self.to.size as f64
    }

    pub fn is_autapse(&self, post: u32, pre: u32) -> bool {
        self.excludes_autapses && post == pre
    }

    /// Whether both ends have types and sites.
    pub fn are_populations(&self) -> bool {
        [self.from, self.to].iter().all(|end| end.kind == PopulationKind::Population)
    }
}

impl Surroundings<'_> {
    /// Types of a population's neurons.
    pub fn types_of(&self, population: &PopulationRange) -> &[usize] {
        &self.type_of[population.offset..population.offset + population.size]
    }

    /// The table of what a description gives by the names of two types, the sender's first.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a type that the network has not, and whatever `read` refuses.
    pub fn by_types<T, U: Clone + Default>(
        &self,
        path: &str,
        given: &BTreeMap<String, BTreeMap<String, T>>,
        read: impl Fn(&str, &T) -> Result<U>,
    ) -> Result<Vec<Vec<U>>> {
        let index = |path: &str, name: &str| {
            let found = self.type_names.iter().position(|own| own == name);
            found.ok_or_else(|| unknown(path, name, self.type_names.iter().map(String::as_str)))
        };
        let mut table = vec![vec![U::default(); self.type_names.len()]; self.type_names.len()];
        for (from, row) in given {
            let own = format!("{path}.{from}");
            let sender = index(path, from)?;
            for (to, value) in row {
                table[sender][index(&own, to)?] = read(&format!("{own}.{to}"), value)?;
            }
        }
        Ok(table)
    }
}

/// The pairs (post, pre) that have a synapse, ascending, and the number of synapses that rewiring maintains.
pub(super) type Drawn = (Vec<(u32, u32)>, f64);

/// Draws the pairs of a projection that lists none.
///
/// # Errors
/// [`crate::Error::Invalid`] for a rule's value out of its range, none or several rules, and a distance without a sheet.
pub(super) fn draw(
    path: &dyn Fn(&str) -> String,
    projection: &Projection,
    ends: Ends,
    around: &Surroundings,
    rng: &mut CounterRng,
) -> Result<Drawn> {
    let Projection { density, probability, fixed_in_degree, fixed_out_degree, distance, .. } = projection;
    let pairs = match (density, probability, fixed_in_degree, fixed_out_degree) {
        (Some(density), ..) => {
            return Ok((by_density(&path("density"), rng, *density, ends)?, density * ends.pairs()));
        }
        (_, Some(probability), ..) => {
            let chance = Chance::new(path, probability, distance.as_ref(), ends, around)?;
            independent(&path("probability"), rng, &chance, ends)?
        }
        (.., Some(degree), None) => {
            let drawn = by_degree(&path("fixedInDegree"), rng, *degree, ends.to.size, ends.from.size, ends)?;
            drawn.into_iter().collect()
        }
        (.., degree) => {
            let degree = degree.unwrap_or_default();
            let drawn = by_degree(&path("fixedOutDegree"), rng, degree, ends.from.size, ends.to.size, ends)?;
            drawn.into_iter().map(|(pre, post)| (post, pre)).collect()
        }
    };
    let mut pairs = pairs;
    pairs.sort_unstable();
    let count = pairs.len() as f64;
    Ok((pairs, count))
}

/// floor(density · pairs) index pairs drawn with replacement (the authors' way), autapses
/// discarded; at density 1 every pair, unless pairs may repeat.
fn by_density(path: &str, rng: &mut CounterRng, density: f64, ends: Ends) -> Result<Vec<(u32, u32)>> {
    let (from, to) = (ends.from.size as u32, ends.to.size as u32);
    let count = expected(path, density, density * ends.pairs())?;
    let mut drawn: Vec<(u32, u32)> = Vec::with_capacity(count);
    if density == 1.0 && !ends.repeats {
        drawn.extend((0..to).flat_map(|p| (0..from).map(move |q| (p, q))));
    } else {
        let mut pair = || {
            let q = rng.below(from);
            (rng.below(to), q)
        };
        drawn.extend((0..count).map(|_| pair()));
    }
    drawn.retain(|&(p, q)| !ends.is_autapse(p, q));
    drawn.sort_unstable();
    if !ends.repeats {
        drawn.dedup();
    }
    Ok(drawn)
}

/// A number of synapses whose memory is to be had.
fn expected(path: &str, value: impl ToString, count: f64) -> Result<usize> {
    if count > MOST_SYNAPSES as f64 {
        return Err(invalid(path, value, format!("at most {MOST_SYNAPSES} synapses")));
    }
    let count = count.floor() as usize;
    // Pairs, and then again by sender and by receiver.
    ensure_memory(product(&[2, count, size_of::<(u32, u32)>()]), "the synapses of a projection")?;
    Ok(count)
}

/// The probability of a synapse for each pair.
struct Chance<'a> {
    /// By type of sender and receiver; of one type each where types do not matter.
    by_type: Vec<Vec<f64>>,
    /// Types of senders and receivers, unit by unit; empty where they do not matter.
    types: (&'a [usize], &'a [usize]),
    /// The factor of the distance between two sites, by number of columns and rows between them.
    by_distance: Option<Falloff<'a>>,
}

/// How a probability falls off with the distance on the sheet, whose edges meet.
struct Falloff<'a> {
    factor: Vec<f64>,
    width: usize,
    height: usize,
    sites: (&'a [u32], &'a [u32]),
}

impl<'a> Chance<'a> {
    fn new(
        path: &dyn Fn(&str) -> String,
        probability: &Probability,
        distance: Option<&Distance>,
        ends: Ends<'a>,
        around: &'a Surroundings,
    ) -> Result<Self> {
        let own = path("probability");
        let (by_type, types) = match probability {
            Probability::All(p) => (vec![vec![*p]], (&[][..], &[][..])),
            Probability::ByType(_) if !ends.are_populations() => {
                return Err(invalid(
                    own,
                    "one per pair of types",
                    "a number: inputs and readouts have no types",
                ));
            }
            Probability::ByType(given) => (
                around.by_types(&own, given, |_, &p| Ok(p))?,
                (around.types_of(ends.from), around.types_of(ends.to)),
            ),
        };
        let by_distance = distance.map(|d| Falloff::new(&path("distance"), d, ends, around)).transpose()?;
        Ok(Self { by_type, types, by_distance })
    }

    fn most(&self) -> f64 {
        self.by_type.iter().flatten().fold(0.0, |most, &p| p.max(most))
    }

    fn at(&self, post: usize, pre: usize) -> f64 {
        let type_of = |types: &[usize], unit: usize| types.get(unit).copied().unwrap_or(0);
        let p = self.by_type[type_of(self.types.0, pre)][type_of(self.types.1, post)];
        p * self.by_distance.as_ref().map_or(1.0, |falloff| falloff.at(post, pre))
    }
}

impl<'a> Falloff<'a> {
    fn new(path: &str, distance: &Distance, ends: Ends<'a>, around: &'a Surroundings) -> Result<Self> {
        let name = distance.profile.name();
        if !ends.are_populations() {
            return Err(invalid(path, name, "between populations only: inputs and readouts have no site"));
        }
        match around.sheet {
            None => return Err(invalid(path, name, "with a sheet only: network({ sheet })")),
            Some(Sheet { positions: Positions::Shuffled, .. }) => {
                return Err(invalid(path, name, "with a sheet whose cells keep their sites"));
            }
            Some(_) => {}
        }
        let factor_at = profile(path, distance)?;
        let (width, height) = (around.grid.width, around.grid.height);
        // The smaller way round, in columns and in rows.
        let (columns, rows) = (width / 2 + 1, height / 2 + 1);
        let factor = (0..rows * columns)
            .map(|i| factor_at(libm::hypot((i % columns) as f64, (i / columns) as f64)))
            .collect();
        let sites = around.grid.places.first();
        let of = |end: &PopulationRange| &sites[end.offset..end.offset + end.size];
        Ok(Self { factor, width, height, sites: (of(ends.from), of(ends.to)) })
    }

    fn at(&self, post: usize, pre: usize) -> f64 {
        let (one, other) = (self.sites.1[post] as usize, self.sites.0[pre] as usize);
        let apart = |a: usize, b: usize, side: usize| a.abs_diff(b).min(side - a.abs_diff(b));
        let columns = apart(one % self.width, other % self.width, self.width);
        let rows = apart(one / self.width, other / self.width, self.height);
        self.factor[rows * (self.width / 2 + 1) + columns]
    }
}

/// The factor at a distance in sites.
fn profile(path: &str, distance: &Distance) -> Result<impl Fn(f64) -> f64> {
    let &Distance { profile, width, midpoint } = distance;
    match (profile, midpoint) {
        (DistanceProfile::Logistic, None) => {
            return Err(invalid(format!("{path}.midpoint"), "nothing", "a number of at least 0, in sites"));
        }
        (DistanceProfile::Logistic, Some(at)) if at.is_finite() && at >= 0.0 => {}
        (DistanceProfile::Logistic, Some(at)) => {
            return Err(invalid(format!("{path}.midpoint"), at, "a number of at least 0, in sites"));
        }
        (_, Some(at)) => return Err(invalid(format!("{path}.midpoint"), at, "with profile 'logistic' only")),
        (_, None) => {}
    }
    Ok(move |d: f64| match profile {
        DistanceProfile::Gaussian => libm::exp(-0.5 * (d / width) * (d / width)),
        DistanceProfile::Exponential => libm::exp(-d / width),
        DistanceProfile::Logistic => 1.0 / (1.0 + libm::exp((d - midpoint.unwrap_or(0.0)) / width)),
        DistanceProfile::LogisticSquared => 1.0 / (1.0 + libm::exp((d / width) * (d / width))),
    })
}

/// Each pair independently of the others, with its own probability.
///
/// Pairs are visited in order; as many as a geometric number says are passed over at the largest probability of all, and a pair that is
/// met is taken with its own probability over the largest one.
fn independent(path: &str, rng: &mut CounterRng, chance: &Chance, ends: Ends) -> Result<Vec<(u32, u32)>> {
    let most = chance.most();
    if most == 0.0 {
        return Err(invalid(path, 0, "above 0 for some pair"));
    }
    let spread = 6.0 * (most * ends.pairs()).sqrt();
    let count = expected(path, most, most * ends.pairs() + spread)?;
    let mut drawn = Vec::with_capacity(count.min(1 << 20));
    let (from, pairs) = (ends.from.size as u64, ends.pairs());
    let skipped = -1.0 / libm::log1p(-most);
    let mut place = 0.0;
    loop {
        if most < 1.0 {
            place += (rng.exponential() * skipped).floor();
        }
        if place >= pairs {
            return Ok(drawn);
        }
        let pair = place as u64;
        let (post, pre) = ((pair / from) as u32, (pair % from) as u32);
        let own = chance.at(post as usize, pre as usize);
        let taken = own == most || rng.uniform() * most <= own;
        if taken && !ends.is_autapse(post, pre) {
            drawn.push((post, pre));
        }
        place += 1.0;
    }
}

/// `degree` partners for each of some units, different ones unless pairs may repeat, as pairs (unit, partner).
fn by_degree(
    path: &str,
    rng: &mut CounterRng,
    degree: usize,
    units: usize,
    partners: usize,
    ends: Ends,
) -> Result<Vec<(u32, u32)>> {
    let others = partners - usize::from(ends.excludes_autapses);
    let most = if ends.repeats && others > 0 { MOST_SYNAPSES as usize } else { others };
    if degree == 0 || degree > most {
        return Err(invalid(path, degree, format!("a whole number from 1 to {most}")));
    }
    let count = expected(path, degree, degree as f64 * units as f64)?;
    let mut drawn = Vec::with_capacity(count);
    if ends.repeats {
        for unit in 0..units as u32 {
            drawn.extend((0..degree).map(|_| {
                let other = rng.below(others as u32);
                (unit, other + u32::from(ends.excludes_autapses && other >= unit))
            }));
        }
        return Ok(drawn);
    }
    let mut order: Vec<u32> = (0..partners as u32).collect();
    for unit in 0..units as u32 {
        // One more than the degree, since the unit itself may be among them.
        let picked = (degree + usize::from(ends.excludes_autapses)).min(partners);
        for i in 0..picked {
            order.swap(i, i + rng.below((partners - i) as u32) as usize);
        }
        let chosen = order[..picked].iter().filter(|&&partner| !ends.is_autapse(unit, partner));
        drawn.extend(chosen.take(degree).map(|&partner| (unit, partner)));
    }
    Ok(drawn)
}
