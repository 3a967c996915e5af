//! Every bound of the core, in one place, each with its reason. Those of sockets, HTTP and the dashboard are in `limits`
//! modules of their own.
//!
//! The ones that honest peers must agree on are part of [`Limits::config_hash`], exchanged in the handshake:
//! an entry that one member finds permanently inadmissible would park another's coverage for ever.

use xxhash_rust::xxh3::xxh3_64;

/// Session keys: long enough for `sessionAttr:com.example.VeryLongClassName`, short enough for a one-byte length.
pub const MAX_KEY_BYTES: usize = 255;
/// A principal: a user's id, e-mail address or distinguished name.
pub const MAX_PRINCIPAL_BYTES: usize = 255;
/// Sessions that a log-in remembers to have come from: a logout ends them too. Who logs in again more often than this
/// without a logout leaves records behind that went on as others, which nobody is logged in with.
pub const MAX_ANCESTORS: usize = 8;
/// Log-ins that are made from one session, which names them all: two or three by double clicks. One more begins a
/// session of its own.
pub const MAX_SUCCESSORS: usize = 32;
/// Names of keys and of their ends in one record, ended ones too, at about 60 bytes a rotation: a session that is
/// rotated every hour for the thirty days that it may live takes 1,440. A rotation beyond is refused, a log-in begins
/// anew.
pub const MAX_KEY_MARKS: usize = 2_048;
/// Node lives whose revocations of one principal a login remembers to have seen, at 36 bytes each. Those of the last
/// `max_lifetime_ms` count, so that it takes hundreds of nodes or restarts to fill it. Forgetting one that is held
/// elsewhere may end a login too many.
pub const MAX_SEEN_REVOCATIONS: usize = 256;
/// Sessions a node ends in one step because of a revocation that came in; the others follow with the next input.
/// At 5 µs each a step takes 20 ms at most.
pub const MAX_ENDED_PER_STEP: usize = 4_096;
/// Ranges of counters remembered per origin and partition; the shortest are forgotten beyond. A node that is in the
/// middle of taking in a partition has one for each dot it holds, so that this is about the sessions of a partition
/// at 1 M in 256. Forgetting some costs retransmission; held dots of a writer that died in that moment and that nobody
/// else covers are then not passed on (`docs/ALGORITHM.md` §4).
pub const MAX_RANGES: usize = 4_096;
/// One claim never spans more counters than this: about 35 years of 1,000 writes per second.
pub const MAX_CLAIM_SPAN: u64 = 1 << 40;
/// Entries of conflict context kept per op. They only label overwrites, so a cut costs a label.
pub const MAX_CONTEXT: usize = 8;
/// Refused handshakes a node tells of, besides its own dials: as many strangers as an operator will ever read about.
pub const MAX_REFUSALS_TOLD: usize = 64;
/// How long a refusal stands that is not told again (ms): a refused dial is tried again within two seconds, and whoever
/// dials in vain is told of every ten.
pub const REFUSAL_STANDS_MS: u64 = 30_000;
/// For how long after the last refusal of a dial a joiner does not take itself for alone (ms), at least: several more
/// dials fit in, so that one that is lost on its way changes nothing.
pub const REFUSED_HOLD_MS: u64 = 10_000;
/// Own recent ops remembered per partition for pushes; a peer further behind is served by anti-entropy.
pub const RECENT_OPS: usize = 256;
/// Conflict events handed out per page; more are counted only.
pub const MAX_CONFLICT_EVENTS: usize = 64;
/// Claims whose teacher is remembered per partition, for naming a peer that claimed what it did not send.
pub const MAX_TAUGHT: usize = 64;
/// Sessions whose copy a node may be forced to ask for again in one request.
pub const MAX_FORCED: usize = 1_024;
/// Unknown ids a node asks its peers about per second. A stranger with random cookies must not make every
/// request a broadcast; beyond this a miss is answered from here.
pub const MAX_ASKS_PER_SECOND: u64 = 2_000;
/// How long an adapter's answer waits for the slowest linked member once a second one holds the write (ms). On a
/// healthy mesh all have it within a millisecond, so that the next request reads it wherever it lands; a member
/// that is dead and not yet noticed costs this much.
pub const ALL_COPIES_GRACE_MS: u64 = 10;
/// A member that let one such wait pass is not waited for again for this long (ms): a slow line would cost every write
/// of the mesh the whole grace. Short, so that one that has recovered is waited for soon; it costs one grace each time.
pub const SLOW_MEMBER_MS: u64 = 1_000;
/// Partitions asked for at once in a round; with [`Limits::page_bytes`] this bounds the bytes in flight.
pub const ROUND_WINDOW: usize = 4;
/// Bytes of pages that one request makes: as many as may wait for one peer. What is beyond would be dropped.
pub const MAX_SERVED_BYTES: usize = 8 << 20;
/// A peer whose queue of pages is full is sent none for this long (ms): an honest one asks again after
/// [`Limits::round_timeout_ms`], and has at most [`ROUND_WINDOW`] pages under way.
pub const FULL_PAUSE_MS: u64 = 250;
/// Pages of one partition, one after the other, that bring nothing before the round is given up: more than the claims
/// of [`MAX_BARE_ORIGINS`] take. A peer must not keep the one round that is under way for ever.
pub const MAX_IDLE_PAGES: u32 = 64;
/// Partitions refetched from one peer because an audit differs: not more often than this (ms). A peer that makes up
/// differences must not keep a node refetching.
pub const REFETCH_PAUSE_MS: u64 = 500;
/// Lives known in one partition of which nothing is held, only a claim (150 bytes each): an honest mesh has tens of
/// thousands of lives in thirty days, and whatever one wrote last is held. What is beyond is not entered, which costs
/// rounds that find a difference, and no session.
pub const MAX_BARE_ORIGINS: usize = 32_768;
/// The same, of all partitions: 160 MB. It is 4,096 lives in 30 days that wrote everywhere and of which nothing is
/// left.
pub const MAX_BARE_TOTAL: u64 = 1 << 20;
/// Ranges of coverage in one partition beyond one for each dot that is held (16 bytes each). Honest gaps close with the
/// round; what a peer makes up is forgotten beyond this.
pub const MAX_SPARE_RANGES: usize = 65_536;
/// Peers of whom an unfinished round's claims are kept in a partition: a node has one round under way.
pub const MAX_PENDING_PEERS: usize = 8;
/// Members that are neither over nor linked, told of by peers: as many as a detector keeps. Four times the board's
/// ceiling.
pub const MAX_TOLD_MEMBERS: usize = 2_048;
/// Marks of lives that are over, told of by peers: 500 a day for the thirty days that each is kept. Whose mark finds no
/// room is not known here, or known and marked: it is waited for by nobody either way.
pub const MAX_GONE_MARKS: usize = 16_384;
/// A node whose own writes a peer claims to know better begins a new life at most this often (ms): a clone of it is met
/// once, and a peer that lies must not make it do nothing else. What else is claimed so is left out.
pub const MIN_IMPOSTOR_LIFE_MS: u64 = 600_000;
/// No counter is greater: 146 million years of 1,000 writes per second. Keeps arithmetic on claims from overflowing.
pub const MAX_COUNTER: u64 = 1 << 62;
/// Members a detector keeps, the dead and the gone among them: four times the board's ceiling, so that a mesh told of
/// by other means fits too. Each takes about 300 bytes.
pub const MAX_MEMBERS: usize = 2_048;
/// Forgotten lives a node goes on telling of: each is an operator's decision, and takes 33 bytes of a value on the
/// board. The marks of others reach whoever does not have them by rounds.
pub const MAX_TOLD_FORGOTTEN: usize = 128;
/// A node whose life is called over without a word why waits this long (ms) for the board to show another process under
/// its name: ten gossip rounds, of which a newcomer needs up to seven. Until then it takes in nothing that says so.
pub const OWN_END_PROOF_MS: u64 = 10_000;
/// A node whose life is called over begins a new one at most this often (ms): each reconnects everything, and a peer
/// that lies must not make it do nothing else.
pub const MIN_FORGOTTEN_LIFE_MS: u64 = 10_000;
/// Largest packet of the detector (bytes): fits one datagram of any path that IPv6 allows.
pub const MAX_PACKET_BYTES: usize = 1_200;
/// Rumours in one packet: at about 50 bytes each they and the rest stay below [`MAX_PACKET_BYTES`].
pub const MAX_RUMOURS_PER_PACKET: usize = 16;
/// Rumours a node holds to pass on. A split of a thousand members makes half as many suspicions at once; what does not
/// fit was told to a few at once all the same, and stands on the board.
pub const MAX_RUMOURS: usize = 256;
/// Accusers of one member that are told apart: more than any window asks for.
pub const MAX_ACCUSERS: usize = 8;
/// Probes of one node under way at once: a split makes a node check many suspects. More wait.
pub const MAX_PROBES: usize = 128;
/// Pings on behalf of others under way at once; a request beyond goes unanswered, as if it were lost.
pub const MAX_RELAYS: usize = 128;
/// Members believed dead that are probed at once when one of them came back; the others follow half a second later.
pub const MAX_DEAD_BURST: usize = 128;
/// Suspicions one node writes on the board: at about 50 bytes each they fit a value of 8 KiB.
pub const MAX_PUBLISHED_SUSPECTS: usize = 64;
/// No incarnation is greater: a member that had to refute a thousand times a second would take 24 days.
pub const MAX_INCARNATION: u32 = 1 << 31;
/// An incarnation that others tell of a member is believed up to this far beyond the one known: only the member raises
/// it, when it refutes, so that a greater step is a lie. What it says itself in answer to us counts, whatever others
/// told.
pub const MAX_TOLD_STEP: u32 = 1_024;
/// A node that is accused under a greater incarnation than its own goes beyond it in one step up to this, and by one
/// otherwise: nobody else can know a greater one, and a liar must not use them up.
pub const MAX_OWN_STEP: u32 = 16;
/// That somebody has left is asked of it itself, if another tells: at most this often (ms).
pub const FAREWELL_PAUSE_MS: u64 = 10_000;
/// No beat is greater (ms): 8,900 years of one process. Keeps arithmetic on beats from overflowing.
pub const MAX_BEAT_MS: u64 = 1 << 48;
/// Sides of a partition that may fill one record to its caps, each with other fields, and nothing is lost: a mesh of so
/// many nodes, every one of them cut off from all others.
pub const MAX_SIDES: usize = 256;
/// What a field takes in a record beyond its key and value: a head, and an op of its own with a full context.
pub const FIELD_BYTES: usize = 160;
/// What a record holds besides the application's fields: a log-in with all it may have seen, and a head.
pub const RECORD_HEAD_BYTES: usize = 16 * 1024;
/// Most partitions that can be set, and so the most that one message may name.
pub const MOST_PARTITIONS: usize = 4_096;
/// Largest `max_record_bytes` and `page_bytes` that can be set: a frame is read, merged and sent in one piece, and what the
/// others wait for meanwhile is their writes and their probes. With 60 MiB living members were suspected.
pub const MOST_RECORD_BYTES: usize = 16 << 20;
/// No record is larger than this, whatever the settings (bytes): twice that on the wire still has a length of 32 bits.
pub const MAX_UNION_BYTES: usize = 1 << 30;
/// Counters in the coverage of one request; partitions beyond are asked for in a frame of their own.
pub const MAX_SYNC_NUMBERS: usize = 64 * 1024;
/// Nothing is taken in that is stamped further ahead than this (ms), whoever holds it: a clock may be set to another
/// year by mistake, and anything beyond is no clock. Keeps the hybrid clock from overflowing.
pub const MAX_AHEAD_MS: u64 = 366 * 86_400_000;
/// Peers whose clocks are remembered: who else speaks is not asked when ours is in doubt.
pub const MAX_CLOCKS_HEARD: usize = 1_024;
/// Peers and causes of which it is remembered that a warning was told.
pub const MAX_WARNED: usize = 1_024;
/// Warnings about peers told in ten seconds, whatever their number: what a person can read. The rest is a number.
pub const MAX_WARNINGS: u32 = 64;
/// Rules of the wire that a peer may break, each time losing its link, before it is kept out: one may be a bug that a
/// restart cures, two a member of another version.
pub const BREAKS_BEFORE_KEPT_OUT: u32 = 3;
/// How long it is kept out at first (ms); twice as long each time after.
pub const KEPT_OUT_MS: u64 = 60_000;
/// No longer than this at once (ms): its operator may have mended it.
pub const MAX_KEPT_OUT_MS: u64 = 3_600_000;
/// What a peer did is remembered, and shown in health, for so long after it did so last (ms).
pub const FAULTS_STAND_MS: u64 = 600_000;
/// Generations are made from the start's wall time. One from further ahead of this node's clock than this (ms) is no
/// generation, neither in a handshake nor on the board: whoever claims it under this node's name must not win by it. A day,
/// since a machine's clock may have been wrong by hours when it started.
pub const MAX_GENERATION_AHEAD_MS: u64 = 24 * 3_600_000;
/// Peers of which that is remembered: more than an operator reads.
pub const MAX_FAULTY_PEERS: usize = 256;
/// Lines in the log about verdicts and links in one minute: a split of a mesh of the largest size makes 1,200.
pub const MAX_MEMBER_LINES: u32 = 2_000;
/// Of those, about one member: a death and a return every six seconds.
pub const MAX_ONE_MEMBERS_LINES: u32 = 20;
/// That minute (ms).
pub const LINES_WINDOW_MS: u64 = 60_000;
/// What one blind end, or one revocation of somebody who is logged in nowhere, is taken to cost for as long as it is
/// held (bytes): a record of 96 to 300, its slot, its place in two tables.
pub const BLIND_BYTES: u64 = 320;
/// Of `max_memory_bytes`, one part in so many is for blind ends and for revocations of principals who are logged in
/// nowhere: anybody can ask for them, and each is held for as long as a session may live. At a gibibyte 200,000 of
/// them.
pub const BLIND_SHARE: u64 = 16;
/// What a dot in the index takes (bytes), its share of the tree included.
pub const DOT_BYTES: u64 = 24;
/// What a known origin takes (bytes), beside its coverage.
pub const ORIGIN_BYTES: u64 = 176;
/// What a session's place in the index of principals takes (bytes).
pub const BINDING_BYTES: u64 = 40;
/// What a frame may hold beyond its largest record.
pub const FRAME_SLACK_BYTES: usize = 64 * 1024;
/// Smallest `fence_after_ms`: a healthy node looks around every 250 to 500 ms, and a shorter pause is no freeze.
pub const MIN_FENCE_MS: u64 = 750;

/// The settings of the data plane. Members must agree on those marked *cluster-wide*.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Number of partitions, a power of two, *cluster-wide*. More partitions lock finer and drill down
    /// sharper, but cost header bytes in pushes and a vector each: 256 suits up to 10 M sessions.
    pub partitions: u16,
    /// Longest life a session may ask for (ms), *cluster-wide*. Tombstones live as long as the session could
    /// have: memory for logouts grows in proportion.
    pub max_lifetime_ms: u64,
    /// How far honest clocks may be apart (ms) for expiry to be on time: ε of the proofs.
    pub skew_ms: u64,
    /// Clocks further apart than this (ms) do not exchange data, *cluster-wide*. At least 4 × `skew_ms`.
    pub max_drift_ms: u64,
    /// How long past its deadline an expired payload stays at least (ms), for late touches.
    pub grace_ms: u64,
    /// How long past its last possible deadline an expired session waits for a member that is not heard of (ms). Then
    /// its fields go; what they cost if that member returns is told in `docs/ALGORITHM.md` §6. Longer: more memory
    /// while somebody is missing. Shorter: a cut that outlasts it may bring back an older field of a session that goes
    /// on.
    pub expire_wait_ms: u64,
    /// A touch is written once it moves the deadline by ttl / this; before that it costs nothing. Greater: an idle
    /// session ends less early, and more touches are written.
    pub touch_share: u64,
    /// Mean time between anti-entropy rounds of a node (ms). Halving it halves repair time and doubles the
    /// idle traffic.
    pub sync_interval_ms: u64,
    /// A round in which nothing is heard for this long is given up (ms): a dead peer must not keep others waiting.
    pub round_timeout_ms: u64,
    /// A push without an acknowledgement for this long no longer blocks the next one (ms).
    pub push_timeout_ms: u64,
    /// Target size of one page of a round (bytes). Soft for a single large record.
    pub page_bytes: usize,
    /// Largest record that edits may make (bytes, keys and values together, and the keys of removed fields),
    /// *cluster-wide*.
    pub max_record_bytes: usize,
    /// Fields that edits may set in one session, *cluster-wide*. Removed ones do not count.
    pub max_fields: usize,
    /// What records and all that is kept of them may take (bytes). Near it writes are refused, in an order that
    /// protects log-outs and log-ins: [`Need`](super::replica::Need). Never evicts: evicting a session while claiming
    /// its dots would lose it for joiners.
    pub max_memory_bytes: u64,
    /// Beyond this (bytes) sessions that come in are not taken in either, and no coverage is adopted. Without a value
    /// of its own twice `max_memory_bytes`: two sides of a cut that are both full fit.
    pub hard_memory_bytes: u64,
    /// A gap between two beats longer than this (ms) means the process was frozen: it fences itself. No later than the
    /// others can have given it up ([`membership::Config::earliest_death_ms`](super::membership::Config)), or it would
    /// answer for sessions that were ended without it.
    pub fence_after_ms: u64,
    /// A fenced node that reaches nobody serves again after this (ms).
    pub fence_timeout_ms: u64,
    /// A node with seeds that reaches nobody declares itself ready after this (ms).
    pub solo_after_ms: u64,
    /// A joiner that has met a ready member and lost it waits this long (ms) for it to come back, before it serves
    /// without what only that member may hold.
    pub source_wait_ms: u64,
    /// Joiners that meet only other joiners wait this long (ms) for a member that holds data to appear.
    pub settle_ms: u64,
    /// Mean time between audits of one partition with one peer (ms).
    pub audit_interval_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            partitions: 256,
            max_lifetime_ms: 30 * 24 * 3_600_000,
            skew_ms: 5_000,
            max_drift_ms: 60_000,
            grace_ms: 15_000,
            expire_wait_ms: 3_600_000,
            touch_share: 16,
            sync_interval_ms: 1_000,
            round_timeout_ms: 2_000,
            push_timeout_ms: 2_000,
            page_bytes: 256 * 1024,
            max_record_bytes: 1024 * 1024,
            max_fields: 1_000,
            max_memory_bytes: u64::MAX,
            hard_memory_bytes: u64::MAX,
            fence_after_ms: 1_000,
            fence_timeout_ms: 10_000,
            solo_after_ms: 10_000,
            source_wait_ms: 60_000,
            settle_ms: 1_500,
            audit_interval_ms: 60_000,
        }
    }
}

impl Limits {
    /// Checks that the settings make sense together.
    ///
    /// # Errors
    /// A sentence naming the setting, its value and the rule it breaks.
    pub fn validate(&self) -> Result<(), String> {
        let rules = [
            (
                self.partitions.is_power_of_two() && usize::from(self.partitions) <= MOST_PARTITIONS,
                format!("partitions = {}: must be a power of two, at most 4096", self.partitions),
            ),
            (
                self.max_drift_ms >= 4 * self.skew_ms,
                format!(
                    "max_drift_ms = {}: must be at least 4 x skew_ms ({})",
                    self.max_drift_ms, self.skew_ms
                ),
            ),
            (
                (1024..=MOST_RECORD_BYTES).contains(&self.max_record_bytes),
                format!("max_record_bytes = {}: must be between 1 KiB and 16 MiB", self.max_record_bytes),
            ),
            (
                self.max_fields >= 1 && self.max_fields <= 10_000,
                format!("max_fields = {}: must be between 1 and 10,000", self.max_fields),
            ),
            (
                (1024..=MOST_RECORD_BYTES).contains(&self.page_bytes),
                format!("page_bytes = {}: must be between 1 KiB and 16 MiB", self.page_bytes),
            ),
            (
                self.sync_interval_ms >= 10,
                format!("sync_interval_ms = {}: must be at least 10", self.sync_interval_ms),
            ),
            (
                self.max_lifetime_ms >= 1_000 && self.max_lifetime_ms <= 400 * 24 * 3_600_000,
                format!("max_lifetime_ms = {}: must be between a second and 400 days", self.max_lifetime_ms),
            ),
            (
                self.expire_wait_ms >= 1_000 && self.expire_wait_ms <= 400 * 24 * 3_600_000,
                format!("expire_wait_ms = {}: must be between a second and 400 days", self.expire_wait_ms),
            ),
            (
                (2..=1_000).contains(&self.touch_share),
                format!("touch_share = {}: must be between 2 and 1000", self.touch_share),
            ),
            (
                self.fence_after_ms >= MIN_FENCE_MS,
                format!(
                    "fence_after_ms = {}: must be at least {MIN_FENCE_MS} (a healthy node beats every 250 to 500)",
                    self.fence_after_ms
                ),
            ),
        ];
        match rules.into_iter().find(|(ok, _)| !ok) {
            Some((_, why)) => Err(why),
            None => Ok(()),
        }
    }

    /// What may be held at all (bytes), if there is a bound.
    pub fn hard_memory(&self) -> u64 {
        match (self.hard_memory_bytes, self.max_memory_bytes) {
            (u64::MAX, u64::MAX) => u64::MAX,
            (u64::MAX, max) => max.saturating_mul(2),
            (hard, _) => hard,
        }
    }

    /// The largest record that a node holds (bytes). A merge takes all that its sides wrote, and each of them may have
    /// filled the record with other fields; beyond [`MAX_SIDES`] of them the session is ended by whoever meets that.
    pub fn max_union_bytes(&self) -> usize {
        let side = self.max_record_bytes + FIELD_BYTES * self.max_fields + RECORD_HEAD_BYTES;
        MAX_SIDES.saturating_mul(side).min(MAX_UNION_BYTES)
    }

    /// The largest frame that may arrive (bytes): one record and one page, and their headers. Whatever can be held can
    /// be sent: on the wire a record takes at most twice what it takes here. A frame is read piece by piece as it
    /// comes, so that the bound alone costs nothing.
    pub fn max_frame_bytes(&self) -> usize {
        2 * self.max_union_bytes() + self.page_bytes + FRAME_SLACK_BYTES
    }

    /// The cluster-wide settings as text, told in the handshake so that a difference can be named.
    pub fn cluster_wide(&self) -> String {
        format!(
            "v1 partitions={} max_lifetime_ms={} max_drift_ms={} max_record_bytes={} max_fields={}",
            self.partitions, self.max_lifetime_ms, self.max_drift_ms, self.max_record_bytes, self.max_fields
        )
    }

    /// A hash of the cluster-wide settings, compared in the handshake.
    pub fn config_hash(&self) -> u64 {
        xxh3_64(self.cluster_wide().as_bytes())
    }

    /// A wall clock that steps by more than this (ms) is not followed until it is confirmed: what honest clocks may be
    /// apart, since a step below that puts nothing further off than another node may be anyway.
    pub fn step_bound_ms(&self) -> u64 {
        self.skew_ms.max(1_000)
    }

    /// How long after an origin's last hard deadline its vector entry is dropped (ms, docs/ALGORITHM.md §6).
    pub fn prune_after_ms(&self) -> u64 {
        4 * self.max_drift_ms + self.grace_ms
    }
}

/// In which settings two nodes differ, by what [`Limits::cluster_wide`] says of each; empty if that cannot be told.
pub fn settings_that_differ(ours: &str, theirs: &str) -> String {
    let theirs: Vec<(&str, &str)> = theirs.split(' ').filter_map(|word| word.split_once('=')).collect();
    let differ = ours.split(' ').filter_map(|word| {
        let (name, here) = word.split_once('=')?;
        let there = theirs.iter().find(|(n, _)| *n == name)?.1;
        (here != there).then(|| format!("{name} is {here} here and {there} there"))
    });
    differ.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_named_with_both_values() {
        let ours = Limits::default();
        let theirs = Limits { max_fields: 7, partitions: 8, ..Limits::default() };
        assert_eq!(
            settings_that_differ(&ours.cluster_wide(), &theirs.cluster_wide()),
            "partitions is 256 here and 8 there, max_fields is 1000 here and 7 there"
        );
        assert_eq!(settings_that_differ(&ours.cluster_wide(), ""), "", "an older node does not tell");
    }

    #[test]
    fn defaults_are_valid_and_a_bad_one_is_named() {
        assert_eq!(Limits::default().validate(), Ok(()));
        let bad = Limits { partitions: 100, ..Limits::default() };
        assert!(bad.validate().unwrap_err().starts_with("partitions = 100"));
    }
}
