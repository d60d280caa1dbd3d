//! Learning rules across the binding.

use mdgl_core::description::legal::REQUIREMENTS;
use mdgl_core::description::rule::UniformChannel;
use mdgl_core::{RULE_NAMES, Rule};
use napi_derive::napi;
use serde_json::json;

use crate::error::{Failure, Result};
use crate::network::{PlainValue, parse, text};

/// A rule that has an equation, with every default filled in: JSON.
#[napi(catch_unwind)]
pub fn complete_rule(given: PlainValue) -> napi::Result<String> {
    let rule = given.read("rule", Rule::read)?;
    rule.validate().map_err(Failure::from)?;
    Ok(text(&rule)?)
}

/// Gain, reach and kernel of a channel at a path, checked and with every default filled in: JSON.
#[napi(catch_unwind)]
pub fn complete_channel(given: PlainValue, path: String) -> napi::Result<String> {
    let channel = given.read(&path, UniformChannel::read)?;
    channel.validate(&path).map_err(Failure::from)?;
    Ok(text(&channel)?)
}

/// The published rules, in the order of the documents: JSON, a list of pairs of a name and a rule.
#[napi(catch_unwind)]
pub fn published_rules() -> napi::Result<String> {
    let rules = RULE_NAMES.map(|name| Rule::named(name).map(|rule| (name, rule)));
    let rules = rules.into_iter().collect::<mdgl_core::Result<Vec<_>>>().map_err(Failure::from)?;
    Ok(text(&rules)?)
}

/// Legal combinations (see `description::legal`), in the order of the documents: JSON, a list of {when, option, allowed, because}.
#[napi(catch_unwind)]
pub fn rule_requirements() -> napi::Result<String> {
    let rows = REQUIREMENTS.iter().map(|row| {
        json!({
            "when": row.condition.phrase(),
            "option": row.axis.path(),
            "allowed": row.allowed,
            "because": row.because,
        })
    });
    Ok(serde_json::Value::from_iter(rows).to_string())
}

/// A checked rule.
pub fn build(rule: &str) -> Result<Rule> {
    let rule: Rule = parse(rule, "the rule")?;
    rule.validate()?;
    Ok(rule)
}
