//! What is asked for, and words for how a session ends.

use std::time::Duration;

use sessionmesh::mesh::Fields;
use sessionmesh::{Expiry, Session};

const MINUTE_MS: u64 = 60_000;
pub const HOUR_MS: u64 = 60 * MINUTE_MS;
pub const DAY_MS: u64 = 24 * HOUR_MS;
/// Between a write and the look at it; less than the difference of any two times here.
const SLACK_MS: u64 = 50_000;

/// An idle time, a date or neither, as a front can say it.
#[derive(Clone, Copy)]
pub enum Ends {
    Idle(Duration),
    /// This long after now (ms); before now, if negative.
    At(i64),
    /// A date that no number means.
    EndOfTime,
    Never,
}

/// One edit, or what a new session is asked to be.
#[derive(Clone, Copy)]
pub struct Ask {
    pub ends: Option<Ends>,
    pub at_most: Option<Duration>,
}

impl Ask {
    /// As the plain API says it: everything in one [`Expiry`], or a bound alone.
    pub fn of(self, fields: &mut Fields, now_ms: u64) {
        match (self.expiry(now_ms), self.at_most) {
            (Some(expiry), Some(life)) => fields.set_expiry(expiry.at_most(life)),
            (Some(expiry), None) => fields.set_expiry(expiry),
            (None, Some(life)) => fields.set_at_most(life),
            (None, None) => {}
        }
    }

    pub fn expiry(self, now_ms: u64) -> Option<Expiry> {
        Some(match self.ends? {
            Ends::Idle(idle) => Expiry::sliding(idle),
            Ends::At(in_ms) => Expiry::at_ms(now_ms.saturating_add_signed(in_ms)),
            Ends::EndOfTime => Expiry::at_ms(u64::MAX),
            Ends::Never => Expiry::none(),
        })
    }
}

/// A row of the table: edits of which the last one is looked at.
pub struct Case {
    pub asked: &'static str,
    pub first: Option<Ask>,
    pub then: Ask,
}

/// What the sessions that are edited were created with, and new ones would be if nothing were asked.
pub fn base() -> Expiry {
    Expiry::sliding(Duration::from_millis(30 * MINUTE_MS)).at_most(Duration::from_millis(DAY_MS))
}

fn minutes(n: u64) -> Duration {
    Duration::from_millis(n * MINUTE_MS)
}

fn idle(life: Duration) -> Option<Ends> {
    Some(Ends::Idle(life))
}

pub fn cases() -> Vec<Case> {
    let case = |asked, ends, at_most| Case { asked, first: None, then: Ask { ends, at_most } };
    let hour = Ask { ends: None, at_most: Some(minutes(60)) };
    let after = |asked, ends, at_most| Case { first: Some(hour), ..case(asked, ends, at_most) };
    let (day, zero) = (minutes(24 * 60), Duration::ZERO);
    let at = |minutes: i64| Some(Ends::At(minutes * 60_000));
    vec![
        case("`sliding(10 min)`", idle(minutes(10)), None),
        case("`sliding(40 days)`", idle(40 * day), None),
        case("`sliding(584 million years)`", idle(Duration::MAX), None),
        case("`sliding(0)`", idle(zero), None),
        case("`at_ms(in 10 min)`", at(10), None),
        case("`at_ms(in 40 days)`", at(40 * 24 * 60), None),
        case("`at_ms(u64::MAX)`", Some(Ends::EndOfTime), None),
        case("`at_ms(1 min ago)`", at(-1), None),
        case("`none()`", Some(Ends::Never), None),
        case("`after(2 min)`", Some(Ends::Never), Some(minutes(2))),
        case("`after(40 days)`", Some(Ends::Never), Some(40 * day)),
        case("`after(0)`", Some(Ends::Never), Some(zero)),
        case("`sliding(10 min).at_most(1 h)`", idle(minutes(10)), Some(minutes(60))),
        case("`sliding(10 min).at_most(2 min)`", idle(minutes(10)), Some(minutes(2))),
        case("`sliding(10 min).at_most(40 days)`", idle(minutes(10)), Some(40 * day)),
        case("`sliding(10 min).at_most(0)`", idle(minutes(10)), Some(zero)),
        case("`at_ms(in 10 min).at_most(2 min)`", at(10), Some(minutes(2))),
        case("`set_at_most(1 h)`", None, Some(minutes(60))),
        after("`set_at_most(1 h)`, then `sliding(10 min)`", idle(minutes(10)), None),
        after("`set_at_most(1 h)`, then `at_ms(in 120 min)`", at(120), None),
        after("`set_at_most(1 h)`, then `set_at_most(2 h)`", None, Some(minutes(120))),
        after("`set_at_most(1 h)`, then `set_at_most(40 days)`", None, Some(40 * day)),
    ]
}

/// How long (ms) in words; they are told apart to the minute.
pub fn told(ms: u64) -> String {
    let near = |at_ms: u64| (at_ms - SLACK_MS..=at_ms + 1_000).contains(&ms);
    let named = [
        (2 * MINUTE_MS, "2 min"),
        (10 * MINUTE_MS, "10 min"),
        (30 * MINUTE_MS, "30 min"),
        (HOUR_MS, "1 h"),
        (2 * HOUR_MS, "2 h"),
        (DAY_MS, "1 day"),
        (30 * DAY_MS, "30 days"),
    ];
    let named = named.iter().find(|(at_ms, _)| near(*at_ms));
    named.map_or_else(|| format!("{ms} ms"), |(_, word)| (*word).to_owned())
}

/// How a session ends, seen at `now_ms`: after an idle time and at last, or at one date that no touch moves.
pub fn ends(session: &Session, now_ms: u64) -> String {
    let (deadline_ms, last_ms) = (session.deadline_ms(), session.hard_deadline_ms());
    let (soft, last) = (told(deadline_ms - now_ms.min(deadline_ms)), told(last_ms - now_ms.min(last_ms)));
    let slides = format!("{:?}", session.expiry()).contains("Sliding");
    if slides && deadline_ms < last_ms { format!("{soft} idle, {last} at most") } else { soft }
}
