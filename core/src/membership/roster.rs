//! The roster: what this node believes of each member, and why.

use std::fmt;

use super::evidence::Evidence;
use super::flap::Flap;
use super::message::Pulse;
use super::rtt::Rtt;
use super::suspicion::Suspicion;
use crate::causality::Origin;

/// What this node believes of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It lives.
    Alive,
    /// A probe of it failed, and nothing it produced since has been heard of. Still a member.
    Suspect,
    /// Two witnesses: this node's own probe failed in every way, and nothing produced since the suspicion began was
    /// heard of through anyone. Refuted by a greater incarnation only.
    Dead,
    /// It said goodbye, or its name has begun another life. Final.
    Left,
}

impl State {
    /// The word reports use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Dead => "dead",
            Self::Left => "left",
        }
    }

    /// Whether it still counts as a member.
    pub fn is_living(self) -> bool {
        matches!(self, Self::Alive | Self::Suspect)
    }
}

/// Why a member is in its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The board lists it as alive.
    Listed,
    /// It spoke to this node.
    Spoke,
    /// This node's own probe failed.
    ProbeFailed,
    /// This member accuses it.
    Accused(Origin),
    /// It was heard of since the suspicion began.
    HeardSince,
    /// It raised its incarnation.
    Refuted,
    /// Its own probe failed and nothing produced since was heard for this long (ms).
    Silent(u64),
    /// It said goodbye.
    Goodbye,
    /// Another says that it has left, and it does not answer. Should it, it is back.
    Hearsay,
    /// Its name has begun another life.
    Superseded,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listed => f.write_str("listed on the board"),
            Self::Spoke => f.write_str("it spoke to this node"),
            Self::ProbeFailed => f.write_str("this node's probe failed: direct, indirect and over a stream"),
            Self::Accused(by) => write!(f, "accused by {by}"),
            Self::HeardSince => f.write_str("heard of since it was suspected"),
            Self::Refuted => f.write_str("it raised its incarnation"),
            Self::Silent(ms) => {
                write!(f, "no probe was answered, and nothing it produced was heard of for {ms} ms")
            }
            Self::Goodbye => f.write_str("it said goodbye"),
            Self::Hearsay => f.write_str("others say that it left, and it does not answer"),
            Self::Superseded => f.write_str("its name has begun another life"),
        }
    }
}

/// One member as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What is believed of it.
    pub state: State,
    /// Since when (ms, this node's clock).
    pub since_ms: u64,
    /// Why.
    pub why: Why,
    /// The greatest incarnation known. Only the member itself raises it.
    pub incarnation: u32,
    /// The suspicion, while there is one.
    pub suspicion: Option<Suspicion>,
    /// Round-trip times of probes.
    pub rtt: Rtt,
    /// Since when another has told that it left, and it has not answered since (ms).
    pub(super) farewell_ms: Option<u64>,
    /// When it was last asked whether that is so (ms).
    pub(super) farewell_asked_ms: Option<u64>,
    /// It is gone by another's word: should it answer, it is back.
    pub(super) by_hearsay: bool,
    /// When others told of its incarnation (ms); `None` if it said so itself.
    pub(super) told_ms: Option<u64>,
    /// Whether the board lists it.
    pub(super) listed: bool,
    /// Whether the board's last list called it alive.
    pub(super) listed_alive: bool,
    /// Whether it has a place in the order of probing.
    pub(super) in_order: bool,
    /// The accuser contradicted last, and when the suspicion it told of began: once is enough.
    pub(super) contradicted: Option<(Origin, u64)>,
    pub(super) evidence: Evidence,
    pub(super) flap: Flap,
}

impl Member {
    pub(super) fn new(now_ms: u64, state: State, why: Why) -> Self {
        Self {
            state,
            since_ms: now_ms,
            why,
            incarnation: 0,
            suspicion: None,
            rtt: Rtt::default(),
            farewell_ms: None,
            farewell_asked_ms: None,
            by_hearsay: false,
            told_ms: None,
            listed: false,
            listed_alive: false,
            in_order: false,
            contradicted: None,
            evidence: Evidence::default(),
            flap: Flap::default(),
        }
    }

    /// The newest it is known to have said, for telling others; `None` if it never said anything.
    pub(super) fn newest(&self) -> Option<Pulse> {
        let beat_ms = self.evidence.beat_ms;
        (beat_ms > 0).then_some(Pulse { incarnation: self.incarnation, beat_ms })
    }

    /// Whether what others tell of it can be dated to within a round trip: it has answered a ping of ours.
    pub fn is_dated(&self) -> bool {
        self.evidence.exact
    }

    /// When the newest evidence of its life known here was produced (ms, this node's clock); `None` if there is none.
    pub fn heard_ms(&self) -> Option<u64> {
        (self.evidence.produced_ms > 0).then_some(self.evidence.produced_ms)
    }
}

/// A member's state has changed, or its accusers have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub member: Origin,
    /// What is believed of it now.
    pub state: State,
    /// Its incarnation.
    pub incarnation: u32,
    /// Why.
    pub why: Why,
}
