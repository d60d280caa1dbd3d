//! Lists of numbers of a description that may be long: in its JSON, or as arrays beside it.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize as DeriveDeserialize, Serialize, Serializer};

use crate::error::{Result, invalid};

/// A list of numbers of a description. In JSON: its numbers, or `{"list": k}` for the k-th of the arrays beside it.
#[derive(Debug, Clone, PartialEq)]
pub enum List<T> {
    /// The numbers; copies share them.
    Here(Arc<Vec<T>>),
    /// Index of an array beside the JSON, until the two are joined.
    Beside(usize),
}

/// An array beside a description's JSON; copies share it.
#[derive(Debug, Clone, PartialEq)]
pub enum Array {
    /// Indices.
    U32(Arc<Vec<u32>>),
    /// Values.
    F64(Arc<Vec<f64>>),
}

impl Array {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::U32(numbers) => numbers.len(),
            Self::F64(numbers) => numbers.len(),
        }
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(numbers: Vec<T>) -> Self {
        Self::Here(Arc::new(numbers))
    }
}

impl<T> List<T> {
    /// The numbers, shared.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] where the list was not joined with its array.
    pub(crate) fn numbers(&self, path: impl FnOnce() -> String) -> Result<&Arc<Vec<T>>> {
        match self {
            Self::Here(numbers) => Ok(numbers),
            Self::Beside(k) => {
                Err(invalid(path(), format!("list {k} beside the description"), "a list of numbers"))
            }
        }
    }
}

/// A list of either type of number.
pub(crate) trait AnyList {
    /// Replaces the index by the array.
    fn join(&mut self, array: &mut dyn FnMut(usize) -> Result<Array>) -> Result<()>;
    /// Moves the numbers to the end of the arrays, if there are at least so many of them.
    fn split(&mut self, least: usize, arrays: &mut Vec<Array>);
}

impl<T: Element> AnyList for List<T> {
    fn join(&mut self, array: &mut dyn FnMut(usize) -> Result<Array>) -> Result<()> {
        let Self::Beside(k) = *self else { return Ok(()) };
        let Some(numbers) = T::numbers(array(k)?) else {
            return Err(invalid(format!("list {k} beside the description"), "of another type", T::NAME));
        };
        *self = Self::Here(numbers);
        Ok(())
    }

    fn split(&mut self, least: usize, arrays: &mut Vec<Array>) {
        let Self::Here(numbers) = self else { return };
        if numbers.len() >= least {
            let place = arrays.len();
            arrays.push(T::array(numbers.clone()));
            *self = Self::Beside(place);
        }
    }
}

/// A type of number that lists have.
pub(crate) trait Element: Sized {
    const NAME: &str;
    fn array(numbers: Arc<Vec<Self>>) -> Array;
    fn numbers(array: Array) -> Option<Arc<Vec<Self>>>;
}

impl Element for u32 {
    const NAME: &str = "whole numbers of 32 bits";
    fn array(numbers: Arc<Vec<Self>>) -> Array {
        Array::U32(numbers)
    }
    fn numbers(array: Array) -> Option<Arc<Vec<Self>>> {
        match array {
            Array::U32(numbers) => Some(numbers),
            Array::F64(_) => None,
        }
    }
}

impl Element for f64 {
    const NAME: &str = "floats of 64 bits";
    fn array(numbers: Arc<Vec<Self>>) -> Array {
        Array::F64(numbers)
    }
    fn numbers(array: Array) -> Option<Arc<Vec<Self>>> {
        match array {
            Array::F64(numbers) => Some(numbers),
            Array::U32(_) => None,
        }
    }
}

/// A list's index in the JSON, as it is written.
#[derive(Serialize, DeriveDeserialize)]
#[serde(deny_unknown_fields)]
struct ListIndex {
    list: usize,
}

impl<T: Serialize> Serialize for List<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Here(numbers) => numbers.as_slice().serialize(serializer),
            Self::Beside(list) => ListIndex { list: *list }.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

/// A derived implementation would hold every number twice: an untagged value is read into a tree before its form is known.
struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of numbers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, entries: A) -> std::result::Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(entries)).map(List::from)
    }

    fn visit_map<A: MapAccess<'de>>(self, keys: A) -> std::result::Result<Self::Value, A::Error> {
        ListIndex::deserialize(MapAccessDeserializer::new(keys)).map(|place| List::Beside(place.list))
    }
}
