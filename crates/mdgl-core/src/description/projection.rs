//! Reading and checking of projections: which pairs have a synapse, their initial weights and delay.

use std::collections::BTreeMap;

use crate::description::delay::DelayedEnds;
use crate::description::draft::{Draft, UnitKind};
use crate::description::given::Given;
use crate::description::list::List;
use crate::description::{
    Connections, Delay, Distance, DistanceProfile, Initialise, Probability, Projection, Scaling,
};
use crate::error::{Result, invalid, words};
use crate::numeric::ranges::{SAFE, finite, fraction, positive, whole, whole_numbers};

/// The options of which a drawn projection has exactly one.
const RULES: [&str; 4] = ["density", "probability", "fixedInDegree", "fixedOutDegree"];
/// The words of a distribution without those of pairs of types.
const SCHEMES: [&str; 5] = ["balanced", "normal", "lognormal", "uniform", "constant"];

type ByTypes<T> = BTreeMap<String, BTreeMap<String, T>>;

impl Projection {
    pub(super) fn read(given: &Given<'_>) -> Result<Self> {
        given.entries()?;
        let kind = given.at("projections");
        let [from, to] = [kind.part("from").name()?, kind.part("to").name()?];
        let name = kind.part("name").or(format!("{from}->{to}"), |given| given.name())?;
        let given = given.at(format!("projections.{name}"));
        let [
            _,
            _,
            _,
            connections,
            density,
            probability,
            distance,
            in_degree,
            out_degree,
            autapses,
            multapses,
            initialise,
            delay,
            plastic,
        ] = given.parts([
            "name",
            "from",
            "to",
            "connections",
            "density",
            "probability",
            "distance",
            "fixedInDegree",
            "fixedOutDegree",
            "autapses",
            "multapses",
            "initialise",
            "delay",
            "plastic",
        ])?;
        let degree = |given: Given<'_>| given.whole::<usize>(1, SAFE);
        Ok(Self {
            name: Some(name),
            from,
            to,
            density: density.given().map(|given| given.number()),
            probability: probability.given().as_ref().map(Probability::read).transpose()?,
            distance: distance.given().as_ref().map(Distance::read).transpose()?,
            fixed_in_degree: in_degree.given().map(degree).transpose()?,
            fixed_out_degree: out_degree.given().map(degree).transpose()?,
            connections: connections.given().as_ref().map(Connections::read).transpose()?,
            initialise: initialise.given().as_ref().map(Initialise::read).transpose()?,
            autapses: autapses.or(false, |given| given.flag())?,
            multapses: multapses.or(false, |given| given.flag())?,
            delay: delay.given().as_ref().map(Delay::read).transpose()?,
            plastic: plastic.or(true, |given| given.flag())?,
        })
    }

    pub(super) fn complete(mut self, draft: &Draft) -> Result<Self> {
        use UnitKind::{Input, Population, Readout};
        let name = self.name.get_or_insert_with(|| format!("{}->{}", self.from, self.to));
        let path = format!("projections.{name}");
        let (sender, from_size) = draft.units(&format!("{path}.from"), &self.from, &[Input, Population])?;
        let targets: &[_] = if sender == Input { &[Population] } else { &[Population, Readout] };
        let (receiver, to_size) = draft.units(&format!("{path}.to"), &self.to, targets)?;
        match &mut self.connections {
            Some(list) => {
                list.complete(&format!("{path}.connections"), from_size, to_size)?;
                self.refuse_beside_list(&path)?;
            }
            None => self.complete_draw(&path)?,
        }
        if self.autapses && self.from != self.to {
            let allowed = "false but of a population's projection to itself";
            return Err(invalid(format!("{path}.autapses"), true, allowed));
        }
        let listed =
            self.connections.as_ref().map(|list| list.pre.numbers(|| path.clone()).map(|pre| pre.len()));
        let ends =
            DelayedEnds { dt: draft.dt(), to_readout: receiver == Readout, listed: listed.transpose()? };
        let delay = self.delay.take().unwrap_or(Delay::One(ends.dt));
        self.delay = Some(delay.complete(&format!("{path}.delay"), &ends)?);
        Ok(self)
    }

    /// What draws synapses: the name of each option, and whether it was given.
    fn drawn(&self) -> [(&'static str, bool); 6] {
        let [density, probability, in_degree, out_degree] = RULES;
        [
            (density, self.density.is_some()),
            (probability, self.probability.is_some()),
            ("distance", self.distance.is_some()),
            (in_degree, self.fixed_in_degree.is_some()),
            (out_degree, self.fixed_out_degree.is_some()),
            ("initialise", self.initialise.is_some()),
        ]
    }

    /// A list has all that the other options would draw.
    fn refuse_beside_list(&self, path: &str) -> Result<()> {
        match self.drawn().into_iter().find(|&(_, given)| given) {
            None => Ok(()),
            Some((name, _)) => {
                let allowed = "nothing with connections, which have values of their own";
                Err(invalid(format!("{path}.{name}"), "set", allowed))
            }
        }
    }

    fn complete_draw(&mut self, path: &str) -> Result<()> {
        let given = self.drawn().into_iter().filter(|&(name, given)| given && RULES.contains(&name));
        let given: Vec<_> = given.map(|(name, _)| name).collect();
        if given.len() != 1 {
            let value = if given.is_empty() { "nothing".to_owned() } else { given.join(" and ") };
            return Err(invalid(path, value, format!("connections, or one of {}", RULES.join(", "))));
        }
        if let Some(density) = self.density {
            fraction(format_args!("{path}.density"), density)?;
        }
        match &self.probability {
            Some(_) if self.multapses => {
                let allowed = "false with probability, which takes each pair once or not at all";
                return Err(invalid(format!("{path}.multapses"), true, allowed));
            }
            Some(probability) => probability.validate(&format!("{path}.probability"))?,
            None if self.distance.is_some() => {
                return Err(invalid(format!("{path}.distance"), "set", "with probability only"));
            }
            None => {}
        }
        let degrees = [("fixedInDegree", self.fixed_in_degree), ("fixedOutDegree", self.fixed_out_degree)];
        for (name, degree) in degrees.into_iter().filter_map(|(name, degree)| Some((name, degree?))) {
            whole(format_args!("{path}.{name}"), degree as u64, 1, SAFE)?;
        }
        if let Some(distance) = &self.distance {
            distance.validate(&format!("{path}.distance"))?;
        }
        // The authors' weights for the authors' draw, independent ones for the others.
        let usual = match self.density {
            Some(_) => Initialise::Balanced,
            None => Initialise::Normal { mean: 0.0, standard_deviation: 1.0, scaling: Scaling::InDegree },
        };
        self.initialise.get_or_insert(usual).validate(&format!("{path}.initialise"))
    }
}

impl Connections {
    fn read(given: &Given<'_>) -> Result<Self> {
        let [pre, post, values] = given.parts(["pre", "post", "values"])?;
        Ok(Self { pre: pre.indices()?, post: post.indices()?, values: values.floats()? })
    }

    /// Refuses lists of different lengths, indices that no unit has and values that are not finite.
    fn complete(&mut self, path: &str, senders: usize, receivers: usize) -> Result<()> {
        let at = |column: &str| format!("{path}.{column}");
        let pre = self.pre.numbers(|| at("pre"))?;
        check_indices(pre, senders, &at("pre"))?;
        let post = self.post.numbers(|| at("post"))?;
        let as_many = |column: &str, length: usize| match length == pre.len() {
            true => Ok(()),
            false => {
                let allowed = format!("as many entries as pre has ({})", pre.len());
                Err(invalid(at(column), format!("an array of {length}"), allowed))
            }
        };
        as_many("post", post.len())?;
        check_indices(post, receivers, &at("post"))?;
        let values = self.values.numbers(|| at("values"))?;
        as_many("values", values.len())?;
        if let Some(i) = values.iter().position(|value| !value.is_finite()) {
            finite(format_args!("{path}.values[{i}]"), values[i])?;
        }
        // −0 becomes 0, as in JSON.
        if values.iter().any(|value| *value == 0.0 && value.is_sign_negative()) {
            self.values = List::from(values.iter().map(|value| value + 0.0).collect::<Vec<_>>());
        }
        Ok(())
    }
}

fn check_indices(indices: &[u32], units: usize, path: &str) -> Result<()> {
    match indices.iter().position(|&index| index as usize >= units) {
        None => Ok(()),
        Some(i) => Err(invalid(format!("{path}[{i}]"), indices[i], whole_numbers(0, units as u64 - 1))),
    }
}

/// A value for each pair of types, the sender's first.
fn by_types<T>(given: &Given<'_>, read: impl Fn(&Given<'_>) -> Result<T>) -> Result<ByTypes<T>> {
    let row = |row: Given<'_>| -> Result<BTreeMap<String, T>> {
        row.entries()?.into_iter().map(|(to, own)| Ok((to, read(&own)?))).collect()
    };
    given.entries()?.into_iter().map(|(from, own)| Ok((from, row(own)?))).collect()
}

impl Probability {
    fn read(given: &Given<'_>) -> Result<Self> {
        match given.is_structure() {
            true => by_types(given, |given| Ok(given.number())).map(Self::ByType),
            false => Ok(Self::All(given.number())),
        }
    }

    fn validate(&self, path: &str) -> Result<()> {
        let check = |path: &str, p: f64| match (0.0..=1.0).contains(&p) {
            true => Ok(()),
            false => Err(invalid(path, p, "a probability from 0 to 1")),
        };
        match self {
            Self::All(p) => check(path, *p),
            Self::ByType(table) => table.iter().try_for_each(|(from, row)| {
                row.iter().try_for_each(|(to, &p)| check(&format!("{path}.{from}.{to}"), p))
            }),
        }
    }
}

impl Distance {
    fn read(given: &Given<'_>) -> Result<Self> {
        let [profile, width, midpoint] = given.parts(["profile", "width", "midpoint"])?;
        let profiles = [
            DistanceProfile::Gaussian,
            DistanceProfile::Exponential,
            DistanceProfile::Logistic,
            DistanceProfile::LogisticSquared,
        ];
        Ok(Self {
            profile: profile.word(&profiles.map(|own| (own.name(), own)))?,
            width: width.number(),
            midpoint: midpoint.given().map(|given| given.number()),
        })
    }

    fn validate(&self, path: &str) -> Result<()> {
        positive(format_args!("{path}.width"), self.width)?;
        self.midpoint.map_or(Ok(()), |midpoint| finite(format_args!("{path}.midpoint"), midpoint))
    }
}

impl Initialise {
    fn read(given: &Given<'_>) -> Result<Self> {
        given.entries()?;
        match given.part("scheme").known(&[("by-type", ())]) {
            Some(()) => {
                let [_, pairs] = given.parts(["scheme", "pairs"])?;
                Ok(Self::ByType { pairs: by_types(&pairs, |given| Self::read_one(given, false))? })
            }
            None => Self::read_one(given, true),
        }
    }

    /// Reads a distribution; `by_type`: where one by pairs of types could stand, too.
    fn read_one(given: &Given<'_>, by_type: bool) -> Result<Self> {
        given.entries()?;
        let scheme = given.part("scheme");
        let Some(own) = scheme.known(&SCHEMES.map(|name| (name, name))) else {
            let more: &[&str] = if by_type { &["by-type"] } else { &[] };
            return Err(scheme.refused(words(&[&SCHEMES[..], more].concat())));
        };
        let keys: &[&str] = match own {
            "balanced" => &["scheme"],
            "normal" => &["scheme", "standardDeviation", "mean", "scaling"],
            "lognormal" => &["scheme", "mean", "standardDeviation", "scaling"],
            "uniform" => &["scheme", "low", "high", "scaling"],
            _ => &["scheme", "value", "scaling"],
        };
        given.only(keys)?;
        let number = |key: &str| given.part(key).number();
        let scalings = [("none", Scaling::None), ("in-degree", Scaling::InDegree)];
        let scaling = given.part("scaling").or(Scaling::None, |given| given.word(&scalings))?;
        let standard_deviation = number("standardDeviation");
        Ok(match own {
            "balanced" => Self::Balanced,
            "normal" => Self::Normal { mean: given.part("mean").number_or(0.0), standard_deviation, scaling },
            "lognormal" => Self::Lognormal { mean: number("mean"), standard_deviation, scaling },
            "uniform" => Self::Uniform { low: number("low"), high: number("high"), scaling },
            _ => Self::Constant { value: number("value"), scaling },
        })
    }

    fn validate(&self, path: &str) -> Result<()> {
        let at = |field: &str| format!("{path}.{field}");
        match self {
            Self::Balanced => Ok(()),
            Self::ByType { pairs } => pairs.iter().try_for_each(|(from, row)| {
                row.iter().try_for_each(|(to, own)| own.validate(&format!("{path}.pairs.{from}.{to}")))
            }),
            &Self::Normal { mean, standard_deviation, .. } => {
                finite(at("mean"), mean)?;
                positive(at("standardDeviation"), standard_deviation)
            }
            &Self::Lognormal { mean, standard_deviation, .. } => {
                positive(at("mean"), mean)?;
                positive(at("standardDeviation"), standard_deviation)
            }
            &Self::Uniform { low, high, .. } => {
                finite(at("low"), low)?;
                finite(at("high"), high)?;
                match low < high {
                    true => Ok(()),
                    false => Err(invalid(at("high"), high, format!("a number above low, {low}"))),
                }
            }
            &Self::Constant { value, .. } => finite(at("value"), value),
        }
    }
}
