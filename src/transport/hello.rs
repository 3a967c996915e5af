//! The first words on a new connection, after TLS proved both sides members: who each is and what it speaks.
//!
//! The dialer opens the one bidirectional stream and says [`Hello`]; the acceptor answers with its own. Both
//! judge the other's by the same rules, so both can tell the operator why they do not link up. Which of two
//! links of one pair lives is then decided by one side alone, the one with the smaller origin ([`Settle`]).

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::limits::{MAX_HELLO_DEPTH, MAX_LIMITS_BYTES};
use super::{
    config::{MAX_NAME_BYTES, TransportConfig, canonical},
    error::RefusedReason,
};
use crate::core::causality::Origin;
use crate::core::limits::{MAX_GENERATION_AHEAD_MS, settings_that_differ};

/// Largest handshake message accepted, in bytes.
pub(super) const MAX_HELLO_BYTES: usize = 4 << 10;

/// First byte of every handshake message. It changes only if a Hello of today could not be understood.
const ENVELOPE: u8 = 1;

/// What a node says about itself. Encoded with field names: later versions may add fields, older ones skip them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) cluster: String,
    pub(super) node: String,
    pub(super) origin: Origin,
    pub(super) generation: u64,
    pub(super) advertise: SocketAddr,
    /// Lowest and highest wire version.
    pub(super) versions: (u16, u16),
    pub(super) config_hash: u64,
    pub(super) wall_ms: u64,
    /// Acceptor only: it holds a link to the dialer already.
    pub(super) linked: bool,
    /// What `config_hash` is the hash of; empty from nodes that do not tell.
    #[serde(default)]
    pub(super) limits: String,
    /// It has been ready once and is not leaving. `None`: of a version that does not say.
    #[serde(default)]
    pub(super) serving: Option<bool>,
    /// Acceptor only: where its link to another node of the dialer's name leads.
    #[serde(default)]
    pub(super) namesake: Option<SocketAddr>,
    /// It does not believe its own wall clock: no evidence about another's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) doubts: bool,
}

/// What follows the two Hellos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Settle {
    /// From a dialer with the larger origin: it accepts; does it hold another link to the acceptor already?
    Ready { linked: bool },
    /// From the side with the smaller origin: this connection is the pair's link from now on.
    Adopt,
}

/// The outcome of judging the other side's Hello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Accept {
        version: u16,
        wall_offset_ms: i64,
    },
    /// We dialled ourselves.
    Myself,
    /// Another process under this node's name is the rightful one.
    Clone,
    /// A member that serves has this newcomer's name.
    NameTaken,
    Refuse(RefusedReason),
}

impl Hello {
    pub(super) fn of(config: &TransportConfig, advertise: SocketAddr, serving: bool) -> Self {
        Self {
            cluster: config.cluster.clone(),
            node: config.node.clone(),
            origin: config.origin,
            generation: config.generation,
            advertise,
            versions: config.versions,
            config_hash: config.config_hash,
            wall_ms: (config.wall_ms)(),
            limits: config.limits.clone(),
            linked: false,
            serving: Some(serving),
            namesake: None,
            doubts: !(config.is_sound)(),
        }
    }

    /// Checks what the type does not: a peer's word is used as an address and in logs.
    fn checked(mut self) -> Result<Self, String> {
        self.advertise = canonical(self.advertise);
        if self.node.is_empty() || self.node.len() > MAX_NAME_BYTES {
            return Err(format!("node name of {} bytes", self.node.len()));
        }
        if self.node.chars().any(char::is_control) {
            return Err("control characters in the node name".into());
        }
        // Only told to an operator: what is not fit for that is left out.
        if self.limits.len() > MAX_LIMITS_BYTES || self.limits.chars().any(char::is_control) {
            self.limits.clear();
        }
        if self.advertise.ip().is_unspecified() || self.advertise.port() == 0 {
            return Err(format!("advertises {}, which cannot be dialled", self.advertise));
        }
        Ok(self)
    }
}

/// A handshake message as bytes: the envelope, then rmp-serde.
pub(super) fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, String> {
    let mut bytes = vec![ENVELOPE];
    rmp_serde::encode::write_named(&mut bytes, message).map_err(|err| err.to_string())?;
    Ok(bytes)
}

fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    match bytes.split_first() {
        Some((&ENVELOPE, body)) => {
            let mut reader = rmp_serde::Deserializer::from_read_ref(body);
            reader.set_max_depth(MAX_HELLO_DEPTH);
            T::deserialize(&mut reader).map_err(|err| format!("handshake message: {err}"))
        }
        Some((other, _)) => Err(format!("handshake envelope {other}, this version reads {ENVELOPE}")),
        None => Err("empty handshake message".into()),
    }
}

pub(super) fn decode_hello(bytes: &[u8]) -> Result<Hello, String> {
    decode::<Hello>(bytes)?.checked()
}

pub(super) fn decode_settle(bytes: &[u8]) -> Result<Settle, String> {
    decode(bytes)
}

/// Judges another process of our own name.
///
/// A member that serves stays, and the newcomer goes: it holds nothing yet. Of two newcomers the earlier one stays, or a
/// supervisor that starts the loser again would let it win, and each end the other in turn. Of two that serve, which only
/// a cut or a frozen process lets come about, the later one stays: it was started in the other's place. Earlier and later
/// are the generation, then the origin: no proof of anything, since generations come from clocks, but both sides read the
/// same.
fn judge_namesake(config: &TransportConfig, theirs: &Hello, serving: bool, now_ms: u64) -> Verdict {
    let is_possible = |generation: u64| generation >> 16 <= now_ms.saturating_add(MAX_GENERATION_AHEAD_MS);
    if !is_possible(theirs.generation) && is_possible(config.generation) {
        return Verdict::Refuse(RefusedReason::IdentityClash);
    }
    let is_later = (theirs.generation, theirs.origin) > (config.generation, config.origin);
    let they_stay = match (serving, theirs.serving) {
        (false, Some(true)) => return Verdict::NameTaken,
        (true, Some(false)) => return Verdict::Refuse(RefusedReason::NameTaken),
        (false, Some(false)) => !is_later,
        // A version that does not say goes by this.
        (true, Some(true)) | (_, None) => is_later,
    };
    if they_stay { Verdict::Clone } else { Verdict::Refuse(RefusedReason::IdentityClash) }
}

/// Judges `theirs`, sent about `one_way_ms` before our clock read `now_ms`, while we serve or do not.
pub(super) fn judge(
    config: &TransportConfig,
    theirs: &Hello,
    serving: bool,
    (now_ms, one_way_ms): (u64, u64),
) -> Verdict {
    if theirs.origin == config.origin {
        return Verdict::Myself;
    }
    if theirs.cluster != config.cluster {
        return Verdict::Refuse(RefusedReason::WrongCluster);
    }
    if theirs.node == config.node {
        return judge_namesake(config, theirs, serving, now_ms);
    }
    if (config.is_over)(theirs.origin) {
        return Verdict::Refuse(RefusedReason::LifeOver { ours: false });
    }
    let (ours, them) = (config.versions, theirs.versions);
    let version = ours.1.min(them.1);
    if them.0 > them.1 || version < ours.0.max(them.0) {
        return Verdict::Refuse(RefusedReason::NoCommonVersion { ours, theirs: them });
    }
    if theirs.config_hash != config.config_hash {
        let differ = settings_that_differ(&config.limits, &theirs.limits);
        return Verdict::Refuse(RefusedReason::ConfigMismatch { differ });
    }
    let offset = i128::from(theirs.wall_ms) + i128::from(one_way_ms) - i128::from(now_ms);
    let wall_offset_ms = offset.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
    if wall_offset_ms.unsigned_abs() > config.max_drift_ms {
        let max_ms = config.max_drift_ms;
        return Verdict::Refuse(RefusedReason::ClockSkew { offset_ms: wall_offset_ms, max_ms });
    }
    Verdict::Accept { version, wall_offset_ms }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Identity;

    fn config(node: &str, origin: u128, generation: u64) -> TransportConfig {
        let bind = SocketAddr::from(([127, 0, 0, 1], 7946));
        let mut config = TransportConfig::new("shop", node, Origin(origin), bind, Identity::Insecure);
        config.generation = generation;
        config.max_drift_ms = 500;
        config
    }

    fn hello(config: &TransportConfig, wall_ms: u64) -> Hello {
        Hello { wall_ms, ..Hello::of(config, config.bind, false) }
    }

    #[test]
    fn verdicts() {
        let me = config("a", 10, 5);
        let b = hello(&config("b", 20, 1), 1_000);
        let judged = |theirs: &Hello| judge(&me, theirs, false, (1_000, 0));
        let refused = |theirs: Hello| match judged(&theirs) {
            Verdict::Refuse(reason) => reason.word(),
            other => panic!("{other:?}"),
        };
        assert_eq!(judged(&b), Verdict::Accept { version: 1, wall_offset_ms: 0 });
        assert_eq!(judged(&hello(&config("b", 10, 1), 1_000)), Verdict::Myself);
        assert_eq!(refused(Hello { cluster: "other".into(), ..b.clone() }), "wrong_cluster");
        assert_eq!(refused(Hello { versions: (2, 3), ..b.clone() }), "no_common_version");
        assert_eq!(refused(Hello { versions: (1, 0), ..b.clone() }), "no_common_version");
        assert_eq!(refused(Hello { config_hash: 1, ..b.clone() }), "config_mismatch");
        assert_eq!(refused(Hello { wall_ms: 1_501, ..b.clone() }), "clock_skew");
        assert_eq!(refused(Hello { wall_ms: u64::MAX, ..b }), "clock_skew");
    }

    #[test]
    fn a_life_that_is_over_here_is_refused() {
        let mut me = config("a", 10, 5);
        me.is_over = std::sync::Arc::new(|life| life == Origin(20));
        let verdict = |origin| judge(&me, &hello(&config("b", origin, 1), 0), true, (0, 0));
        assert_eq!(verdict(20), Verdict::Refuse(RefusedReason::LifeOver { ours: false }));
        assert!(matches!(verdict(21), Verdict::Accept { .. }));
    }

    #[test]
    fn of_two_processes_under_one_name_the_newer_generation_then_origin_is_rightful() {
        let me = config("a", 10, 5);
        // Two that serve, and two of which one does not say.
        for (ours, theirs) in [(true, Some(true)), (true, None), (false, None)] {
            let verdict = |origin, generation| {
                let hello = Hello { serving: theirs, ..hello(&config("a", origin, generation), 0) };
                judge(&me, &hello, ours, (0, 0))
            };
            assert_eq!(verdict(20, 6), Verdict::Clone);
            assert_eq!(verdict(20, 5), Verdict::Clone);
            assert_eq!(verdict(1, 5), Verdict::Refuse(RefusedReason::IdentityClash));
            assert_eq!(verdict(20, 4), Verdict::Refuse(RefusedReason::IdentityClash));
        }
    }

    /// One handshake under the name of a member, from the end of time, made the member stop.
    #[test]
    fn a_generation_from_far_ahead_wins_nothing() {
        let day_ms = 24 * 3_600_000;
        let me = config("a", 10, 5);
        let possible = (MAX_GENERATION_AHEAD_MS + 7) << 16;
        for (generation, serving, wins) in [
            (u64::MAX, true, false),
            (u64::MAX, false, false),
            (possible + (1 << 16), true, false),
            (possible, true, true),
        ] {
            let theirs = Hello { serving: Some(serving), ..hello(&config("a", 20, generation), 7) };
            for ours in [true, false] {
                let verdict = judge(&me, &theirs, ours, (7, 0));
                let goes = matches!(verdict, Verdict::Clone | Verdict::NameTaken);
                assert_eq!(goes, wins, "{generation} {serving} {ours}: {verdict:?}");
            }
        }
        // Of two that started with a clock years ahead, each judges by what both have.
        let ahead = config("a", 10, (400 * day_ms) << 16);
        let theirs = Hello { serving: Some(true), ..hello(&config("a", 20, (401 * day_ms) << 16), 7) };
        assert_eq!(judge(&ahead, &theirs, true, (7, 0)), Verdict::Clone);
    }

    #[test]
    fn of_two_newcomers_the_earlier_one_stays() {
        let me = config("a", 10, 5);
        let verdict =
            |origin, generation| judge(&me, &hello(&config("a", origin, generation), 0), false, (0, 0));
        assert_eq!(verdict(20, 4), Verdict::Clone);
        assert_eq!(verdict(1, 5), Verdict::Clone);
        assert_eq!(verdict(20, 5), Verdict::Refuse(RefusedReason::IdentityClash));
        assert_eq!(verdict(20, 6), Verdict::Refuse(RefusedReason::IdentityClash));
    }

    #[test]
    fn a_newcomer_goes_and_the_member_that_serves_stays_whatever_the_generations() {
        let me = config("a", 10, 5);
        for generation in [4, 5, 6] {
            let theirs = |serving| Hello { serving: Some(serving), ..hello(&config("a", 20, generation), 0) };
            assert_eq!(judge(&me, &theirs(true), false, (0, 0)), Verdict::NameTaken);
            assert_eq!(judge(&me, &theirs(false), true, (0, 0)), Verdict::Refuse(RefusedReason::NameTaken));
        }
    }

    #[test]
    fn a_hello_of_a_version_before_namesakes_is_read_and_reads_ours() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Before {
            cluster: String,
            node: String,
            origin: Origin,
            generation: u64,
            advertise: SocketAddr,
            versions: (u16, u16),
            config_hash: u64,
            wall_ms: u64,
            linked: bool,
        }
        let ours =
            Hello { namesake: Some(SocketAddr::from(([10, 0, 0, 1], 1))), ..hello(&config("b", 20, 1), 9) };
        let before: Before = decode(&encode(&ours).unwrap()).unwrap();
        assert_eq!((before.node.as_str(), before.origin, before.linked), ("b", Origin(20), false));
        let read = decode_hello(&encode(&before).unwrap()).unwrap();
        assert_eq!(read, Hello { serving: None, namesake: None, ..ours });
    }

    #[test]
    fn messages_survive_the_wire_and_garbage_is_an_error() {
        let said = hello(&config("b", 20, 1), 99);
        let bytes = encode(&said).unwrap();
        assert_eq!(decode_hello(&bytes), Ok(said.clone()));
        assert_eq!(decode_settle(&encode(&Settle::Adopt).unwrap()), Ok(Settle::Adopt));
        for cut in 0..bytes.len() {
            assert!(decode_hello(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        assert!(decode_hello(&[9, 0x80]).is_err(), "another envelope");
        let nested: Vec<u8> = [ENVELOPE].into_iter().chain(std::iter::repeat_n(0x91, 4_000)).collect();
        assert!(decode_hello(&nested).is_err(), "nesting without end");
        let nowhere = Hello { advertise: SocketAddr::from(([0, 0, 0, 0], 1)), ..said };
        assert!(decode_hello(&encode(&nowhere).unwrap()).is_err());
    }
}
