//! Fallible allocation of buffers whose size comes from the caller: if memory is short, the call returns an error.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::error::{Error, Result};
use crate::numeric::lanes::Block;
use crate::numeric::scalar::Scalar;

/// Memory that stays free beside any large allocation: the embedding process needs some, too, and V8 aborts the process
/// when it cannot grow its heap.
const MARGIN: usize = 64 << 20;
/// Memory that V8 needs in order to collect garbage and to continue.
const SPARE: usize = 32 << 20;
/// Allocations below this size are not checked.
const LARGE: usize = 4 << 20;
/// With less free memory than this, garbage is collected before more is allocated: a starting thread may map 64 MiB of
/// addresses, and small allocations are not checked.
const SHORT: usize = 160 << 20;
/// Bytes allocated, in requests of any size, between two looks at how much is free.
const BETWEEN: usize = 32 << 20;

/// Bytes requested since the last such look.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// The callback that frees garbage before memory is refused.
static LAST_RESORT: OnceLock<fn()> = OnceLock::new();

/// Whether memory has been short before: free memory may then be this process's own, which V8's heap cannot use.
static SCARCE: AtomicBool = AtomicBool::new(false);

/// Registers `release`, which frees garbage (on whatever thread) before memory is refused; the system is then asked
/// again. The first callback registered stays.
pub fn before_refusing(release: fn()) {
    LAST_RESORT.get_or_init(|| release);
}

/// Collects garbage, if there is any; false without a callback, or where V8's heap has no memory left to collect it.
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

/// Whether the system still grants this many bytes beyond those of the process.
#[cfg(unix)]
fn has_free(bytes: usize) -> bool {
    let (any, no_file) = (std::ptr::null_mut(), -1);
    // SAFETY: a new mapping without any access, which is never read or written.
    let mapping = unsafe {
        libc::mmap(any, bytes, libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, no_file, 0)
    };
    if mapping == libc::MAP_FAILED {
        return false;
    }
    // SAFETY: the mapping just made, to which no other pointer exists.
    unsafe { libc::munmap(mapping, bytes) == 0 }
}

/// Other systems have no limit per process.
#[cfg(not(unix))]
fn has_free(_: usize) -> bool {
    true
}

/// Whether so many bytes can be allocated now, and the margin beside them; once memory has been short, free memory is
/// fragmented.
fn is_granted(bytes: usize) -> bool {
    match SCARCE.load(Ordering::Relaxed) {
        false => can_reserve(bytes.saturating_add(MARGIN)),
        true => can_reserve_beside(bytes, MARGIN),
    }
}

/// Whether so many bytes can be allocated once garbage is collected: less stays free then, but enough to collect again.
fn is_granted_anew(bytes: usize) -> bool {
    release_garbage() && can_reserve_beside(bytes, SPARE)
}

fn can_reserve(bytes: usize) -> bool {
    can_reserve_beside(bytes, 0)
}

/// Whether so many bytes can be allocated with the margin left free.
fn can_reserve_beside(bytes: usize, free: usize) -> bool {
    let mut probe: Vec<u8> = Vec::new();
    let granted = probe.try_reserve_exact(bytes).is_ok() && (free == 0 || has_free(free));
    // Otherwise the compiler may remove an allocation that is never read.
    std::hint::black_box(&probe);
    granted
}

/// Whether so many bytes can be allocated now, with 64 MiB left: checked once before many lists are allocated that are not
/// reserved individually.
///
/// # Errors
/// [`Error::Memory`] when the system refuses.
pub fn ensure_memory(bytes: usize, what: &str) -> Result<()> {
    // Many small requests take as much as a large one.
    if TAKEN.fetch_add(bytes.min(BETWEEN), Ordering::Relaxed) >= BETWEEN {
        TAKEN.store(0, Ordering::Relaxed);
        if LAST_RESORT.get().is_some() && !has_free(bytes.saturating_add(SHORT)) {
            release_garbage();
        }
    }
    if bytes < LARGE {
        return Ok(());
    }
    match is_granted(bytes) || is_granted_anew(bytes) {
        true => Ok(()),
        false => Err(no_room(bytes, what)),
    }
}

/// Reserves capacity for so many elements in all.
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

/// Sets a buffer's length; old elements stay, new ones are `value`.
///
/// # Errors
/// As [`reserve`].
pub(crate) fn resize<T: Copy>(buffer: &mut Vec<T>, len: usize, fill: T, what: &str) -> Result<()> {
    reserve(buffer, len, what)?;
    buffer.resize(len, fill);
    Ok(())
}

/// Makes a buffer hold so many zeros, without releasing memory.
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
