//! The operating system's randomness, replaced on threads that ask for it: for chitchat to be repeatable.
//!
//! chitchat draws whom it gossips with from `rand`'s thread generator and from the order of std's hash maps.
//! Both are seeded, once per thread, through the C library's `getrandom`, and neither offers another way in:
//! measured without this shim, no two runs of one seed were alike; with it, all were. So this file defines that
//! symbol. On a thread with a stream it hands out the stream's bytes, on every other thread it makes the system
//! call that the C library would have made.
//!
//! Linux only: elsewhere std and `rand` ask through other doors.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::thread;

use crate::draw::mix;

thread_local! {
    /// The state of this thread's stream, if it has one.
    static STREAM: Cell<Option<u64>> = const { Cell::new(None) };
}

/// True on a thread whose entropy is a stream.
pub(super) fn is_seeded() -> bool {
    STREAM.get().is_some()
}

/// Runs `f` on a fresh thread whose entropy is a stream of `seed`.
///
/// A fresh one, because std's maps and `rand`'s generators are seeded once per thread and go on from there.
///
/// # Panics
/// If `f` does, with its message; and if the shim is not in force: on other systems than Linux, or when the
/// linker took another `getrandom`.
pub fn run_seeded<T: Send + 'static>(seed: u64, f: impl FnOnce() -> T + Send + 'static) -> T {
    let run = move || {
        STREAM.set(Some(mix(seed)));
        assert_shim_is_linked();
        f()
    };
    match thread::spawn(run).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

#[cfg(target_os = "linux")]
fn assert_shim_is_linked() {
    // Keeps the linker from leaving the shim out.
    std::hint::black_box(shim::getrandom as *const ());
    let before = STREAM.get();
    std::hint::black_box(std::hash::RandomState::new());
    assert_ne!(before, STREAM.get(), "std does not draw from the getrandom shim");
}

#[cfg(not(target_os = "linux"))]
fn assert_shim_is_linked() {
    panic!(
        "the full board runs on Linux only: elsewhere the operating system's randomness cannot be replaced"
    );
}

#[cfg(target_os = "linux")]
mod shim {
    use super::{STREAM, mix};

    /// Takes the place of the C library's function of this name in the whole program.
    ///
    /// # Safety
    /// As of the C library's: `buffer` must be valid for writes of `len` bytes.
    // SAFETY: the name is meant to be taken; signature and meaning are getrandom(2)'s.
    #[unsafe(no_mangle)]
    pub(super) unsafe extern "C" fn getrandom(buffer: *mut u8, len: usize, flags: u32) -> isize {
        // An error means the thread is ending and its stream is gone.
        let Ok(Some(state)) = STREAM.try_with(std::cell::Cell::get) else {
            // SAFETY: the caller's promise about the buffer is the system call's condition.
            return unsafe { libc::syscall(libc::SYS_getrandom, buffer, len, flags) as isize };
        };
        if len == 0 {
            // A probe of whether the call exists: it must not move the stream, nor need a buffer.
            return 0;
        }
        // SAFETY: the caller promises `len` writable bytes. They may be uninitialised, and are only written.
        let buffer =
            unsafe { std::slice::from_raw_parts_mut(buffer.cast::<std::mem::MaybeUninit<u8>>(), len) };
        let mut state = state;
        for piece in buffer.chunks_mut(8) {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let bytes = mix(state).to_le_bytes();
            piece.iter_mut().zip(bytes).for_each(|(place, byte)| {
                place.write(byte);
            });
        }
        STREAM.set(Some(state));
        len as isize
    }
}
