//! Buffers whose size comes from the caller: reserved fallibly, so that too large is an error and not an abort.

use crate::error::{Error, Result};
use crate::lanes::Block;
use crate::scalar::Scalar;

/// What has to stay free beside anything large: whoever embeds the engine needs memory too, and JavaScript's heap ends the
/// process where it gets none.
const MARGIN: usize = 64 << 20;
/// Below this nothing is large.
const LARGE: usize = 4 << 20;

/// Whether so many bytes could be had just now, with 64 MiB left: asked once before many lists are made that are not
/// reserved one by one.
///
/// # Errors
/// [`Error::Memory`] when the system refuses.
pub fn room_for(bytes: usize, what: &str) -> Result<()> {
    if bytes < LARGE {
        return Ok(());
    }
    let mut probe: Vec<u8> = Vec::new();
    let refused = probe.try_reserve_exact(bytes.saturating_add(MARGIN)).is_err();
    // Memory that nobody looks at need not be asked for.
    std::hint::black_box(&probe);
    if refused { Err(no_room(bytes, what)) } else { Ok(()) }
}

/// Makes room for so many elements in all.
///
/// # Errors
/// [`Error::Memory`] when the system refuses.
pub(crate) fn reserve<T>(buffer: &mut Vec<T>, len: usize, what: &str) -> Result<()> {
    if len <= buffer.capacity() {
        return Ok(());
    }
    let bytes = len.saturating_mul(size_of::<T>());
    room_for(bytes, what)?;
    buffer.try_reserve_exact(len - buffer.len()).map_err(|_| no_room(bytes, what))
}

fn no_room(bytes: usize, what: &str) -> Error {
    Error::Memory { what: what.into(), bytes: bytes as u64 }
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
pub(crate) fn refill<F: Scalar>(buffer: &mut Vec<Block<F>>, len: usize, what: &str) -> Result<()> {
    buffer.clear();
    resize(buffer, len, Block::ZERO, what)
}

/// The product of sizes; too large for any buffer where it overflows.
pub(crate) fn product(sizes: &[usize]) -> usize {
    sizes.iter().fold(1usize, |product, &size| product.saturating_mul(size))
}
