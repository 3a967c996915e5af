//! Loss of packets, by probes that only others' help or a stream got an answer to.

use crate::core::membership::Stats;

/// Such probes, of a hundred, that are no chance any more: with 30 % of packets lost on one member's line it counts half of
/// its own, and each of four others an eighth.
const SOME_PERCENT: u64 = 5;
/// And that users notice.
const MUCH_PERCENT: u64 = 20;
/// Probes that a share is told of.
const LEAST: u64 = 60;

/// Probes so far, and those of a member that lives for others and did not answer this node directly in time. One that nobody
/// reaches is silent, which is no loss on a line.
pub(in crate::dashboard) fn probed(stats: &Stats) -> (u64, u64) {
    (stats.probes, stats.probes_escalated.saturating_sub(stats.probes_failed))
}

/// How bad that is, and the share (percent); `None` for what may be chance.
pub(super) fn share(probes: u64, unanswered: u64) -> Option<(&'static str, u64)> {
    let percent = 100 * unanswered / probes.max(1);
    let severity = if percent >= MUCH_PERCENT { "warning" } else { "info" };
    (probes >= LEAST && percent >= SOME_PERCENT).then_some((severity, percent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_told_by_the_share_of_probes_without_an_answer() {
        let told = |probes, unanswered| share(probes, unanswered).map(|(severity, _)| severity);
        assert_eq!([told(300, 3), told(20, 10), told(0, 0)], [None; 3]);
        assert_eq!((told(300, 30), share(300, 150)), (Some("info"), Some(("warning", 50))));
    }

    #[test]
    fn a_member_that_nobody_reaches_is_no_loss() {
        let cut = Stats { probes: 63, probes_escalated: 16, probes_failed: 16, ..Stats::default() };
        assert_eq!(probed(&cut), (63, 0));
        let lossy = Stats { probes_failed: 1, ..cut };
        assert_eq!(probed(&lossy), (63, 15));
    }
}
