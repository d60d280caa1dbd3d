//! Network descriptions.

use mdgl_core::{Network, NetworkDescription};
use napi_derive::napi;

use crate::error::{Failure, Result};

/// Checks a network description (JSON) as a whole: types, connections, channels.
#[napi(catch_unwind)]
pub fn check_network(description: String) -> napi::Result<()> {
    build(&description)?;
    Ok(())
}

/// The network of a description.
pub fn build(description: &str) -> Result<Network> {
    let description: NetworkDescription = parse(description, "the network description")?;
    Ok(Network::new(description)?)
}

/// A value from the JSON that the façade wrote.
pub fn parse<T: serde::de::DeserializeOwned>(json: &str, what: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| Failure::invalid(what, json_excerpt(json), error.to_string()))
}

fn json_excerpt(json: &str) -> String {
    json.chars().take(80).collect()
}
