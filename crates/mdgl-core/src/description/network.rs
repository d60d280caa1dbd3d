//! Reading and checking of a whole description, and of what is not its parts'.

use crate::description::given::{Given, deserialise_by_reading};
use crate::description::{
    CellType, Channel, Conventions, InputGain, InputPopulation, MOST_UNITS, NetworkDescription, Population,
    Positions, Projection, PseudoDerivative, Readout, SCHEMA, Shape, Sheet,
};
use crate::error::{Result, invalid, words};
use crate::numeric::ranges::{SAFE, below_1, positive, whole};

/// Keys of what is not a part.
pub(super) const HEAD: [&str; 6] = ["dt", "seed", "conventions", "inputGain", "pseudoDerivative", "sheet"];
/// Keys of the lists of parts.
pub(super) const PARTS: [&str; 6] = ["inputs", "populations", "readouts", "types", "projections", "channels"];

deserialise_by_reading!(NetworkDescription, "description");

impl NetworkDescription {
    /// Reads one.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for another shape.
    pub fn read(given: &Given<'_>) -> Result<Self> {
        given.only(&[&["schema"], &HEAD[..], &PARTS[..]].concat())?;
        let schema = given.part("schema").word(&[(SCHEMA, SCHEMA)])?.to_owned();
        let list = |key: &str| match given.part(key).given() {
            Some(list) => list.items(),
            None => Ok(Vec::new()),
        };
        fn read<T>(parts: Vec<Given<'_>>, one: impl Fn(&Given<'_>) -> Result<T>) -> Result<Vec<T>> {
            parts.iter().map(one).collect()
        }
        let optional = |key: &str| given.part(key).given().map(|_| list(key)).transpose();
        Ok(Self {
            schema,
            inputs: read(list("inputs")?, InputPopulation::read)?,
            populations: read(list("populations")?, Population::read)?,
            readouts: read(list("readouts")?, Readout::read)?,
            types: optional("types")?.map(|parts| read(parts, CellType::read)).transpose()?,
            projections: read(list("projections")?, Projection::read)?,
            channels: optional("channels")?.map(|parts| read(parts, Channel::read_named)).transpose()?,
            ..Self::read_head(given)?
        })
    }

    /// Reads what is not a part; the path of the object that has it is no part of the others.
    pub(super) fn read_head(given: &Given<'_>) -> Result<Self> {
        let [dt, seed, conventions, gain, pseudo_derivative, sheet] = HEAD.map(|key| given.at("").part(key));
        let names = [("mdgl2021", Conventions::Mdgl2021), ("bellec2020", Conventions::Bellec2020)];
        let gains = [("one-minus-alpha", InputGain::OneMinusAlpha), ("one", InputGain::One)];
        Ok(Self {
            schema: SCHEMA.to_owned(),
            dt: dt.number_or(1.0),
            seed: seed.or(1, |given| given.whole(0, SAFE))?,
            conventions: conventions.or(Conventions::default(), |given| given.word(&names))?,
            input_gain: gain.given().map(|given| given.word(&gains)).transpose()?,
            sheet: sheet.given().as_ref().map(Sheet::read).transpose()?,
            pseudo_derivative: pseudo_derivative
                .or(PseudoDerivative::default(), |given| PseudoDerivative::read(&given))?,
            inputs: Vec::new(),
            populations: Vec::new(),
            readouts: Vec::new(),
            types: None,
            projections: Vec::new(),
            channels: None,
        })
    }

    /// Fills in and checks what is not a part.
    pub(super) fn complete_head(&mut self) -> Result<()> {
        if self.schema != SCHEMA {
            return Err(invalid("description.schema", format!("'{}'", self.schema), words(&[SCHEMA])));
        }
        positive("dt", self.dt)?;
        match (self.conventions, self.input_gain) {
            (Conventions::Mdgl2021, Some(_)) => {
                return Err(invalid("inputGain", "set", "nothing without conventions 'bellec2020'"));
            }
            (Conventions::Mdgl2021, None) => {}
            (Conventions::Bellec2020, gain) => self.input_gain = gain.or(Some(InputGain::OneMinusAlpha)),
        }
        self.pseudo_derivative.validate()?;
        self.sheet.map_or(Ok(()), Sheet::validate)
    }
}

impl PseudoDerivative {
    fn read(given: &Given<'_>) -> Result<Self> {
        let shapes = [
            ("triangular", Shape::Triangular),
            ("exponential", Shape::Exponential),
            ("fast-sigmoid", Shape::FastSigmoid),
            ("arctangent", Shape::Arctangent),
        ];
        if !given.is_structure() {
            return Ok(Self { shape: given.word(&shapes)?, steepness: None });
        }
        let [shape, steepness] = given.parts(["shape", "steepness"])?;
        Ok(Self { shape: shape.word(&shapes)?, steepness: steepness.given().map(|given| given.number()) })
    }

    fn validate(self) -> Result<()> {
        const PATH: &str = "pseudoDerivative.steepness";
        match self.steepness {
            None => Ok(()),
            Some(given) if self.shape == Shape::Triangular => {
                Err(invalid(PATH, given, "nothing with shape 'triangular'"))
            }
            Some(given) => positive(PATH, given),
        }
    }
}

impl Sheet {
    fn read(given: &Given<'_>) -> Result<Self> {
        let [width, height, positions, spread] = given.parts(["width", "height", "positions", "spread"])?;
        let usual = Self::default();
        let side = |given: Given<'_>| given.whole(1, MOST_UNITS as u64);
        let names =
            [("random", Positions::Random), ("sorted", Positions::Sorted), ("shuffled", Positions::Shuffled)];
        Ok(Self {
            width: width.given().map(side).transpose()?,
            height: height.given().map(side).transpose()?,
            positions: positions.or(usual.positions, |given| given.word(&names))?,
            spread: spread.number_or(usual.spread),
        })
    }

    fn validate(self) -> Result<()> {
        for (side, value) in [("width", self.width), ("height", self.height)] {
            if let Some(value) = value {
                whole(format_args!("sheet.{side}"), value as u64, 1, MOST_UNITS as u64)?;
            }
        }
        below_1("sheet.spread", self.spread)
    }
}
