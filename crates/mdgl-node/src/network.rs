//! Network descriptions across the binding.

use std::sync::Arc;

use mdgl_core::description::draft::NetworkDraft;
use mdgl_core::description::given::Given;
use mdgl_core::{Array, Network, NetworkDescription};
use napi::Env;
use napi::bindgen_prelude::{Either, Float64Array, ObjectFinalize, This, Uint32Array};
use napi_derive::napi;
use serde_json::Value;

use crate::error::{Failure, Result};
use crate::held::{self, Held};

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

/// A network description with every default filled in, each part checked. Its lists are those given, by their index, and those returned,
/// which follow.
#[napi(catch_unwind)]
pub fn complete_network(given: PlainValue) -> napi::Result<PlainValue> {
    let copy = given.copy()?;
    let description = copy.description().and_then(|own| Ok(own.complete()?))?;
    Ok(PlainValue::of(&description, &copy.lists)?)
}

/// A network description that is built part by part. Adding a part gives a new draft and leaves the old one as it was.
#[napi(custom_finalize)]
pub struct NativeDraft {
    inner: Arc<Held<NetworkDraft>>,
    /// Bytes of the lists of the last part.
    bytes: usize,
}

impl ObjectFinalize for NativeDraft {
    fn finalize(self, env: Env) -> napi::Result<()> {
        self.inner.report(&env, 0);
        Ok(())
    }
}

#[napi]
impl NativeDraft {
    /// A description without parts, of the options that are not parts.
    #[napi(factory, catch_unwind)]
    pub fn begin(options: PlainValue) -> napi::Result<Self> {
        let draft = options.read("options", NetworkDraft::new)?;
        Ok(Self { inner: Held::new(draft), bytes: 0 })
    }

    /// The draft with one part more; `kind` is the key of its list in a description.
    #[napi(catch_unwind)]
    pub fn add(&self, kind: String, part: PlainValue) -> napi::Result<Self> {
        let draft = self.draft()?;
        let draft = part.read(&kind, |part| draft.add(&kind, part))?;
        let bytes = part.lists.iter().map(|list| match list {
            Either::A(numbers) => size_of_val::<[u32]>(numbers),
            Either::B(numbers) => size_of_val::<[f64]>(numbers),
        });
        Ok(Self { inner: Held::new(draft), bytes: bytes.sum() })
    }

    /// Reports its memory to V8, and releases it once it is garbage; to be called once.
    #[napi(catch_unwind)]
    pub fn watch(&self, env: &Env, this: This<'_>) -> napi::Result<()> {
        match self.bytes {
            0 => Ok(()),
            bytes => held::watch(env, &this.object, &self.inner, bytes),
        }
    }

    /// The whole description, checked: its parts fit together.
    #[napi(catch_unwind)]
    pub fn describe(&self) -> napi::Result<PlainValue> {
        let description = self.draft()?.description();
        let whole = Network::new(description).map_err(Failure::from)?;
        Ok(PlainValue::of(whole.description(), &[])?)
    }
}

impl NativeDraft {
    fn draft(&self) -> Result<NetworkDraft> {
        self.inner.lock().clone().ok_or_else(|| Failure::bug("a draft was released while in use"))
    }
}

impl CopiedDescription {
    /// The description, as it was given.
    fn description(&self) -> Result<NetworkDescription> {
        let value: Value = parse(&self.json, "the network description")?;
        Ok(NetworkDescription::read(&Given::new(&value, "description", &self.lists))?)
    }

    /// The network of the description.
    pub fn network(self) -> Result<Network> {
        Ok(Network::new(self.description()?)?)
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

    /// A description for JavaScript, which has some lists already.
    pub fn of(description: &NetworkDescription, given: &[Array]) -> Result<Self> {
        let (skeleton, lists) = description.split_beside(0, given);
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
