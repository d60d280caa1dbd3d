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

/// Nanoseconds for which the calling thread has had a processor, the system's work for it included.
pub(crate) fn processor_time() -> u64 {
    #[cfg(unix)]
    {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the clock of the calling thread, written to a value of its type.
        let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
        if result != 0 { 0 } else { time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64 }
    }
    #[cfg(windows)]
    {
        windows::processor_time()
    }
    #[cfg(not(any(unix, windows)))]
    {
        origin().elapsed().as_nanos() as u64
    }
}

/// The thread's times as Windows gives them, in units of 100 ns and steps of some milliseconds.
#[cfg(windows)]
mod windows {
    use std::ffi::c_void;

    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn GetCurrentThread() -> *mut c_void;
        fn GetThreadTimes(
            thread: *mut c_void,
            creation: *mut u64,
            exit: *mut u64,
            kernel: *mut u64,
            user: *mut u64,
        ) -> i32;
    }

    pub fn processor_time() -> u64 {
        let (mut creation, mut exit, mut kernel, mut user) = (0, 0, 0, 0);
        // SAFETY: the handle is the calling thread's and needs no closing; each time is eight bytes, which a `u64` has.
        let result =
            unsafe { GetThreadTimes(GetCurrentThread(), &mut creation, &mut exit, &mut kernel, &mut user) };
        if result == 0 { 0 } else { 100 * (kernel + user) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_sleeps_has_no_processor() {
        let (begun, before) = (Instant::now(), processor_time());
        std::thread::sleep(std::time::Duration::from_millis(200));
        let (asleep, after) = (begun.elapsed().as_nanos() as u64, processor_time());
        assert!(2 * (after - before) < asleep, "{} of {asleep} ns", after - before);
        // Until it has worked for a while, however long that takes on a busy machine.
        while processor_time() - after < 50_000_000 {
            assert!(begun.elapsed().as_secs() < 60, "no processor time passes");
        }
    }
}
