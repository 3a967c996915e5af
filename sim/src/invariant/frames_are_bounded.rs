//! ALGORITHM.md §12: no frame is larger than what a receiver accepts, `Limits::max_frame_bytes`.

use super::{Invariant, Look, Verdict};

/// The rule.
#[derive(Default)]
pub struct FramesAreBounded;

impl Invariant for FramesAreBounded {
    fn second(&mut self, look: &Look<'_>, verdict: &mut Verdict) {
        let (largest, most) = (look.world.largest_frame_bytes, look.world.limits.max_frame_bytes());
        verdict.case(largest <= most, 0, None, || format!("a frame of {largest} bytes; at most {most}"));
    }
}
