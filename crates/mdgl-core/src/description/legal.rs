//! Legal combinations of a rule's values with each other, with networks and with uses: one table, [`REQUIREMENTS`].
//!
//! [`Rule::validate`] and [`Rule::validate_for`] refuse what the table excludes; the bindings pass these refusals on, and
//! the guide *Choose a rule* prints the table.

use crate::description::rule::{
    Channels, Estimator, Feedback, Hops, LearningSignal, ReadoutFilter, Rule, Trace, UniformChannel,
};
use crate::description::{Channel, Gain, Membrane, PsiMean, Reach, TimeCourse, WeightGain};
use crate::error::{Result, invalid};

/// A choice that a rule makes, or one of the channels that it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// `rule.estimator`.
    Estimator,
    /// `rule.feedback`.
    Feedback,
    /// `rule.learningSignal`.
    LearningSignal,
    /// `rule.channels`.
    Channels,
    /// `rule.hops`.
    Hops,
    /// `rule.readoutFilter`.
    ReadoutFilter,
    /// `rule.trace`.
    Trace,
    /// `reach` of a channel.
    Reach,
    /// `kernel` of a channel.
    Kernel,
    /// `mean` of a channel's kernel `'membrane'`.
    MembraneMean,
    /// `gain` of a channel.
    Gain,
    /// `above` of a channel.
    Above,
}

impl Axis {
    /// Its path in a rule.
    pub fn path(self) -> &'static str {
        match self {
            Self::Estimator => "rule.estimator",
            Self::Feedback => "rule.feedback",
            Self::LearningSignal => "rule.learningSignal",
            Self::Channels => "rule.channels",
            Self::Hops => "rule.hops",
            Self::ReadoutFilter => "rule.readoutFilter",
            Self::Trace => "rule.trace",
            Self::Reach => "rule.channels.reach",
            Self::Kernel => "rule.channels.kernel",
            Self::MembraneMean => "rule.channels.kernel.membrane.mean",
            Self::Gain => "rule.channels.gain",
            Self::Above => "rule.channels.above",
        }
    }

    /// Its values, as messages and documents write them.
    pub fn values(self) -> &'static [&'static str] {
        match self {
            Self::Estimator => &["'backward'", "'online'", "'rtrl'", "'snap1'", "'uoro'", "'kf-rtrl'"],
            Self::Feedback => &["'symmetric'", "{random}", "{adaptive}", "{weights}"],
            Self::LearningSignal => &["'own'", "'diffusive'"],
            Self::Channels => &[WHOLE_CHANNELS, "other channels"],
            Self::Hops => &["0", "1", "2 to 64", "'all'"],
            Self::ReadoutFilter => &["'exact'", "'separate'"],
            Self::Trace => &["'mdgl2021'", "'rflo'"],
            Self::Reach => &["'synaptic'", "'nonlocal'", "'diffusive'"],
            Self::Kernel => &["'none'", "'exact'", "'membrane'", "{tauRise, tauDecay}"],
            Self::MembraneMean => &["'running'", "'batch'"],
            Self::Gain => &["'mean-weight'", "'weight'", "a number"],
            Self::Above => &["0", "above 0"],
        }
    }
}

/// The channels of the whole gradient.
const WHOLE_CHANNELS: &str = "{gain: 'weight', reach: 'synaptic', kernel: 'exact'}";

/// A value of another axis, a property of a network, or a use, with which not every value of an axis goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// The estimator `'online'`.
    Online,
    /// A number of hops.
    CountedHops,
    /// A number of hops of at least two.
    SeveralHops,
    /// Hops `'all'` through ψ: the gradient itself.
    WholeGradient,
    /// A constant μ in place of ψ on the recurrent path.
    ConstantDerivative,
    /// Learning signals that diffuse.
    DiffusiveSignal,
    /// The readout's filter on both factors.
    SeparateFilter,
    /// A channel of kernel `'exact'`.
    ExactKernel,
    /// A channel of reach `'nonlocal'`.
    NonlocalReach,
    /// A channel of reach `'diffusive'`.
    DiffusiveReach,
    /// A network of [`crate::description::Conventions::Bellec2020`].
    Bellec2020,
    /// A network with a delay of more than one step.
    Delays,
    /// The estimator `'online'` in such a network.
    OnlineDelays,
    /// A network with neurons of a model that has no forward form.
    NoForwardForm,
    /// A network with neurons of a model that has no linearisation of two variables.
    NoLinearisation,
    /// A network whose readouts differ in their time constants.
    UnequalReadouts,
    /// A use.
    Use(Use),
}

/// Uses of a rule, where not every rule serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// The gradient of a loss computed outside the engine.
    CustomLoss,
    /// A batch that several processes compute together.
    Collective,
    /// A profile.
    Profile,
    /// Recorded learning signals and modulation.
    RecordedSignals,
    /// An online session.
    Session,
}

impl Use {
    /// All uses.
    pub const ALL: [Self; 5] =
        [Self::CustomLoss, Self::Collective, Self::Profile, Self::RecordedSignals, Self::Session];

    /// Its name across the binding.
    pub fn name(self) -> &'static str {
        match self {
            Self::CustomLoss => "custom-loss",
            Self::Collective => "collective",
            Self::Profile => "profile",
            Self::RecordedSignals => "recorded-signals",
            Self::Session => "session",
        }
    }

    /// The use of a name.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for another name.
    pub fn named(name: &str) -> Result<Self> {
        let names = Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|known| known.name() == name);
        found.ok_or_else(|| invalid("use", format!("'{name}'"), names))
    }
}

impl Condition {
    /// As messages and documents write it.
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Online => "with estimator 'online'",
            Self::CountedHops => "with a number of hops",
            Self::SeveralHops => "with two hops or more",
            Self::WholeGradient => "with hops 'all'",
            Self::ConstantDerivative => "with recurrentDerivative {mu}",
            Self::DiffusiveSignal => "with learningSignal 'diffusive'",
            Self::SeparateFilter => "with readoutFilter 'separate'",
            Self::ExactKernel => "with kernel 'exact'",
            Self::NonlocalReach => "with reach 'nonlocal'",
            Self::DiffusiveReach => "with reach 'diffusive'",
            Self::Bellec2020 => "with conventions 'bellec2020'",
            Self::Delays => "with delays of more than one step",
            Self::OnlineDelays => "with estimator 'online' and delays of more than one step",
            Self::NoForwardForm => "with neurons whose model has no forward form",
            Self::NoLinearisation => "with neurons whose model has no linearisation of two variables",
            Self::UnequalReadouts => "with readouts of different time constants",
            Self::Use(Use::CustomLoss) => "with a custom loss",
            Self::Use(Use::Collective) => "with a collective",
            Self::Use(Use::Profile) => "for a profile",
            Self::Use(Use::RecordedSignals) => "for recorded signals",
            Self::Use(Use::Session) => "for a session",
        }
    }
}

/// One row of the table: under a condition an axis has one of these values.
#[derive(Debug, Clone, Copy)]
pub struct Requirement {
    /// The condition under which it applies.
    pub condition: Condition,
    /// The axis that it restricts.
    pub axis: Axis,
    /// The values that are left, of [`Axis::values`].
    pub allowed: &'static [&'static str],
    /// The reason, as a clause.
    pub because: &'static str,
}

const fn requirement(
    condition: Condition,
    axis: Axis,
    allowed: &'static [&'static str],
    because: &'static str,
) -> Requirement {
    Requirement { condition, axis, allowed, because }
}

const FORWARD_GRADIENTS: &str = "the other estimators give the whole gradient, not that of a number of hops";
const NO_SYNAPSE: &str = "without a synapse there is no weight";
const FUTURE: &str = "λv of the secreting cell depends on the steps to come";
const EQUATIONS_2020: &str = "the 2020 equations are e-prop's backward form";

/// The table of legal combinations. Rows of a rule alone come first, then those of its channels, of the network, of the use.
pub const REQUIREMENTS: &[Requirement] = {
    use Axis as A;
    use Condition as C;
    &[
        requirement(C::WholeGradient, A::Trace, &["'mdgl2021'"], "the gradient passes through the reset"),
        requirement(C::WholeGradient, A::Feedback, &["'symmetric'"], "the gradient has no other feedback"),
        requirement(
            C::WholeGradient,
            A::Channels,
            &[WHOLE_CHANNELS],
            "the gradient goes along the true weights",
        ),
        requirement(
            C::WholeGradient,
            A::Estimator,
            &["'backward'", "'rtrl'", "'snap1'", "'uoro'", "'kf-rtrl'"],
            "eligibility traces do not contain it",
        ),
        requirement(C::WholeGradient, A::ReadoutFilter, &["'exact'"], "the gradient filters the product"),
        requirement(C::CountedHops, A::Estimator, &["'backward'", "'online'"], FORWARD_GRADIENTS),
        requirement(C::ConstantDerivative, A::Estimator, &["'backward'"], "ModProp is a backward recursion"),
        requirement(C::ConstantDerivative, A::Trace, &["'rflo'"], "ModProp's recursion has the leak alone"),
        requirement(C::ConstantDerivative, A::ReadoutFilter, &["'exact'"], "ModProp has no filtered factors"),
        requirement(
            C::ConstantDerivative,
            A::Hops,
            &["1", "2 to 64", "'all'"],
            "without hops nothing is passed on",
        ),
        requirement(C::DiffusiveSignal, A::Hops, &["0"], "the field takes the place of the channels"),
        // Channels.
        requirement(C::NonlocalReach, A::Gain, &["'mean-weight'", "a number"], NO_SYNAPSE),
        requirement(C::DiffusiveReach, A::Gain, &["'mean-weight'", "a number"], NO_SYNAPSE),
        requirement(C::NonlocalReach, A::Above, &["0"], NO_SYNAPSE),
        requirement(C::DiffusiveReach, A::Above, &["0"], NO_SYNAPSE),
        requirement(
            C::ExactKernel,
            A::Reach,
            &["'synaptic'", "'nonlocal'"],
            "λv in a field has no equation here",
        ),
        requirement(
            C::SeparateFilter,
            A::Reach,
            &["'synaptic'", "'nonlocal'"],
            "On-MDGL's filtered factors in a field have no equation here",
        ),
        requirement(
            C::Online,
            A::Reach,
            &["'synaptic'", "'nonlocal'"],
            "a channel's field runs backwards in time",
        ),
        requirement(C::ConstantDerivative, A::Kernel, &["'exact'"], "ModProp passes on the target's λ"),
        requirement(
            C::SeveralHops,
            A::Kernel,
            &["'exact'", "'membrane'"],
            "a cell passes on what it receives through its own dynamics",
        ),
        requirement(
            C::SeveralHops,
            A::Reach,
            &["'synaptic'", "'nonlocal'"],
            "what a field brings has no further hop here",
        ),
        requirement(C::SeparateFilter, A::Kernel, &["'none'"], "On-MDGL is published without a kernel"),
        requirement(C::Online, A::Kernel, &["'none'", "'membrane'", "{tauRise, tauDecay}"], FUTURE),
        requirement(
            C::Online,
            A::MembraneMean,
            &["'running'"],
            "the mean of a batch is known after the batch only",
        ),
        // Networks.
        requirement(C::Bellec2020, A::Estimator, &["'backward'"], EQUATIONS_2020),
        requirement(C::Bellec2020, A::ReadoutFilter, &["'exact'"], EQUATIONS_2020),
        requirement(C::Bellec2020, A::LearningSignal, &["'own'"], EQUATIONS_2020),
        requirement(C::Bellec2020, A::Hops, &["0"], EQUATIONS_2020),
        requirement(
            C::Delays,
            A::Estimator,
            &["'backward'", "'online'"],
            "influences carried forwards follow one step",
        ),
        requirement(
            C::OnlineDelays,
            A::Hops,
            &["0", "1"],
            "each path of several hops has a delay of its own, and its own past of the traces",
        ),
        requirement(
            C::NoForwardForm,
            A::Estimator,
            &["'backward'"],
            "eligibility traces and influences need it",
        ),
        requirement(
            C::NoLinearisation,
            A::Kernel,
            &["'none'", "'exact'", "{tauRise, tauDecay}"],
            "the kernel is the secreting neuron's membrane, linearised",
        ),
        requirement(C::UnequalReadouts, A::ReadoutFilter, &["'exact'"], "On-MDGL has one filter"),
        requirement(
            C::UnequalReadouts,
            A::LearningSignal,
            &["'own'"],
            "the field is multiplied by one filtered trace",
        ),
        // Uses.
        requirement(
            C::Use(Use::CustomLoss),
            A::Estimator,
            &["'backward'"],
            "its errors are known after the batch only",
        ),
        requirement(
            C::Use(Use::Collective),
            A::Estimator,
            &["'backward'", "'online'"],
            "sums of the other estimators are not shared",
        ),
        requirement(
            C::Use(Use::Profile),
            A::Estimator,
            &["'backward'", "'online'"],
            "the other estimators have no kernels",
        ),
        requirement(
            C::Use(Use::RecordedSignals),
            A::Estimator,
            &["'backward'", "'online'"],
            "the other estimators have no L and Γ",
        ),
        requirement(
            C::Use(Use::Session),
            A::Estimator,
            &["'online'"],
            "'mdgl-online', the other rules whose names end in -online, and 'rflo' have it",
        ),
    ]
};

/// The properties of a network that the table depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NetworkProperties {
    /// Its conventions are those of 2020.
    pub bellec2020: bool,
    /// A spike takes more than one step somewhere.
    pub delays: bool,
    /// The neurons of a model that has no forward form, as messages call them.
    pub no_forward_form: Option<&'static str>,
    /// The neurons of a model that has no linearisation.
    pub no_linearisation: Option<&'static str>,
    /// Its readouts differ in their time constants.
    pub unequal_readouts: bool,
}

/// All that conditions and axes depend on.
#[derive(Clone, Copy)]
struct Combination<'a> {
    rule: &'a Rule,
    network: Option<NetworkProperties>,
    used_for: Option<Use>,
    channel: Option<UniformChannel>,
}

impl Combination<'_> {
    fn meets(&self, condition: Condition) -> bool {
        let Self { rule, network, used_for, channel } = *self;
        let in_network = |holds: fn(NetworkProperties) -> bool| network.is_some_and(holds);
        match condition {
            Condition::Online => rule.estimator == Estimator::Online,
            Condition::CountedHops => matches!(rule.hops, Hops::Count(_)),
            Condition::SeveralHops => matches!(rule.hops, Hops::Count(2..)),
            Condition::WholeGradient => rule.is_whole(),
            Condition::ConstantDerivative => rule.mu().is_some(),
            Condition::DiffusiveSignal => rule.learning_signal == LearningSignal::Diffusive,
            Condition::SeparateFilter => rule.readout_filter == ReadoutFilter::Separate,
            Condition::ExactKernel => channel.is_some_and(|own| own.kernel == TimeCourse::Exact),
            Condition::NonlocalReach => channel.is_some_and(|own| own.reach == Reach::Nonlocal),
            Condition::DiffusiveReach => channel.is_some_and(|own| own.reach == Reach::Diffusive),
            Condition::Bellec2020 => in_network(|n| n.bellec2020),
            Condition::Delays => in_network(|n| n.delays),
            Condition::OnlineDelays => rule.estimator == Estimator::Online && in_network(|n| n.delays),
            Condition::NoForwardForm => in_network(|n| n.no_forward_form.is_some()),
            Condition::NoLinearisation => in_network(|n| n.no_linearisation.is_some()),
            Condition::UnequalReadouts => in_network(|n| n.unequal_readouts),
            Condition::Use(one) => used_for == Some(one),
        }
    }

    /// The value of an axis as the table writes it; none of a channel's axes without a channel.
    fn value(&self, axis: Axis) -> Option<&'static str> {
        let rule = self.rule;
        Some(match axis {
            Axis::Estimator => rule.estimator.quoted(),
            Axis::Feedback => match rule.feedback {
                Feedback::Preset(_) => "'symmetric'",
                Feedback::Fixed { .. } => "{random}",
                Feedback::Adaptive { .. } => "{adaptive}",
                Feedback::Given { .. } => "{weights}",
            },
            Axis::LearningSignal => match rule.learning_signal {
                LearningSignal::Own => "'own'",
                LearningSignal::Diffusive => "'diffusive'",
            },
            Axis::Channels if rule.channels == Rule::bptt().channels => WHOLE_CHANNELS,
            Axis::Channels => "other channels",
            Axis::Hops => match rule.hops {
                Hops::Count(0) => "0",
                Hops::Count(1) => "1",
                Hops::Count(_) => "2 to 64",
                Hops::All(_) => "'all'",
            },
            Axis::ReadoutFilter => match rule.readout_filter {
                ReadoutFilter::Exact => "'exact'",
                ReadoutFilter::Separate => "'separate'",
            },
            Axis::Trace => match rule.trace {
                Trace::Mdgl2021 => "'mdgl2021'",
                Trace::Rflo => "'rflo'",
            },
            Axis::Reach => match self.channel?.reach {
                Reach::Synaptic => "'synaptic'",
                Reach::Nonlocal => "'nonlocal'",
                Reach::Diffusive => "'diffusive'",
            },
            Axis::Kernel => match self.channel?.kernel {
                TimeCourse::None => "'none'",
                TimeCourse::Exact => "'exact'",
                TimeCourse::Membrane(_) => "'membrane'",
                TimeCourse::Exponentials(_) => "{tauRise, tauDecay}",
            },
            Axis::MembraneMean => match self.channel?.kernel {
                TimeCourse::Membrane(Membrane { mean: PsiMean::Running, .. }) => "'running'",
                TimeCourse::Membrane(Membrane { mean: PsiMean::Batch, .. }) => "'batch'",
                TimeCourse::None | TimeCourse::Exact | TimeCourse::Exponentials(_) => return None,
            },
            Axis::Gain => match self.channel?.gain {
                Gain::Weights(WeightGain::MeanWeight) => "'mean-weight'",
                Gain::Weights(WeightGain::Weight) => "'weight'",
                Gain::Fixed(_) => "a number",
            },
            Axis::Above if self.channel?.above == 0.0 => "0",
            Axis::Above => "above 0",
        })
    }

    /// The value as it was given.
    fn given(&self, axis: Axis, value: &str) -> String {
        match (axis, self.rule.hops, self.channel) {
            (Axis::Hops, Hops::Count(n), _) => n.to_string(),
            (Axis::Kernel, _, Some(channel)) => channel.kernel.name(),
            (Axis::Above, _, Some(channel)) => channel.above.to_string(),
            _ => value.to_owned(),
        }
    }

    /// The phrase of a condition; of a neuron model, its neurons by name.
    fn phrase(&self, condition: Condition) -> String {
        let neurons = self.network.and_then(|network| match condition {
            Condition::NoForwardForm => network.no_forward_form,
            Condition::NoLinearisation => network.no_linearisation,
            _ => None,
        });
        neurons.map_or_else(|| condition.phrase().into(), |neurons| format!("with {neurons}"))
    }

    fn check(&self) -> Result<()> {
        REQUIREMENTS.iter().try_for_each(|row| self.check_row(row, row.axis.path()))
    }

    fn check_row(&self, row: &Requirement, path: &str) -> Result<()> {
        let Requirement { condition, axis, allowed, because } = *row;
        let refused = self.value(axis).filter(|value| self.meets(condition) && !allowed.contains(value));
        let Some(value) = refused else { return Ok(()) };
        let allowed = format!("{}: {} ({because})", self.phrase(condition), either(allowed));
        Err(invalid(path, self.given(axis, value), allowed))
    }
}

/// Refuses a gain or an `above` that does not go with a channel's reach; `path` is the channel's.
pub(crate) fn check_channel(path: &str, channel: UniformChannel) -> Result<()> {
    let combination =
        Combination { rule: &Rule::mdgl(), network: None, used_for: None, channel: Some(channel) };
    REQUIREMENTS.iter().try_for_each(|row| match row.axis {
        Axis::Gain => combination.check_row(row, &format!("{path}.gain")),
        Axis::Above => combination.check_row(row, &format!("{path}.above")),
        _ => Ok(()),
    })
}

/// Words of a list: `a, b or c`.
fn either(words: &[&str]) -> String {
    match words {
        [first @ .., second, last] => {
            let first: String = first.iter().flat_map(|word| [word, ", "]).collect();
            format!("{first}{second} or {last}")
        }
        _ => words.concat(),
    }
}

impl Rule {
    /// Refuses values out of range, and combinations that have no equation in any network.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] with the option's path, the value and what is allowed.
    pub fn validate(&self) -> Result<()> {
        self.validate_ranges()?;
        self.check(None, None, &self.own_channels())
    }

    /// Refuses what has no equation in a network; the channels are those that the rule uses there.
    pub(crate) fn validate_in(&self, network: NetworkProperties, channels: &[UniformChannel]) -> Result<()> {
        self.check(Some(network), None, channels)
    }

    /// Refuses a rule that does not serve a use.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] as [`Self::validate`].
    pub fn validate_use(&self, used_for: Use) -> Result<()> {
        self.check(None, Some(used_for), &[])
    }

    fn check(
        &self,
        network: Option<NetworkProperties>,
        used_for: Option<Use>,
        channels: &[UniformChannel],
    ) -> Result<()> {
        let combination = Combination { rule: self, network, used_for, channel: None };
        combination.check()?;
        // The whole gradient has no channels, and without hops none is used.
        let used = if self.is_whole() || self.hops == Hops::Count(0) { &[] } else { channels };
        used.iter().try_for_each(|&channel| Combination { channel: Some(channel), ..combination }.check())?;
        match used.iter().find(|own| own.kernel != used[0].kernel) {
            Some(other) if combination.meets(Condition::SeveralHops) => Err(invalid(
                Axis::Kernel.path(),
                format!("{} and {}", used[0].kernel.name(), other.kernel.name()),
                format!("{}: one kernel for all channels", Condition::SeveralHops.phrase()),
            )),
            _ => Ok(()),
        }
    }

    /// The rule's own channels; none where it takes the network's.
    fn own_channels(&self) -> Vec<UniformChannel> {
        match &self.channels {
            Channels::Preset(_) => Vec::new(),
            Channels::Uniform(channel) => vec![*channel],
            Channels::List(list) => {
                let shape = |&Channel { gain, reach, kernel, above, .. }: &Channel| UniformChannel {
                    gain,
                    reach,
                    kernel,
                    above,
                };
                list.iter().map(shape).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::description::published::RULE_NAMES;

    #[test]
    fn every_row_names_values_of_its_axis_and_leaves_out_at_least_one() {
        for Requirement { condition, axis, allowed, because } in REQUIREMENTS {
            let row = format!("{condition:?}, {axis:?}");
            assert!(!allowed.is_empty() && !because.is_empty(), "{row}");
            assert!(allowed.iter().all(|value| axis.values().contains(value)), "{row}: {allowed:?}");
            assert!(axis.values().iter().any(|value| !allowed.contains(value)), "{row} excludes nothing");
        }
    }

    #[test]
    fn no_pair_of_condition_and_axis_stands_twice() {
        for (i, row) in REQUIREMENTS.iter().enumerate() {
            let twin = |other: &Requirement| (other.condition, other.axis) == (row.condition, row.axis);
            assert_eq!(REQUIREMENTS.iter().position(twin), Some(i));
        }
    }

    #[test]
    fn the_published_rules_are_legal() {
        for name in RULE_NAMES {
            Rule::named(name).unwrap().validate().unwrap();
        }
    }

    #[test]
    fn a_refusal_says_path_value_what_is_allowed_and_why() {
        let message =
            Rule { estimator: Estimator::Online, ..Rule::bptt() }.validate().unwrap_err().to_string();
        assert_eq!(
            message,
            "rule.estimator is 'online'; allowed: with hops 'all': 'backward', 'rtrl', 'snap1', 'uoro' or \
             'kf-rtrl' (eligibility traces do not contain it)"
        );
        let message = Rule::eprop().validate_use(Use::Session).unwrap_err().to_string();
        assert!(
            message.starts_with("rule.estimator is 'backward'; allowed: for a session: 'online' ("),
            "{message}"
        );
        let message = Rule { hops: Hops::Count(65), ..Rule::mdgl() }.validate().unwrap_err().to_string();
        assert_eq!(message, "rule.hops is 65; allowed: a whole number from 0 to 64, or 'all'");
    }

    #[test]
    fn every_use_has_its_name() {
        for one in Use::ALL {
            assert_eq!(Use::named(one.name()), Ok(one));
        }
        assert!(Use::named("other").is_err());
    }
}
