//! Seeded bugs: each breaks one rule of the core on purpose, where the rule is.
//!
//! They prove that the tests would see such a bug. They exist only under `--cfg sessionmesh_mutants`: a cfg and not a
//! feature, so that no dependency can switch them on and nothing of them is in what is shipped. The rule itself reads
//! `rule || mutant!(Name) && ...`; without the cfg the macro is the word `false`.

use std::sync::atomic::{AtomicU32, Ordering};

/// In every binary that holds these bugs, and in no other.
pub const MARKER: &str = "sessionmesh-mutants-compiled-in";

#[used]
static KEPT: &str = MARKER;

/// The bug that is switched on: its place in [`Mutant::ALL`] plus one, 0 for none.
static SELECTED: AtomicU32 = AtomicU32::new(0);

macro_rules! mutants {
    ($($variant:ident = $name:literal, $about:literal;)+) => {
        /// A rule broken on purpose. A section in parentheses is one of `docs/ALGORITHM.md`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Mutant {
            $(#[doc = $about] $variant,)+
        }

        impl Mutant {
            /// All of them.
            pub const ALL: &'static [Mutant] = &[$(Mutant::$variant,)+];

            /// The name reports use.
            pub fn name(self) -> &'static str {
                match self {
                    $(Mutant::$variant => $name,)+
                }
            }

            /// What is broken, in one sentence.
            pub fn about(self) -> &'static str {
                match self {
                    $(Mutant::$variant => $about,)+
                }
            }
        }
    };
}

mutants! {
    // Joining.
    RefusalIsSilence = "refusal-is-silence",
        "A joiner whom every seed refuses takes itself for alone and serves.";
    // Membership.
    LowerIncarnationAccepted = "lower-incarnation-accepted",
        "A suspicion of an incarnation that was refuted long ago counts.";
    AccuserCountedTwice = "accuser-counted-twice",
        "An accuser that repeats itself shortens the window again.";
    RefutationIgnored = "refutation-ignored",
        "A suspected member does not raise its incarnation, so that the dead stay dead for ever.";
    EvidenceIgnored = "evidence-ignored",
        "What a suspect produces does not clear it: one witness is enough for a death.";
    OldEvidenceClears = "old-evidence-clears",
        "News of a member counts as new however old it is, so that the dead linger (docs/MEMBERSHIP.md#the-two-witnesses).";
    OwnCheckSpared = "own-check-spared",
        "A member dies by what others say, without a probe of one's own.";
    ObserverRaisesIncarnation = "observer-raises-incarnation",
        "A node that hears a suspicion raises the incarnation of the suspect, which only the suspect may.";
    DeadRevivedUnrefuted = "dead-revived-unrefuted",
        "A packet of a dead member's revives it though it has refuted nothing.";
    LeftRevived = "left-revived",
        "A member that said goodbye comes back under the same origin.";
    SelfSuspected = "self-suspected",
        "A node believes what is said of itself.";
    StallNotForgiven = "stall-not-forgiven",
        "A process that stood still takes the silence of that time for everybody's death.";
    SlowForEver = "slow-for-ever",
        "Quick answers of a member that was slow end its long timeouts by a sample's weight only.";
    LagIgnored = "lag-ignored",
        "A node whose inputs wait for seconds judges by what it has read as if it had read everything.";
    // Clocks and versions.
    WallClockStamps = "wall-clock-stamps",
        "Stamps are the bare wall clock, so a later write may lose to an earlier one (§4).";
    RemoteStampsUnseen = "remote-stamps-unseen",
        "The hybrid clock is not advanced past what is received, so stamps do not follow causes (§4).";
    EntryDriftUnchecked = "entry-drift-unchecked",
        "Entries from far ahead of the wall clock are taken (§7).";
    MessageSkewUnchecked = "message-skew-unchecked",
        "Peers whose clock is beyond the drift bound exchange data all the same (§7).";
    HighWaterIgnored = "high-water-ignored",
        "An operation may use a wall time before one already used in its partition (§7).";
    // The join.
    TieKeepsHeld = "tie-keeps-held",
        "Of two writes with equal stamps the one already here wins, whatever its origin: the join does not commute.";
    EqualVersionKeepsHeld = "equal-version-keeps-held",
        "Of two contents of one version the one already here wins, instead of the larger bytes.";
    TouchLastArrives = "touch-last-arrives",
        "Touches and high-water marks take what arrives last instead of the maximum.";
    CapsRefuseTheSame = "caps-refuse-the-same",
        "A record above a cap refuses edits that make it no larger.";
    CodecBoundBelowUnion = "codec-bound-below-union",
        "A reader accepts no more fields than one side may set, fewer than a merge can make.";
    SmallerBirthWins = "smaller-birth-wins",
        "Of two births of one id the smaller version wins (§5).";
    LongerTtlWins = "longer-ttl-wins",
        "A ttl register keeps the longest value, so a shortened ttl is ignored.";
    RemovalForgotten = "removal-forgotten",
        "A removed field is dropped instead of kept, so a late set brings it back.";
    LaterWriteBeatsDestroy = "later-write-beats-destroy",
        "A live state with a later stamp survives a destroy: dead is not the top (§2).";
    ConflictSwapped = "conflict-swapped",
        "A conflict is told with the kept and the lost value exchanged.";
    ConflictUnlabelled = "conflict-unlabelled",
        "A concurrent overwrite is never told as a conflict (§2).";
    ContextByCounter = "context-by-counter",
        "What does not fit into a context is what has the smaller counter, instead of what was replaced longest ago.";
    CutContextIgnored = "cut-context-ignored",
        "Whom a full context does not name its writer had not seen, instead of nobody knowing.";
    OldWireSawNothing = "old-wire-saw-nothing",
        "Whoever writes over wire version 1, which tells no contexts, had seen nothing.";
    BeatenToldAgain = "beaten-told-again",
        "A write that came in and lost is not covered, so that it is told once more whenever it comes.";
    DigestByOwnClock = "digest-by-own-clock",
        "The two sides of a round judge by two clocks which origins are about to be forgotten.";
    // Admission.
    UnknownTombstoneDropped = "unknown-tombstone-dropped",
        "A tombstone for a session that is not here is not stored.";
    LiveReplacesTombstone = "live-replaces-tombstone",
        "Admission does not look whether a session is dead here: a whole live entry replaces its tombstone.";
    PartTakenForApplied = "part-taken-for-applied",
        "A part of an unknown session passes for applied: its whole record is never asked for (§4).";
    PushAdoptedDespiteBlock = "push-adopted-despite-block",
        "A push's claim is adopted although one of its entries could not be applied.";
    StaleAnswersAdopt = "stale-answers-adopt",
        "An answer to a request that is no longer current adopts its claims (§4).";
    PagesAdoptSingly = "pages-adopt-singly",
        "The claims of each page are adopted at once instead of at the end of the round (§4).";
    ReadThroughClaims = "read-through-claims",
        "An answer to an ask covers everything its writers wrote up to its dots (§10).";
    // Coverage and index.
    CoverageAsMaximum = "coverage-as-maximum",
        "Coverage is a maximum for each origin: gaps count as held.";
    HashOfMaxima = "hash-of-maxima",
        "The coverage hash sees the greatest counter of an origin and no gap below it.";
    OwnWriteUncovered = "own-write-uncovered",
        "A local write does not extend the coverage of its own origin.";
    HeldDotUncovered = "held-dot-uncovered",
        "A dot in the index counts as covered only once it is claimed: a page may then claim what it superseded (§4).";
    SupersededStaysIndexed = "superseded-stays-indexed",
        "A dot stays in the index after nothing carries it any more (§3).";
    CarriedLeavesIndex = "carried-leaves-index",
        "A dot that a changed session still carries leaves the index (§3).";
    GapsReportedAdopted = "gaps-reported-adopted",
        "What a node reports to have adopted of a peer reaches over gaps (§10).";
    // Pushes.
    PushClaimsFromOne = "push-claims-from-one",
        "A push claims the writer's counters from the first, not from the last push.";
    PushWithoutSuperseding = "push-without-superseding",
        "A push leaves out another writer's components that superseded what it claims (§4).";
    PushPastCut = "push-past-cut",
        "A push that ran out of budget claims to its writer's last counter, and the cursor moves past the cut.";
    LatePushBlocks = "late-push-blocks",
        "A push without an acknowledgement blocks all later ones for ever (§10).";
    AckHidesRefusals = "ack-hides-refusals",
        "An acknowledgement names no refused partitions: a copy is counted before it is one (§10).";
    UpLinkWithoutRound = "up-link-without-round",
        "A new link asks for no round: what the old one lost waits for the next interval.";
    // Pages and rounds.
    CutPageClaimsAll = "cut-page-claims-all",
        "A page that ran out of budget claims what it did not ship, and calls itself complete.";
    PageSkipsKnownBirth = "page-skips-known-birth",
        "A page leaves out sessions whose birth the requester has, but claims their dots.";
    EqualGivesNoFreshness = "equal-gives-no-freshness",
        "An equal answer does not count as a complete round for freshness (§4).";
    EqualCountsLaterWrites = "equal-counts-later-writes",
        "An equal answer also vouches for writes made after the digest (§10).";
    FreshnessWithoutRound = "freshness-without-round",
        "Freshness is raised by every answer, complete or not (§4).";
    LinkedPeerNotEntered = "linked-peer-not-entered",
        "A peer does not enter the freshness vector before it is sent anything: stability is vacuous about it (§6).";
    AuditOverlooksValues = "audit-overlooks-values",
        "Audit sums see versions and not values.";
    LostSourceForgotten = "lost-source-forgotten",
        "A joiner that has lost the member it learnt from founds a mesh with what it has, and calls itself ready.";
    ApartTakenForSame = "apart-taken-for-same",
        "What could not be compared counts as verified, so that a joiner of a busy mesh verifies nothing.";
    AuditNeverRefetches = "audit-never-refetches",
        "A difference an audit finds is told and not refetched.";
    // Principals.
    RevocationIgnoresConcurrent = "revocation-ignores-concurrent",
        "A revocation ends what the node holds that makes it, and no login that is concurrent with it.";
    RevocationEndsSeen = "revocation-ends-seen",
        "A revocation ends logins that had seen it too.";
    RevocationForgetsSeen = "revocation-forgets-seen",
        "A revocation does not name those it has seen, so that a login after it falls to one that comes later.";
    // What time ends.
    TombstonesCollectedEarly = "tombstones-collected-early",
        "A tombstone goes a minute after its destroy, not after the session's last possible moment (§5).";
    TombstoneWithoutMargin = "tombstone-without-margin",
        "A tombstone goes at its hard deadline, without the margin for clocks that differ (§7).";
    BlindDestroyBrief = "blind-destroy-brief",
        "A blind destroy lasts a minute instead of the longest life a session may have (§5).";
    ExpiryWrittenAsDelete = "expiry-written-as-delete",
        "A session that expires becomes a tombstone, so the other side's touch cannot bring it back (§6).";
    ReapedUnstable = "reaped-unstable",
        "An expired payload goes after its grace, whoever may hold a newer touch (§6).";
    StableByCurrentTtl = "stable-by-current-ttl",
        "Stability looks at the current ttl instead of the highest ever merged (§6).";
    VisibleByHighestTtl = "visible-by-highest-ttl",
        "Visibility looks at the highest ttl ever merged, so a shortened one ends nothing (§6).";
    RevivedReapedAtOnce = "revived-reaped-at-once",
        "A revived session may be reaped before every member was asked for it (§6).";
    MissingForgottenByTime = "missing-forgotten-by-time",
        "A member that is out of reach is missing no more after a while (§8).";
    OwnEndUnheard = "own-end-unheard",
        "A node that hears its own life called over goes on under it (§6).";
    RevivedByForceOnly = "revived-by-force-only",
        "What was reaped and comes back is not asked for from the others (§6).";
    RevivedWaitsForEver = "revived-waits-for-ever",
        "A revived session waits for a missing member without a bound.";
    RevivedMissingBarJoiners = "revived-missing-bar-joiners",
        "A partition is no source for joiners while a revived session waits for somebody out of reach.";
    ExpiryWaitUnbounded = "expiry-wait-unbounded",
        "An expired session waits to its hard deadline for a member that is not heard of (§6).";
    StubsDropped = "stubs-dropped",
        "Nothing stays of a session that was reaped without a member's word (§6).";
    RevivedServedToJoiners = "revived-served-to-joiners",
        "A partition with a revived session passes for a source for joiners (§6).";
    LiveOriginPruned = "live-origin-pruned",
        "An origin that was only heard of in entries is forgotten while its dots are live (§6).";
    GoneMarkRemoved = "gone-mark-removed",
        "A life that will not return is removed from the freshness vector instead of marked, and comes back (§6).";
    EditsNeverTouch = "edits-never-touch",
        "An edit does not extend the session's life.";
    UnchangedSaveWrites = "unchanged-save-writes",
        "An adapter's save writes fields that have not changed (§10).";
    // Lives, fences, joining.
    ReapGoesOnAfterJump = "reap-goes-on-after-jump",
        "What the machine's wall clock says is over is reaped, whatever others say (§7).";
    EveryStepFollowed = "every-step-followed",
        "A step of the wall clock is believed at once, as if peers had confirmed it (§7).";
    RawClockStamps = "raw-clock-stamps",
        "Writes and reads go by the machine's wall clock while it is in doubt (§7).";
    DoubtersVote = "doubters-vote",
        "A peer that doubts its own clock has a vote about others' (§7).";
    DoubtHasNoEnd = "doubt-has-no-end",
        "A clock in doubt stays so until a peer speaks: a mesh suspended as a whole never wakes (§7).";
    FarStampsGoOn = "far-stamps-go-on",
        "A node that once wrote in the far future stamps there for as long as its clock was ahead (§7).";
    CoverageForgottenAtNewLife = "coverage-forgotten-at-new-life",
        "A new life forgets its coverage, so that nobody is sent what only this node holds (§7).";
    CloneKeepsOrigin = "clone-keeps-origin",
        "A node that must begin a new life goes on under its old origin (§8).";
    LivesByGeneration = "lives-by-generation",
        "A life of a name ends those with lower generations as soon as it seems alive (§8).";
    FenceNeverCloses = "fence-never-closes",
        "A process that was frozen trusts what it remembers.";
    FenceOpensAtOnce = "fence-opens-at-once",
        "A fence opens without a round.";
    SetClockHidesSuspend = "set-clock-hides-suspend",
        "A suspend is noticed only if the wall clock is ahead afterwards of where it was and of what is believed (§8).";
    ThawedJoinerServes = "thawed-joiner-serves",
        "A joiner that stood still shows and edits what it held before (§8).";
    ReadyAtFirstLink = "ready-at-first-link",
        "A joiner is ready as soon as it has a link, before any round.";
    JoinerRefusesTheFuture = "joiner-refuses-the-future",
        "A joiner of a mesh that was ahead as a whole takes nothing from there until its time has come (§7).";
    FutureHidesTheRest = "future-hides-the-rest",
        "One entry from too far ahead keeps out what stands behind it in its page, log-outs too (§7).";
    VerifiesTheFuture = "verifies-the-future",
        "A joiner waits until others take what it wrote in the future before it is ready.";
    JoinUnverified = "join-unverified",
        "A joiner is ready without verifying what it adopted.";
    JoinerTrustsJoiners = "joiner-trusts-joiners",
        "A joiner counts a round with another joiner as one with a member that has everything.";
    // Sessions behind a cookie: no simulated scenario reaches them, the random browsers of tests/web/web_mutants.rs do.
    // Most are what rotation by a second record once did wrong (§14).
    WebLogoutSparesFamily = "web-logout-spares-family",
        "A logout leaves the other half of a double-clicked log-in.";
    WebLoginCarriesNothing = "web-login-carries-nothing",
        "What is written beside a log-in, before its answer, stays with the old session.";
    WebRotationCopies = "web-rotation-copies",
        "A rotation makes a second record.";
    WebLateAnswerSetsCookie = "web-late-answer-sets-cookie",
        "An answer that was slow puts the old cookie back.";
    WebLateTakesCookie = "web-late-takes-cookie",
        "A request with a cookie of before takes the new one away.";
    WebLogoutStopsAtMoved = "web-logout-stops-at-moved",
        "A logout does not follow to what a session went on as.";
    WebLogoutKnownOnly = "web-logout-known-only",
        "A logout ends only what this node has.";
    WebLogoutNeedsGoodKey = "web-logout-needs-good-key",
        "A logout with a cookie whose key has ended ends nothing.";
    WebLogoutSparesAncestors = "web-logout-spares-ancestors",
        "After a logout the sessions before the log-in go on.";
    WebExpiryLengthensKeys = "web-expiry-lengthens-keys",
        "A longer expiry lengthens the keys that have been replaced.";
    WebMovedAreListed = "web-moved-are-listed",
        "A session that a log-in went on from is listed beside the new one.";
    WebReservedCounts = "web-reserved-counts",
        "What the mesh keeps in a session counts against the application's bytes.";
    WebLoginChangesEnd = "web-login-changes-end",
        "A log-in gives the layer's expiry, whatever the session had.";
}

impl Mutant {
    /// Whether it is one that only requests with cookies can reach.
    pub fn is_web(self) -> bool {
        self.name().starts_with("web-")
    }
}

/// Switches one bug on, or all off.
pub fn select(mutant: Option<Mutant>) {
    let at = mutant.map_or(0, |mutant| mutant as u32 + 1);
    SELECTED.store(at, Ordering::Relaxed);
}

/// Whether this bug is on.
#[inline]
pub fn on(mutant: Mutant) -> bool {
    SELECTED.load(Ordering::Relaxed) == mutant as u32 + 1
}
