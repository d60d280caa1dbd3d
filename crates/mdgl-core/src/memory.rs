//! Buffers whose size comes from the caller: reserved fallibly, so that too large is an error and not an abort.

use crate::error::{Error, Result};
use crate::lanes::Block;
use crate::real::Real;

/// Makes room for so many elements in all.
///
/// # Errors
/// [`Error::Memory`] when the system refuses.
pub(crate) fn reserve<T>(buffer: &mut Vec<T>, len: usize, what: &str) -> Result<()> {
    let missing = len.saturating_sub(buffer.len());
    buffer.try_reserve_exact(missing).map_err(|_| {
        let bytes = (len as u64).saturating_mul(size_of::<T>() as u64);
        Error::Memory { what: what.into(), bytes }
    })
}

/// Sets a buffer's length; old elements stay, new ones are the given one.
///
/// # Errors
/// As [`reserve`].
pub(crate) fn resize<T: Copy>(buffer: &mut Vec<T>, len: usize, fill: T, what: &str) -> Result<()> {
    reserve(buffer, len, what)?;
    buffer.resize(len, fill);
    Ok(())
}

/// Makes a buffer hold so many zeros, without giving memory back.
///
/// # Errors
/// As [`reserve`].
pub(crate) fn refill<F: Real>(buffer: &mut Vec<Block<F>>, len: usize, what: &str) -> Result<()> {
    buffer.clear();
    resize(buffer, len, Block::ZERO, what)
}

/// The product of sizes; too large for any buffer where it overflows.
pub(crate) fn product(sizes: &[usize]) -> usize {
    sizes.iter().fold(1usize, |product, &size| product.saturating_mul(size))
}
