//! Learning rules across the binding.

use mdgl_core::description::legal::REQUIREMENTS;
use mdgl_core::{RULE_NAMES, Rule};
use napi_derive::napi;
use serde_json::json;

use crate::error::{Failure, Result};
use crate::network::parse;

/// Checks that a rule (JSON) has an equation.
#[napi(catch_unwind)]
pub fn check_rule(rule: String) -> napi::Result<()> {
    build(&rule)?;
    Ok(())
}

/// The published rules, in the order of the documents: JSON, a list of pairs of a name and a rule.
#[napi(catch_unwind)]
pub fn published_rules() -> napi::Result<String> {
    let rules = RULE_NAMES.map(|name| Rule::named(name).map(|rule| (name, rule)));
    let rules = rules.into_iter().collect::<mdgl_core::Result<Vec<_>>>().map_err(Failure::from)?;
    Ok(serde_json::to_string(&rules).map_err(|error| Failure::bug(error.to_string()))?)
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
