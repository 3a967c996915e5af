//! Lines in the log about members: so many a minute, then a number. Whoever makes links come and go, or accuses others
//! without end, must not fill the disk.

use std::collections::BTreeMap;

use crate::core::causality::Origin;
use crate::core::limits::{LINES_WINDOW_MS, MAX_MEMBER_LINES, MAX_ONE_MEMBERS_LINES};

/// What was told in this minute.
#[derive(Default)]
pub(super) struct Lines {
    began_ms: u64,
    told: u32,
    left_out: u64,
    by_member: BTreeMap<Origin, u32>,
}

impl Lines {
    /// Whether a line may be told about a member; and how many were left out in the minute before, when that is over.
    pub fn line(&mut self, now_ms: u64, about: Origin) -> (bool, u64) {
        let mut left_out = 0;
        if now_ms >= self.began_ms + LINES_WINDOW_MS {
            left_out = self.left_out;
            *self = Self { began_ms: now_ms, ..Self::default() };
        }
        // No more members are counted than lines are told.
        let known = self.by_member.get(&about).copied().unwrap_or(0);
        let may = self.told < MAX_MEMBER_LINES && known < MAX_ONE_MEMBERS_LINES;
        if may {
            self.told += 1;
            self.by_member.insert(about, known + 1);
        } else {
            self.left_out += 1;
        }
        (may, left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_member_has_some_lines_a_minute_and_all_together_have_more() {
        let mut lines = Lines::default();
        let told = |lines: &mut Lines, n: u128| {
            (0..100_000).filter(|k| lines.line(0, Origin(k % n)).0).count() as u32
        };
        assert_eq!(told(&mut lines, 1), MAX_ONE_MEMBERS_LINES);
        assert_eq!(told(&mut lines, 50_000), MAX_MEMBER_LINES - MAX_ONE_MEMBERS_LINES);
        let left_out = 200_000 - u64::from(MAX_MEMBER_LINES);
        assert_eq!(lines.line(LINES_WINDOW_MS, Origin(1)), (true, left_out));
        assert_eq!(lines.line(LINES_WINDOW_MS, Origin(1)), (true, 0));
    }
}
