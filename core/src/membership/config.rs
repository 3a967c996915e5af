//! The detector's knobs, each with its formula and what turning it does.

/// How members are watched. The defaults are for one data centre; [`Config::wan`] is for several.
///
/// With N members, local health H (0 when all is well) and a loss of `p` per packet:
/// mean time to the first suspicion ≈ `probe_interval_ms` + `probe_timeout_ms`; dead at all ≈ that + the window of
/// suspicion; bytes per node and second ≈ 26 · 1000 / `probe_interval_ms`, whatever N is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Time between two probes of a node (ms). Each member is probed by somebody about once in this time, whatever
    /// N is, so that the mean time to the first probe of a dead one is this. Halving it doubles the bytes.
    pub probe_interval_ms: u64,
    /// How long a whole probe may take: direct, repeated, indirect and over a stream (ms). The effective time is
    /// `max(probe_timeout_ms, 4 · direct)` · (1 + H), where direct = `srtt + 4 · rttvar`, so that slow lines get more.
    /// Longer lets a stream resend more often, which at 30 % loss is what keeps suspicion rare.
    pub probe_timeout_ms: u64,
    /// The first answer is waited for this long at least (ms), however fast the line is: scheduling takes time too.
    pub direct_min_ms: u64,
    /// Members asked to probe on one's behalf when the direct probe has no answer. The chance that all of them fail
    /// falls as (1 - (1-p)⁴)ᵏ; each costs two small packets, and only then.
    pub indirect: usize,
    /// The shortest window of suspicion is `suspicion_mult · probe_interval_ms · max(1, log10 N)`: time for a
    /// refutation to reach everyone. Longer makes false deaths rarer and true ones later.
    pub suspicion_mult: u64,
    /// The longest window is the shortest times this. One accuser waits this long; each further one shortens it,
    /// by `max - (max - min) · ln(accusers) / ln(confirmations + 1)` (Lifeguard, §IV-B).
    pub suspicion_max_mult: u64,
    /// Accusers beyond the first that shorten the window to its minimum. Never more than there are others.
    pub confirmations: usize,
    /// Members told of news at once by each who learns of it. The rest hears it from what rides on probes.
    pub fanout: usize,
    /// News rides on `retransmit_mult · ⌈log2(N + 1)⌉` packets of each node that knows it.
    pub retransmit_mult: u32,
    /// Greatest local health penalty H: a node that cannot trust itself waits (1 + H) times as long (Lifeguard, §IV-A).
    pub health_max: u32,
    /// Time between two probes of members believed dead (ms): how soon one side of a split notices its end.
    pub dead_probe_ms: u64,
    /// How long a dead member is remembered and probed (ms) once the board has forgotten it.
    pub dead_keep_ms: u64,
    /// Each death adds one to a member's penalty, which halves in this time (ms).
    pub flap_half_life_ms: u64,
    /// From this penalty (in thousandths of a death) on a member counts as flapping, and no more below a third of it:
    /// others are preferred as sources until it has calmed down.
    pub flap_limit_milli: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            probe_interval_ms: 250,
            probe_timeout_ms: 400,
            direct_min_ms: 40,
            indirect: 3,
            suspicion_mult: 4,
            suspicion_max_mult: 4,
            confirmations: 3,
            fanout: 3,
            retransmit_mult: 3,
            health_max: 8,
            dead_probe_ms: 1_000,
            dead_keep_ms: 3_600_000,
            flap_half_life_ms: 60_000,
            flap_limit_milli: 3_000,
        }
    }
}

impl Config {
    /// For members in several data centres: three times slower, a third of the bytes.
    pub fn wan() -> Self {
        Self { probe_interval_ms: 1_000, probe_timeout_ms: 1_500, direct_min_ms: 150, ..Self::default() }
    }

    /// Checks that the settings make sense together.
    ///
    /// # Errors
    /// A sentence naming the setting, its value and the rule it breaks.
    pub fn validate(&self) -> Result<(), String> {
        if !(50..=60_000).contains(&self.probe_interval_ms) {
            return Err(format!("probe_interval_ms = {}: must be 50 to 60,000", self.probe_interval_ms));
        }
        if !(2 * self.direct_min_ms..=60_000).contains(&self.probe_timeout_ms) {
            return Err(format!(
                "probe_timeout_ms = {}: must be 2 x direct_min_ms ({}) to 60,000",
                self.probe_timeout_ms, self.direct_min_ms
            ));
        }
        for (name, value) in
            [("suspicion_mult", self.suspicion_mult), ("suspicion_max_mult", self.suspicion_max_mult)]
        {
            if !(1..=100).contains(&value) {
                return Err(format!("{name} = {value}: must be 1 to 100"));
            }
        }
        Ok(())
    }

    /// The soonest a member that fell silent can be declared dead (ms): a whole probe and the shortest window. Under
    /// loss a probe may have begun before; then a living one could die as well.
    pub fn earliest_death_ms(&self) -> u64 {
        self.probe_timeout_ms + self.suspicion_mult * self.probe_interval_ms
    }

    /// How many packets of one node a piece of news rides on.
    pub(super) fn transmissions(&self, members: usize) -> u32 {
        self.retransmit_mult * (members + 1).next_power_of_two().ilog2().max(1)
    }
}
