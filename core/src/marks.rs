//! Marks: "this rare thing happened here", recorded where it happens.
//!
//! A test that never reaches a rule proves nothing about it. An observer unites the marks of many runs and sees
//! which corners were never visited. A section in parentheses is one of `docs/ALGORITHM.md`. They decide nothing, and
//! cost a load once they are set: a bit never goes back.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! marks {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// A rare thing that can happen in the core.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Mark {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Mark {
            /// All of them, in the order of their bits.
            pub const ALL: &'static [Mark] = &[$(Mark::$variant,)+];

            /// The name reports use.
            pub fn name(self) -> &'static str {
                match self {
                    $(Mark::$variant => $name,)+
                }
            }
        }
    };
}

marks! {
    // Frames that are refused or ignored.
    /// A frame too short to have a kind: the link is closed.
    FrameShort = "frame-short",
    /// A frame of a wire version that is not spoken here.
    FrameVersion = "frame-version",
    /// A message kind of a newer version, ignored: not understood is not misbehaviour.
    UnknownKindIgnored = "unknown-kind-ignored",
    /// A body that is not what its kind promises.
    FrameBody = "frame-body",
    /// A frame from a life with which there is no link (any more).
    FrameWithoutLink = "frame-without-link",
    /// A peer whose clock is further away than the drift bound: nothing of it is taken (§7).
    PeerClockRefused = "peer-clock-refused",
    /// An entry from further ahead than the drift bound: its round does not complete (§7).
    EntryClockAhead = "entry-clock-ahead",
    /// A joiner took what is from further ahead than the drift bound, since every ready member holds it (§7).
    JoinedAhead = "joined-ahead",
    /// Dots of this life that it never wrote: somebody else carries its name (§8).
    OwnOriginImpostor = "own-origin-impostor",
    /// An entry that breaks a rule every honest peer keeps.
    EntryMalformed = "entry-malformed",
    /// A session that does not hash to the partition it came in.
    EntryInWrongPartition = "entry-in-wrong-partition",
    /// A hard deadline further off than any session may live.
    LifetimeBeyondMaximum = "lifetime-beyond-maximum",
    /// The hard memory limit: entries are joined, coverage is not adopted.
    HardMemoryLimit = "hard-memory-limit",

    /// Claims of lives of which nothing is held, beyond what is entered of them.
    OriginsBeyondBound = "origins-beyond-bound",
    /// Members told of beyond what is taken in.
    MembersBeyondBound = "members-beyond-bound",

    // Pages.
    /// An answer to a request that is no longer this partition's: joined, its claims dropped (§4).
    PageStale = "page-stale",
    /// A page of a round that has ended or was never asked for.
    PageOfAnotherRound = "page-of-another-round",
    /// A part of a session that is not here: the whole record is asked for.
    NeedFull = "need-full",
    /// A claim cut before the first dot of a session that is needed whole (§4).
    ClaimTruncated = "claim-truncated",
    /// A page ended by its budget, its claim cut at a counter boundary.
    PageCut = "page-cut",
    /// A page cut before it could claim anything of an origin's range.
    PageCutAtOnce = "page-cut-at-once",
    /// Forced entries alone filled a page: the rest is asked for again.
    PageForcedCut = "page-forced-cut",
    /// A round of a partition that goes on with another request.
    PageMore = "page-more",
    /// A request that builds on what an abandoned round with the same peer had brought.
    RoundResumed = "round-resumed",
    /// A page of a partition that is no source for joiners, because something revived waits here (§6).
    PageFromRevived = "page-from-revived",
    /// A claim that wanted to matter longer than anything can live.
    ClaimUntilClamped = "claim-until-clamped",

    // Pushes.
    /// A push ended by its budget.
    PushCut = "push-cut",
    /// A push to a peer further behind than the remembered ops: only the suffix is claimed.
    PushSuffix = "push-suffix",
    /// A push that carries another writer's dots, because they superseded the op (§4).
    PushSuperseded = "push-superseded",
    /// A push of an op whose session is no longer held.
    PushSlotGone = "push-slot-gone",
    /// A push nobody acknowledged in time: it no longer blocks the next.
    PushLost = "push-lost",
    /// An acknowledgement that matches no push under way.
    PushAckStale = "push-ack-stale",
    /// An acknowledgement that names partitions it did not adopt: no copy there (§10).
    PushAckRefused = "push-ack-refused",
    /// A push whose claim was not adopted here.
    PushNotAdopted = "push-not-adopted",

    // Lives and clocks.
    /// A new life because another process carries this node's name (§8).
    NewLifeClone = "new-life-clone",
    /// A new life because a peer knows writes this one never made.
    NewLifeImpostor = "new-life-impostor",
    /// A new life because a clock that was believed turned out to be ahead: what was told by it binds nobody now (§7).
    NewLifeJump = "new-life-jump",
    /// A new life because a peer holds the one before for over (§6).
    NewLifeForgotten = "new-life-forgotten",
    /// The wall clock stepped forward: it is in doubt.
    WallJumpForward = "wall-jump-forward",
    /// The wall clock stepped backward: it is in doubt.
    WallJumpBackward = "wall-jump-backward",
    /// The wall clock stepped against the monotonic one: the machine may have been suspended.
    SuspendNoticed = "suspend-noticed",
    /// A reading of the wall clock older than one already used: the older one counts (§7).
    WallClamped = "wall-clamped",
    /// Peers contradicted a wall clock that had stepped: the node goes on without it.
    ClockRefuted = "clock-refuted",
    /// A wall clock that had stepped was confirmed, and is followed again.
    ClockAdopted = "clock-adopted",
    /// Something due by the believed clock was left alone, because another clock says that it is not.
    ReapHeldBack = "reap-held-back",
    /// A stamp beyond the wall clock, which a faster clock's write has pulled along.
    HlcAheadOfWall = "hlc-ahead-of-wall",
    /// A full logical count that carried into the millisecond.
    HlcCarry = "hlc-carry",

    // Joining, ready, fenced.
    /// A joiner was frozen: its clocks start again, and it shows nothing before it has joined.
    JoinerFrozen = "joiner-frozen",
    /// The fence closed: this process may have missed logouts.
    FenceClosed = "fence-closed",
    /// An edit refused, because the fence is closed.
    FencedEditRefused = "fenced-edit-refused",
    /// A full round opened the fence.
    FenceOpenedByRound = "fence-opened-by-round",
    /// Nobody who could know better is out of reach: the fence opened.
    FenceNobodyKnowsBetter = "fence-nobody-knows-better",
    /// Nobody answered: the fence opened by time.
    FenceOpenedByTimeout = "fence-opened-by-timeout",
    /// The fence's time is over, but a round is bringing something.
    FenceWaitsForRound = "fence-waits-for-round",
    /// Alone in the world: ready without a round.
    Solo = "solo",
    /// Joiners that met only joiners declared themselves ready.
    FoundedTogether = "founded-together",
    /// A join that was adopted and verified.
    VerifiedJoin = "verified-join",
    /// A verification nobody answered was asked again.
    VerifyRetry = "verify-retry",
    /// A verification found a difference.
    VerifyDiffered = "verify-differed",

    // Audits.
    /// Equal coverage with unequal contents.
    AuditDiff = "audit-diff",
    /// A difference found while a round was under way: its refetch waits for the next audit.
    AuditDiffLeft = "audit-diff-left",
    /// A partition that proves nothing, since something in it is not covered yet.
    AuditNoEvidence = "audit-no-evidence",
    /// A peer that claimed writes it never sent was named.
    LiarNamed = "liar-named",

    // What time ends.
    /// A session that was reaped here came back from a peer (§6).
    RevivedMarked = "revived-marked",
    /// Every other member was asked about a revived session.
    RevivedConfirmed = "revived-confirmed",
    /// A revived session kept, because somebody was not asked yet.
    RevivedWaiting = "revived-waiting",
    /// A tombstone that has outlived every copy went.
    TombstoneCollected = "tombstone-collected",
    /// A tombstone came in after its double margin and was left out.
    TombstoneTooOld = "tombstone-too-old",
    /// An expired payload kept past its grace, since somebody may know a newer touch.
    ExpiredRetained = "expired-retained",
    /// An expired payload reaped as stable (§6).
    ReapedStable = "reaped-stable",
    /// An expired payload reaped at its hard deadline.
    ReapedAtHard = "reaped-at-hard",
    /// An expired payload reaped although a member was not heard of (§6).
    ReapedUnheard = "reaped-unheard",
    /// A session told as expired is visible again: a late touch.
    ExpiryUntold = "expiry-untold",
    /// A reaper that spent its budget before everything due was looked at.
    ReapBudgetSpent = "reap-budget-spent",
    /// An origin forgotten: nothing it wrote can matter any more (§6).
    OriginPruned = "origin-pruned",
    /// The same of this life's own coverage.
    OwnCoveragePruned = "own-coverage-pruned",
    /// A forgotten origin's place in the table given to another.
    OriginPlaceReused = "origin-place-reused",
    /// A claim on an origin about to be pruned here, ignored.
    FadingClaimIgnored = "fading-claim-ignored",
    /// A life was marked as gone for good (§6).
    GoneMarkSet = "gone-mark-set",
    /// A gone-mark has served its time.
    GoneMarkServed = "gone-mark-served",
    /// A gone-mark came in that has served its time.
    GoneMarkIgnored = "gone-mark-ignored",

    // Coverage.
    /// More gaps than are remembered: a range was forgotten and will be sent again.
    CoverageForgotten = "coverage-forgotten",
    /// A gap opened in an origin's coverage.
    GapOpened = "gap-opened",
    /// A gap closed.
    GapClosed = "gap-closed",

    // Merges.
    /// Two concurrent writes of one field met.
    ConflictLabelled = "conflict-labelled",
    /// More writers than a conflict context holds: a label may be wrong.
    ContextTruncated = "context-truncated",
    /// One version with two contents: origin reuse or corruption.
    EqualVersionDiffers = "equal-version-differs",
    /// Two births for one id (§5).
    SecondBirth = "second-birth",
    /// Equal stamps: the greater origin won.
    TieByOrigin = "tie-by-origin",
    /// A destroy of a session unknown here.
    BlindDestroy = "blind-destroy",
    /// A destroy of a session already destroyed.
    DestroyOfDead = "destroy-of-dead",
    /// Two tombstones met, and the one that lives longer came in.
    DeadOutlived = "dead-outlived",
    /// A tombstone for a session never seen here.
    DeadForUnknown = "dead-for-unknown",
    /// A live entry ignored, because the session is dead here.
    LiveIgnored = "live-ignored",
    /// A session that came in past its hard deadline.
    PastHardSkipped = "past-hard-skipped",

    // Local writes.
    /// An edit that changed nothing wrote nothing.
    EditSkipped = "edit-skipped",
    /// An edit under the touch quantum left the touch alone.
    EditWithoutTouch = "edit-without-touch",
    /// An edit came after the session had expired.
    EditOfExpired = "edit-of-expired",
    /// A ttl was shortened: stability goes on looking at the longer one (§6).
    TtlShortened = "ttl-shortened",
    /// A removed field is kept, to beat a late set.
    RemovalKept = "removal-kept",
    /// A field an adapter wanted removed was another write than it had seen.
    RemovalOfUnseen = "removal-of-unseen",
    /// A write refused for its number of fields.
    FieldLimitRefused = "field-limit-refused",
    /// A write refused for its size.
    RecordSizeRefused = "record-size-refused",
    /// A write refused for a key's length.
    KeyLengthRefused = "key-length-refused",
    /// A create refused, since its id has been used.
    IdTaken = "id-taken",
    /// A create refused, since it would be born expired.
    BornExpired = "born-expired",
    /// A create refused, since the memory limit is reached.
    MemoryFull = "memory-full",

    // Principals.
    /// A session and a revocation its login had not seen met here.
    LoginRevoked = "login-revoked",
    /// A login or a revocation that is not what its key promises: no principal.
    PrincipalMalformed = "principal-malformed",

    // Asking peers.
    /// A peer answered with the session.
    AskAnswered = "ask-answered",
    /// All peers have answered and none held the session.
    AskInVain = "ask-in-vain",
    /// A peer went before it answered.
    AskUnanswered = "ask-unanswered",
    /// There was nobody to ask.
    AskNobodyLinked = "ask-nobody-linked",
    /// An answer to a question that is no longer open.
    AskAnswerLate = "ask-answer-late",

    // Rounds.
    /// A round in which nothing was heard for too long.
    RoundTimeout = "round-timeout",
    /// A round given up, because its link went down.
    RoundLinkDown = "round-link-down",
    /// An equal answer: a complete round of every partition (§4).
    RoundEqual = "round-equal",
    /// An equal answer that must go on, since revived sessions wait for the peer's word.
    RoundEqualContinues = "round-equal-continues",
    /// An unequal answer.
    RoundUnequal = "round-unequal",
    /// More unequal partitions than are asked for at once.
    RoundWindowFull = "round-window-full",
    /// Pages served to a peer while this node was pulling too.
    RoundConcurrentPull = "round-concurrent-pull",
    /// A round that ended without some partition.
    RoundIncomplete = "round-incomplete",
    /// A round that found unequal partitions and nothing to fetch.
    RoundWithoutGain = "round-without-gain",

    // Storage.
    /// A record moved, because a reader holds its chunk.
    ArenaMoved = "arena-moved",
    /// An open chunk was passed over, because a reader holds it.
    ArenaPinned = "arena-pinned",
    /// Compaction moved a record.
    ArenaCompacted = "arena-compacted",
}

impl Mark {
    fn bit(self) -> (usize, u64) {
        (usize::from(self as u8) / 64, 1 << (self as u8 % 64))
    }

    /// The marks in a united set of bits.
    pub fn all_in(bits: [u64; 2]) -> impl Iterator<Item = Mark> {
        Self::ALL.iter().copied().filter(move |mark| {
            let (word, bit) = mark.bit();
            bits[word] & bit != 0
        })
    }
}

/// Which marks were hit, one bit each.
#[derive(Debug, Default)]
pub struct Marks([AtomicU64; 2]);

impl Marks {
    /// Records that it happened. Nobody orders anything by it.
    #[inline]
    pub fn hit(&self, mark: Mark) {
        let (word, bit) = mark.bit();
        if self.0[word].load(Ordering::Relaxed) & bit == 0 {
            self.0[word].fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// Whether it ever happened.
    pub fn has(&self, mark: Mark) -> bool {
        let (word, bit) = mark.bit();
        self.0[word].load(Ordering::Relaxed) & bit != 0
    }

    /// Adds what happened here to `bits`.
    pub fn union_into(&self, bits: &mut [u64; 2]) {
        for (bits, word) in bits.iter_mut().zip(&self.0) {
            *bits |= word.load(Ordering::Relaxed);
        }
    }

    /// Everything that happened here.
    pub fn iter(&self) -> impl Iterator<Item = Mark> {
        let mut bits = [0; 2];
        self.union_into(&mut bits);
        Mark::all_in(bits)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_all_is_complete() {
        let names: BTreeSet<&str> = Mark::ALL.iter().map(|m| m.name()).collect();
        assert_eq!(names.len(), Mark::ALL.len());
        assert!(names.iter().all(|n| n.chars().all(|c| c.is_ascii_lowercase() || c == '-')));
        assert!(Mark::ALL.iter().enumerate().all(|(at, m)| at == usize::from(*m as u8)), "a bit each");
        assert!((55..=128).contains(&Mark::ALL.len()), "two words hold them");
    }

    #[test]
    fn a_set_holds_what_was_hit_and_unites() {
        let (a, b) = (Marks::default(), Marks::default());
        a.hit(Mark::FrameShort);
        a.hit(Mark::FrameShort);
        b.hit(Mark::ArenaCompacted);
        assert!(a.has(Mark::FrameShort) && !a.has(Mark::ArenaCompacted));
        let mut bits = [0; 2];
        a.union_into(&mut bits);
        b.union_into(&mut bits);
        assert_eq!(Mark::all_in(bits).collect::<Vec<_>>(), [Mark::FrameShort, Mark::ArenaCompacted]);
        assert_eq!(a.iter().count(), 1);
    }
}
