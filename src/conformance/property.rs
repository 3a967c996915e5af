//! The properties, one sentence each.

use std::fmt;

/// Something that users of a session store rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Property {
    /// A create never takes over an id that is in use.
    CreateCollision,
    /// A value of a megabyte comes back whole.
    BigValue,
    /// Keys may be any text: other scripts, quotes, NULs, 255 bytes.
    OddKeys,
    /// Every JSON value comes back as it was.
    ValuesSurvive,
    /// Of two requests at once that change different keys, both take effect.
    DisjointKeys,
    /// Of two requests at once that set one key, one wins, everywhere the same; other keys are untouched.
    SameKey,
    /// What a clear removed stays removed, whatever requests that began before it save; what they added stays.
    ClearAgainstAdd,
    /// A request that saved a key can remove it again and save again.
    TakeBack,
    /// A write that has seen another one wins over it, whatever the clocks of their nodes say.
    ClockSkew,
    /// A save that comes after a delete does not bring the session back.
    LateSaveAfterDelete,
    /// Deleting twice, or what never was, is no error.
    DeleteTwice,
    /// A new id takes all data along and ends the old one.
    CycleKeepsData,
    /// A save under an id that was cycled away does not bring the session back.
    LateSaveAfterCycle,
    /// What others have written to a session when its id is cycled comes along.
    CycleKeepsOthersWrites,
    /// A delete under the new id ends the session, and the old id names nobody then.
    DeleteAfterCycle,
    /// A session whose id is cycled by two requests at once has ended once either new id is deleted.
    DeleteAfterTwoCycles,
    /// A request that began before a delete does not bring the session back by cycling its id.
    CycleAfterDelete,
    /// An expired session is not loaded, nor an unexpired one withheld.
    LoadAfterExpiry,
    /// A save with a later expiry keeps the session alive, on every node.
    ExpiryExtension,
    /// Deleting expired sessions deletes no others.
    SweepKeepsLive,
}

impl Property {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::CreateCollision,
        Self::BigValue,
        Self::OddKeys,
        Self::ValuesSurvive,
        Self::DisjointKeys,
        Self::SameKey,
        Self::ClearAgainstAdd,
        Self::TakeBack,
        Self::ClockSkew,
        Self::LateSaveAfterDelete,
        Self::DeleteTwice,
        Self::CycleKeepsData,
        Self::LateSaveAfterCycle,
        Self::CycleKeepsOthersWrites,
        Self::DeleteAfterCycle,
        Self::DeleteAfterTwoCycles,
        Self::CycleAfterDelete,
        Self::LoadAfterExpiry,
        Self::ExpiryExtension,
        Self::SweepKeepsLive,
    ];

    /// Whether trying it takes some seconds, for a session to expire.
    pub fn waits(self) -> bool {
        matches!(self, Self::LoadAfterExpiry | Self::ExpiryExtension | Self::SweepKeepsLive)
    }

    /// The property as a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::CreateCollision => "a create never takes over an id that is in use",
            Self::BigValue => "a value of a megabyte comes back whole",
            Self::OddKeys => "keys may be any text",
            Self::ValuesSurvive => "every JSON value comes back as it was",
            Self::DisjointKeys => "of two requests at once that change different keys, both take effect",
            Self::SameKey => "of two requests at once that set one key, one wins everywhere",
            Self::ClearAgainstAdd => "what a clear removed stays removed, and what was added to it stays",
            Self::TakeBack => "a request can remove again what it has saved",
            Self::ClockSkew => "a write that has seen another wins over it, whatever the clocks say",
            Self::LateSaveAfterDelete => "a save after a delete does not bring the session back",
            Self::DeleteTwice => "deleting twice, or what never was, is no error",
            Self::CycleKeepsData => "a new id takes all data along and ends the old one",
            Self::LateSaveAfterCycle => "a save under an id cycled away does not bring the session back",
            Self::CycleKeepsOthersWrites => "what others wrote before the id was cycled comes along",
            Self::DeleteAfterCycle => "a delete under the new id ends the session under both",
            Self::DeleteAfterTwoCycles => "of two new ids given at once, a delete of either ends both",
            Self::CycleAfterDelete => "a new id does not bring a deleted session back",
            Self::LoadAfterExpiry => "a session is there until it expires and not after",
            Self::ExpiryExtension => "a save with a later expiry keeps the session alive on every node",
            Self::SweepKeepsLive => "deleting expired sessions deletes no others",
        }
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?} ({})", self.sentence())
    }
}

/// A property that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{property}: {seen}")]
pub struct Violation {
    /// The property.
    pub property: Property,
    /// What was seen instead. Holds no session ids.
    pub seen: String,
}
