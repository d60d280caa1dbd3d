//! Lists of numbers of a description that may be long: in its JSON, or as arrays beside it.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};

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

    /// Where it is in memory: the same for copies that share it.
    fn address(&self) -> usize {
        match self {
            Self::U32(numbers) => Arc::as_ptr(numbers).addr(),
            Self::F64(numbers) => Arc::as_ptr(numbers).addr(),
        }
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
    /// Moves the numbers beside the JSON, if there are at least so many of them.
    fn split(&mut self, least: usize, beside: &mut Beside);
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

    fn split(&mut self, least: usize, beside: &mut Beside) {
        let Self::Here(numbers) = self else { return };
        if numbers.len() >= least {
            *self = Self::Beside(beside.index(T::array(numbers.clone())));
        }
    }
}

/// Arrays beside a description's JSON: those that it was read with, and further ones.
pub(crate) struct Beside {
    /// Index of each of the first by its address.
    given: HashMap<usize, usize>,
    first: usize,
    pub further: Vec<Array>,
}

impl Beside {
    /// With the arrays that come first.
    pub fn new(given: &[Array]) -> Self {
        let addresses = given.iter().map(Array::address).zip(0..);
        Self { given: addresses.collect(), first: given.len(), further: Vec::new() }
    }

    fn index(&mut self, array: Array) -> usize {
        self.given.get(&array.address()).copied().unwrap_or_else(|| {
            self.further.push(array);
            self.first + self.further.len() - 1
        })
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
#[derive(Serialize)]
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
