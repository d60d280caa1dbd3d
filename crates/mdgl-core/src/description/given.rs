//! A value as it was given (JSON and arrays of numbers beside it), read part by part under the path that messages name.
//!
//! Reading settles the shape: keys, words, lists, whole numbers, defaults. What is no number becomes NaN, which no range
//! contains, and what is no text an empty one, so that ranges are checked in one place, for values read and values built alike.

use serde_json::Value;

use crate::description::list::{Array, List};
use crate::error::{Error, Result, invalid, words};
use crate::numeric::memory::ensure_memory;
use crate::numeric::ranges::{SAFE, whole_numbers};

/// Key of an object that stands for what JSON cannot hold: a function, an infinite number.
const NO_JSON: &str = "\0";

/// In a list of indices, what is no index; no network has so many units.
pub(crate) const NO_UNIT: u32 = u32::MAX;

/// A value at a path; nothing where it was left out.
#[derive(Clone)]
pub struct Given<'a> {
    value: Option<&'a Value>,
    path: String,
    lists: &'a [Array],
}

impl<'a> Given<'a> {
    /// A value; in its JSON `{"list": k}` is the k-th of the lists beside it.
    pub fn new(value: &'a Value, path: impl Into<String>, lists: &'a [Array]) -> Self {
        Self { value: Some(value), path: path.into(), lists }
    }

    /// The same at another path.
    pub(crate) fn at(&self, path: impl Into<String>) -> Self {
        Self { path: path.into(), ..self.clone() }
    }

    /// Where it stands.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The error that says what is allowed instead; of a value that could not be copied, what it lacks.
    pub(crate) fn refused(&self, allowed: impl Into<String>) -> Error {
        if let Some(Value::String(copyable)) = self.value.and_then(|value| value.get(NO_JSON)) {
            return invalid(&self.path, "an array", copyable);
        }
        let value = match self.value {
            None => "undefined".into(),
            Some(Value::String(text)) => format!("'{text}'"),
            Some(Value::Array(list)) => format!("an array of {}", list.len()),
            Some(Value::Object(_)) => "an object".into(),
            Some(value) => value.to_string(),
        };
        invalid(&self.path, value, allowed)
    }

    /// Whether it was left out.
    pub(crate) fn is_missing(&self) -> bool {
        self.value.is_none()
    }

    /// Whether it is a number.
    pub(crate) fn is_number(&self) -> bool {
        matches!(self.value, Some(Value::Number(_)))
    }

    /// Whether it is an object with named parts.
    pub(crate) fn is_object(&self) -> bool {
        matches!(self.value, Some(Value::Object(fields)) if !fields.contains_key(NO_JSON)) && !self.is_list()
    }

    /// Whether it is a list or an object, of whatever content; or one of these that could not be copied.
    pub(crate) fn is_structure(&self) -> bool {
        match self.value {
            Some(Value::Object(fields)) => fields.get(NO_JSON) != Some(&Value::Bool(true)),
            other => matches!(other, Some(Value::Array(_))),
        }
    }

    /// Whether it is a list.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.value, Some(Value::Array(_))) || self.beside().is_some()
    }

    /// Itself, if it was given.
    pub(crate) fn given(self) -> Option<Self> {
        (!self.is_missing()).then_some(self)
    }

    /// Itself, if it was given and is not null.
    pub(crate) fn set(self) -> Option<Self> {
        self.given().filter(|given| !matches!(given.value, Some(Value::Null)))
    }

    /// What a reader makes of it, or a default where it was left out.
    pub(crate) fn or<T>(self, default: T, read: impl FnOnce(Self) -> Result<T>) -> Result<T> {
        self.given().map_or(Ok(default), read)
    }

    /// One of its parts, whatever else it has.
    pub(crate) fn part(&self, key: &str) -> Self {
        let value = self.value.and_then(|value| value.get(key));
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Self { value, path, lists: self.lists }
    }

    /// The parts of an object that has these keys and no others.
    pub(crate) fn parts<const N: usize>(&self, keys: [&str; N]) -> Result<[Self; N]> {
        if !self.is_object() {
            return Err(self.refused("an object"));
        }
        self.only(&keys)?;
        Ok(keys.map(|key| self.part(key)))
    }

    /// Refuses other keys than these.
    pub(crate) fn only(&self, keys: &[&str]) -> Result<()> {
        match self.entries()?.into_iter().find(|(key, _)| !keys.contains(&key.as_str())) {
            Some((_, unknown)) => Err(unknown.refused(format!("only {}", words(keys)))),
            None => Ok(()),
        }
    }

    /// Keys and parts of an object.
    pub(crate) fn entries(&self) -> Result<Vec<(String, Self)>> {
        match self.value {
            Some(Value::Object(fields)) if self.is_object() => {
                Ok(fields.keys().map(|key| (key.clone(), self.part(key))).collect())
            }
            _ => Err(self.refused("an object")),
        }
    }

    /// Entries of a list.
    pub(crate) fn items(&self) -> Result<Vec<Self>> {
        match self.value {
            Some(Value::Array(list)) => Ok(list
                .iter()
                .zip(0..)
                .map(|(value, i): (_, usize)| Self::new(value, format!("{}[{i}]", self.path), self.lists))
                .collect()),
            _ => Err(self.refused("an array")),
        }
    }

    /// A number; not a number for anything else.
    pub(crate) fn number(&self) -> f64 {
        self.value.and_then(Value::as_f64).unwrap_or(f64::NAN)
    }

    /// A number; the default where it was left out.
    pub(crate) fn number_or(&self, default: f64) -> f64 {
        if self.is_missing() { default } else { self.number() }
    }

    /// A whole number of a range.
    pub(crate) fn whole<T: TryFrom<u64>>(&self, least: u64, most: u64) -> Result<T> {
        let found = whole(self.number()).filter(|x| (least..=most).contains(x));
        let found = found.and_then(|x| T::try_from(x).ok());
        found.ok_or_else(|| self.refused(whole_numbers(least, most)))
    }

    /// A whole number of at least 0.
    pub(crate) fn count(&self) -> Result<usize> {
        self.whole(0, SAFE)
    }

    /// A text that is not empty.
    pub(crate) fn name(&self) -> Result<String> {
        let text = self.text();
        if text.is_empty() { Err(self.refused("a non-empty string")) } else { Ok(text) }
    }

    /// A text; an empty one for anything else.
    pub(crate) fn text(&self) -> String {
        self.value.and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// True or false.
    pub(crate) fn flag(&self) -> Result<bool> {
        self.value.and_then(Value::as_bool).ok_or_else(|| self.refused("true or false"))
    }

    /// The value of one of a few words; nothing for any other value.
    pub(crate) fn known<T: Copy>(&self, values: &[(&str, T)]) -> Option<T> {
        let text = self.value.and_then(Value::as_str)?;
        values.iter().find(|(word, _)| *word == text).map(|&(_, value)| value)
    }

    /// The value of one of a few words.
    pub(crate) fn word<T: Copy>(&self, values: &[(&str, T)]) -> Result<T> {
        let allowed = || words(&values.iter().map(|(word, _)| *word).collect::<Vec<_>>());
        self.known(values).ok_or_else(|| self.refused(allowed()))
    }

    /// A list of floats: not a number where an entry is anything else.
    pub(crate) fn floats(&self) -> Result<List<f64>> {
        Ok(match (self.beside(), self.value) {
            (Some(Array::F64(numbers)), _) => List::Here(numbers.clone()),
            (Some(Array::U32(numbers)), _) => {
                numbers.iter().map(|&x| f64::from(x)).collect::<Vec<_>>().into()
            }
            (None, Some(Value::Array(list))) => {
                list.iter().map(|x| x.as_f64().unwrap_or(f64::NAN)).collect::<Vec<_>>().into()
            }
            (None, _) => return self.list_index(),
        })
    }

    /// A list of indices of units: [`NO_UNIT`] where an entry is anything else.
    pub(crate) fn indices(&self) -> Result<List<u32>> {
        let index = |x: f64| whole(x).and_then(|x| u32::try_from(x).ok()).unwrap_or(NO_UNIT);
        Ok(match (self.beside(), self.value) {
            (Some(Array::U32(numbers)), _) => List::Here(numbers.clone()),
            (Some(Array::F64(numbers)), _) => {
                ensure_memory(size_of_val::<[f64]>(numbers) / 2, "a list of numbers")?;
                numbers.iter().map(|&x| index(x)).collect::<Vec<_>>().into()
            }
            (None, Some(Value::Array(list))) => {
                list.iter().map(|x| index(x.as_f64().unwrap_or(f64::NAN))).collect::<Vec<_>>().into()
            }
            (None, _) => return self.list_index(),
        })
    }

    /// A list of whole numbers.
    pub(crate) fn units(&self) -> Result<List<u32>> {
        let list = self.indices()?;
        let wrong = match &list {
            List::Here(units) => units.iter().position(|&unit| unit == NO_UNIT),
            List::Beside(_) => None,
        };
        match wrong {
            Some(i) => Err(invalid(format!("{}[{i}]", self.path), "no unit", whole_numbers(0, SAFE))),
            None => Ok(list),
        }
    }

    /// The index of a list that is not here yet: a description of a file has its lists in tensors.
    fn list_index<T>(&self) -> Result<List<T>> {
        self.index().map(List::Beside).ok_or_else(|| self.refused("an array of numbers"))
    }

    fn index(&self) -> Option<usize> {
        let fields = self.value?.as_object().filter(|fields| fields.len() == 1)?;
        usize::try_from(fields.get("list")?.as_u64()?).ok()
    }

    fn beside(&self) -> Option<&'a Array> {
        self.lists.get(self.index()?)
    }
}

fn whole(x: f64) -> Option<u64> {
    (x.fract() == 0.0 && (0.0..=SAFE as f64).contains(&x)).then_some(x as u64)
}

/// Deserialises a type by its reader.
macro_rules! deserialise_by_reading {
    ($type:ty, $path:literal) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserialiser: D) -> Result<Self, D::Error> {
                let value = serde_json::Value::deserialize(deserialiser)?;
                let given = $crate::description::given::Given::new(&value, $path, &[]);
                Self::read(&given).map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use deserialise_by_reading;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn refused<T>(result: Result<T>) -> (String, String, String) {
        match result.err() {
            Some(Error::Invalid { path, value, allowed }) => (path, value, allowed),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn parts_have_paths_and_unknown_ones_are_refused_with_those_that_are_known() {
        let value = serde_json::json!({"a": 1, "b": {"c": "x"}});
        let given = Given::new(&value, "v", &[]);
        let [a, b] = given.parts(["a", "b"]).unwrap();
        assert_eq!((a.number(), b.part("c").path(), b.part("d").is_missing()), (1.0, "v.b.c", true));
        assert_eq!(
            refused(given.parts(["b", "d", "e"])),
            ("v.a".into(), "1".into(), "only 'b', 'd' or 'e'".into())
        );
        assert_eq!(refused(a.parts(["x"])), ("v.a".into(), "1".into(), "an object".into()));
        let words = [("y", 1), ("z", 2)];
        assert_eq!(refused(b.part("c").word(&words)), ("v.b.c".into(), "'x'".into(), "'y' or 'z'".into()));
        assert_eq!(refused(given.part("d").flag()).1, "undefined");
    }

    #[test]
    fn what_is_no_number_or_text_is_in_no_range() {
        let value = serde_json::json!([1.5, "1", null, 3, -1]);
        let given = Given::new(&value, "v", &[]);
        let items = given.items().unwrap();
        assert!(items[1].number().is_nan() && items[2].number().is_nan() && items[0].text().is_empty());
        assert_eq!(items[3].whole::<u32>(1, 3), Ok(3));
        for (i, path) in [(0, "v[0]"), (1, "v[1]"), (4, "v[4]")] {
            let (at, _, allowed) = refused(items[i].whole::<u32>(0, 9));
            assert_eq!((at.as_str(), allowed.as_str()), (path, "a whole number from 0 to 9"));
        }
    }

    #[test]
    fn lists_stand_in_the_json_or_beside_it_and_what_cannot_be_copied_is_refused_by_what_it_lacks() {
        let value =
            serde_json::json!([{"list": 0}, [2, "x"], {"list": 1}, {"\0": "an array over unshared memory"}]);
        let lists = [Array::F64(Arc::new(vec![1.0, 2.0]))];
        let items = Given::new(&value, "v", &lists).items().unwrap();
        let floats = |i: usize| items[i].floats().unwrap().numbers(String::new).map(|list| list.to_vec());
        assert_eq!(floats(0), Ok(vec![1.0, 2.0]));
        assert!(floats(1).unwrap()[1].is_nan());
        assert_eq!(items[2].floats(), Ok(List::Beside(1)));
        assert!(items[0].is_list() && !items[3].is_object() && items[3].number().is_nan());
        assert_eq!(refused(items[3].floats()).2, "an array over unshared memory");
    }
}
