//! Buffers whose size comes from the caller: reserved fallibly, so that too large is an error and not an abort.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::error::{Error, Result};
use crate::numeric::lanes::Block;
use crate::numeric::scalar::Scalar;

/// What has to stay free beside anything large: whoever embeds the engine needs memory too, and JavaScript's heap ends the
/// process where it gets none.
const MARGIN: usize = 64 << 20;
/// What JavaScript's heap needs to collect and to go on.
const SPARE: usize = 32 << 20;
/// Below this nothing is large.
const LARGE: usize = 4 << 20;
/// With less left than this, garbage is let go of before more is taken: a thread that starts may take 64 MiB of addresses, and
/// what is not large is not asked for.
const SHORT: usize = 160 << 20;
/// What is taken between two such times.
const BETWEEN: usize = 32 << 20;

/// Bytes asked for since garbage was last let go of.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// What is asked before memory is refused.
static LAST_RESORT: OnceLock<fn()> = OnceLock::new();

/// Whether memory has been short before: what is free may be this process's own, which JavaScript's heap cannot have.
static SCARCE: AtomicBool = AtomicBool::new(false);

/// Before memory is refused, on whatever thread, `release` is to let go of what is not needed any more; the system is then asked
/// once more. The first one given stays.
pub fn before_refusing(release: fn()) {
    LAST_RESORT.get_or_init(|| release);
}

/// Lets go of garbage, if there is any; false where nothing is known to do so, or where JavaScript's heap has no memory left to look for it.
fn release_garbage() -> bool {
    let Some(release) = LAST_RESORT.get() else { return false };
    SCARCE.store(true, Ordering::Relaxed);
    TAKEN.store(0, Ordering::Relaxed);
    let collects = has_free(SPARE);
    if collects {
        release();
    }
    collects
}

/// Whether the system still gives so much memory that is not this process's already.
#[cfg(unix)]
fn has_free(bytes: usize) -> bool {
    let (any, no_file) = (std::ptr::null_mut(), -1);
    // SAFETY: a new mapping that nobody can read or write.
    let mapping = unsafe {
        libc::mmap(any, bytes, libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, no_file, 0)
    };
    if mapping == libc::MAP_FAILED {
        return false;
    }
    // SAFETY: the mapping just made, which nobody knows of.
    unsafe { libc::munmap(mapping, bytes) == 0 }
}

/// Elsewhere a process has no limit of its own.
#[cfg(not(unix))]
fn has_free(_: usize) -> bool {
    true
}

/// Whether so many bytes could be had just now, and the margin beside them; once memory has been short, what is free lies about
/// in pieces.
fn is_granted(bytes: usize) -> bool {
    match SCARCE.load(Ordering::Relaxed) {
        false => can_reserve(bytes.saturating_add(MARGIN)),
        true => can_reserve_beside(bytes, MARGIN),
    }
}

/// Whether so many bytes can be had once garbage has let go of its memory: less stays free then, but enough to collect again.
fn is_granted_anew(bytes: usize) -> bool {
    release_garbage() && can_reserve_beside(bytes, SPARE)
}

fn can_reserve(bytes: usize) -> bool {
    can_reserve_beside(bytes, 0)
}

/// Whether so many bytes could be had, and the system would still give others beside them.
fn can_reserve_beside(bytes: usize, free: usize) -> bool {
    let mut probe: Vec<u8> = Vec::new();
    let granted = probe.try_reserve_exact(bytes).is_ok() && (free == 0 || has_free(free));
    // Memory that nobody looks at need not be asked for.
    std::hint::black_box(&probe);
    granted
}

/// Whether so many bytes could be had just now, with 64 MiB left: asked once before many lists are made that are not
/// reserved one by one.
///
/// # Errors
/// [`Error::Memory`] when the system refuses.
pub fn ensure_memory(bytes: usize, what: &str) -> Result<()> {
    let taken = TAKEN.fetch_add(bytes.min(BETWEEN), Ordering::Relaxed);
    if bytes < LARGE {
        return Ok(());
    }
    if taken >= BETWEEN && LAST_RESORT.get().is_some() && !has_free(bytes.saturating_add(SHORT)) {
        release_garbage();
    }
    match is_granted(bytes) || is_granted_anew(bytes) {
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
    ensure_memory(bytes, what)?;
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
