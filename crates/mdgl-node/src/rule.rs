//! Learning rules.

use mdgl_core::Rule;
use napi_derive::napi;

use crate::error::Result;
use crate::network::parse;

/// Checks that a rule (JSON) has an equation.
#[napi(catch_unwind)]
pub fn check_rule(rule: String) -> napi::Result<()> {
    build(&rule)?;
    Ok(())
}

/// A checked rule.
pub fn build(rule: &str) -> Result<Rule> {
    let rule: Rule = parse(rule, "the rule")?;
    rule.validate()?;
    Ok(rule)
}
