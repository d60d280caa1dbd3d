//! Buffers whose size comes from the caller: reserved fallibly, so that too large is an error and not an abort.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::error::{Error, Result};
use crate::lanes::Block;
use crate::scalar::Scalar;

/// What has to stay free beside anything large: whoever embeds the engine needs memory too, and JavaScript's heap ends the
/// process where it gets none.
const MARGIN: usize = 64 << 20;
/// What JavaScript's heap needs to collect and to go on, in pieces of its own.
const SPARE: usize = 32 << 20;
/// Below this nothing is large.
const LARGE: usize = 4 << 20;

/// What is asked before memory is refused.
static LAST_RESORT: OnceLock<fn() -> bool> = OnceLock::new();

/// Whether memory has been short before: what is free may be this process's own, which JavaScript's heap cannot have.
static SCARCE: AtomicBool = AtomicBool::new(false);

/// Before memory is refused, on whatever thread, `release` is to let go of what is not needed any more and to say whether there
/// was any; the system is then asked once more. The first one given stays.
pub fn before_refusing(release: fn() -> bool) {
    LAST_RESORT.get_or_init(|| release);
}

/// Whether anything was let go of. JavaScript's heap needs memory itself to find what that could be.
fn release_garbage() -> bool {
    let Some(release) = LAST_RESORT.get() else { return false };
    SCARCE.store(true, Ordering::Relaxed);
    has_spare() && release()
}

/// Whether the system still gives a piece of memory of its own, which a thread's stack is.
fn has_spare() -> bool {
    thread::Builder::new().stack_size(SPARE).spawn(|| ()).is_ok_and(|thread| thread.join().is_ok())
}

/// Whether so many bytes could be had just now, and the margin beside them.
fn is_granted(bytes: usize) -> bool {
    let mut probe: Vec<u8> = Vec::new();
    let granted = probe.try_reserve_exact(bytes.saturating_add(MARGIN)).is_ok();
    // Memory that nobody looks at need not be asked for.
    std::hint::black_box(&probe);
    granted && (!SCARCE.load(Ordering::Relaxed) || has_spare())
}

/// Whether so many bytes could be had just now, with 64 MiB left: asked once before many lists are made that are not
/// reserved one by one.
///
/// # Errors
/// [`Error::Memory`] when the system refuses.
pub fn room_for(bytes: usize, what: &str) -> Result<()> {
    if bytes < LARGE {
        return Ok(());
    }
    match is_granted(bytes) || release_garbage() && is_granted(bytes) {
        true => Ok(()),
        false => Err(no_room(bytes, what)),
    }
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

/// Bytes that a list holds, in use or not.
pub(crate) fn bytes_of<T>(list: &Vec<T>) -> usize {
    product(&[list.capacity(), size_of::<T>()])
}

/// The product of sizes; too large for any buffer where it overflows.
pub(crate) fn product(sizes: &[usize]) -> usize {
    sizes.iter().fold(1usize, |product, &size| product.saturating_mul(size))
}
