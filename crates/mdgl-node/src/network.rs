//! Network descriptions across the binding.

use std::sync::Arc;

use mdgl_core::description::given::Given;
use mdgl_core::{Array, Lesion, Network, NetworkDescription};
use napi::bindgen_prelude::{Either, Float64Array, Uint32Array};
use napi_derive::napi;
use serde_json::Value;

use crate::error::{Failure, Result};

/// A plain value: JSON, in which `{"list": k}` is the k-th of the lists beside it.
#[napi(object)]
pub struct PlainValue {
    /// The JSON.
    pub json: String,
    /// Long lists of numbers, which would be slow in JSON.
    pub lists: Vec<Either<Uint32Array, Float64Array>>,
}

/// The same in memory of the engine's own.
pub struct CopiedDescription {
    json: String,
    lists: Vec<Array>,
}

/// Checks a network description as a whole: types, connections, channels.
#[napi(catch_unwind)]
pub fn check_network(description: PlainValue) -> napi::Result<()> {
    description.copy()?.network()?;
    Ok(())
}

impl CopiedDescription {
    /// The network of the description.
    pub fn network(self) -> Result<Network> {
        let description: NetworkDescription = parse(&self.json, "the network description")?;
        Ok(Network::new(description.join(|k| self.list(k))?)?)
    }

    /// The lesion that it is instead.
    pub fn lesion(self) -> Result<Lesion> {
        let lesion: Lesion = parse(&self.json, "the lesion")?;
        Ok(lesion.join(|k| self.list(k))?)
    }

    fn list(&self, k: usize) -> mdgl_core::Result<Array> {
        self.lists.get(k).cloned().ok_or_else(|| mdgl_core::Error::Invalid {
            path: "the network description".into(),
            value: format!("without list {k}"),
            allowed: format!("{} lists", self.lists.len()),
        })
    }
}

impl PlainValue {
    /// What a reader of the engine makes of it.
    pub fn read<T>(&self, path: &str, read: impl FnOnce(&Given<'_>) -> mdgl_core::Result<T>) -> Result<T> {
        let value: Value = parse(&self.json, path)?;
        let lists = self.lists.iter().map(copied).collect::<mdgl_core::Result<Vec<_>>>()?;
        Ok(read(&Given::new(&value, path, &lists))?)
    }

    /// Copies it on JavaScript's thread; all else can be done on another.
    pub fn copy(self) -> Result<CopiedDescription> {
        let lists = self.lists.iter().map(copied).collect::<mdgl_core::Result<_>>()?;
        Ok(CopiedDescription { json: self.json, lists })
    }

    /// A description for JavaScript.
    pub fn of(description: &NetworkDescription) -> Result<Self> {
        let (skeleton, lists) = description.split(0);
        let numbers: usize = lists.iter().map(Array::len).sum();
        mdgl_core::ensure_memory(numbers.saturating_mul(size_of::<f64>()), "the lists of a description")?;
        let given = |list: &Array| match list {
            Array::U32(numbers) => Either::A(numbers.to_vec().into()),
            Array::F64(numbers) => Either::B(numbers.to_vec().into()),
        };
        let json = serde_json::to_string(&skeleton).map_err(|error| Failure::bug(error.to_string()))?;
        Ok(Self { json, lists: lists.iter().map(given).collect() })
    }
}

fn copied(list: &Either<Uint32Array, Float64Array>) -> mdgl_core::Result<Array> {
    let what = "a list of the network description";
    Ok(match list {
        Either::A(numbers) => {
            mdgl_core::ensure_memory(size_of_val::<[u32]>(numbers), what)?;
            Array::U32(Arc::new(numbers.to_vec()))
        }
        Either::B(numbers) => {
            mdgl_core::ensure_memory(size_of_val::<[f64]>(numbers), what)?;
            Array::F64(Arc::new(numbers.to_vec()))
        }
    })
}

/// A value from the JSON that the façade wrote.
pub fn parse<T: serde::de::DeserializeOwned>(json: &str, what: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| Failure::invalid(what, json_excerpt(json), error.to_string()))
}

/// A value as JSON.
pub fn text(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Failure::bug(error.to_string()))
}

fn json_excerpt(json: &str) -> String {
    json.chars().take(80).collect()
}
