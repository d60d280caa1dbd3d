//! A clock cheap enough to be read inside a kernel.

use std::sync::OnceLock;
use std::time::Instant;

/// The current time in ticks, whose length [`Scale`] measures.
#[inline(always)]
pub(crate) fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: reads a counter; every x86-64 processor has it.
    unsafe {
        std::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        origin().elapsed().as_nanos() as u64
    }
}

/// The origin of the time axis.
pub(crate) fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(Instant::now)
}

/// The length of a tick, measured between two readings far apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    begun: Instant,
    ticks: u64,
}

impl Scale {
    /// The first of the two readings.
    pub fn start() -> Self {
        Self { begun: Instant::now(), ticks: ticks() }
    }

    /// Nanoseconds per tick, measured up to now.
    pub fn nanoseconds(&self) -> f64 {
        let elapsed = self.begun.elapsed().as_nanos() as f64;
        elapsed / ticks().wrapping_sub(self.ticks).max(1) as f64
    }
}
