//! Close codes on the wire, what they mean to the side that receives them, and the log of refusals.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use parking_lot::Mutex;
use quinn::{ConnectionError, VarInt};

use super::{
    error::RefusedReason,
    limits::{MAX_LINES_PER_CAUSE, MAX_REMEMBERED, QUIET},
};

/// Application close codes. Part of the wire: never renumber.
pub(super) mod code {
    use quinn::VarInt;

    pub(in crate::transport) const LEAVING: VarInt = VarInt::from_u32(1);
    pub(in crate::transport) const DUPLICATE: VarInt = VarInt::from_u32(2);
    pub(in crate::transport) const MYSELF: VarInt = VarInt::from_u32(3);
    pub(in crate::transport) const NO_COMMON_VERSION: VarInt = VarInt::from_u32(4);
    pub(in crate::transport) const CONFIG_MISMATCH: VarInt = VarInt::from_u32(5);
    pub(in crate::transport) const CLOCK_SKEW: VarInt = VarInt::from_u32(6);
    pub(in crate::transport) const IDENTITY_CLASH: VarInt = VarInt::from_u32(7);
    pub(in crate::transport) const PROTOCOL: VarInt = VarInt::from_u32(8);
    pub(in crate::transport) const WRONG_CLUSTER: VarInt = VarInt::from_u32(9);
    pub(in crate::transport) const TIMEOUT: VarInt = VarInt::from_u32(10);
    pub(in crate::transport) const NAME_TAKEN: VarInt = VarInt::from_u32(11);
    pub(in crate::transport) const LIFE_OVER: VarInt = VarInt::from_u32(12);
    pub(in crate::transport) const KEPT_OUT: VarInt = VarInt::from_u32(13);
}

impl RefusedReason {
    pub(super) fn close_code(&self) -> VarInt {
        match self {
            Self::WrongSecret | Self::Protocol(_) | Self::Other(_) => code::PROTOCOL,
            Self::WrongCluster => code::WRONG_CLUSTER,
            Self::NoCommonVersion { .. } => code::NO_COMMON_VERSION,
            Self::ConfigMismatch { .. } => code::CONFIG_MISMATCH,
            Self::ClockSkew { .. } => code::CLOCK_SKEW,
            Self::IdentityClash => code::IDENTITY_CLASH,
            Self::NameTaken => code::NAME_TAKEN,
            Self::LifeOver { .. } => code::LIFE_OVER,
            Self::KeptOut { .. } => code::KEPT_OUT,
        }
    }
}

/// How a handshake that did not succeed ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// One of the two sides said no.
    Refused(RefusedReason),
    /// The pair keeps another link, or we met ourselves: nothing is wrong.
    NotNeeded,
    /// Silence, no route, the peer is leaving: worth another try, not worth a warning.
    Unreachable(String),
}

// TLS alerts (RFC 8446, section 6.2). QUIC carries them as 0x100 + alert.
const CERTIFICATE_ALERTS: [u64; 7] = [42, 43, 44, 45, 46, 48, 51];
const CERTIFICATE_REQUIRED: u64 = 116;
const NO_APPLICATION_PROTOCOL: u64 = 120;

/// Reads the cause out of how a connection ended. TLS alerts tell it to both sides.
pub(super) fn classify(err: &ConnectionError) -> Failure {
    match err {
        ConnectionError::TransportError(err) => of_quic_code(err.code.into(), err.to_string()),
        ConnectionError::ConnectionClosed(close) => of_quic_code(close.error_code.into(), close.to_string()),
        ConnectionError::ApplicationClosed(close) => {
            of_close_code(close.error_code, String::from_utf8_lossy(&close.reason).into_owned())
        }
        other => Failure::Unreachable(other.to_string()),
    }
}

fn of_quic_code(quic_code: u64, text: String) -> Failure {
    match quic_code.checked_sub(0x100) {
        Some(NO_APPLICATION_PROTOCOL) => Failure::Refused(RefusedReason::WrongCluster),
        Some(alert) if CERTIFICATE_ALERTS.contains(&alert) || alert == CERTIFICATE_REQUIRED => {
            Failure::Refused(RefusedReason::WrongSecret)
        }
        Some(alert) if alert < 0x100 => Failure::Refused(RefusedReason::Protocol(text)),
        // Connection refused (a node that is closing) and internal errors pass with time.
        _ => Failure::Unreachable(text),
    }
}

/// The peer judged by the same facts and was first to say so; the numbers it saw are not on the wire.
fn of_close_code(close_code: VarInt, text: String) -> Failure {
    Failure::Refused(match close_code {
        code::LEAVING | code::TIMEOUT => return Failure::Unreachable(text),
        code::DUPLICATE | code::MYSELF => return Failure::NotNeeded,
        code::NO_COMMON_VERSION => RefusedReason::NoCommonVersion { ours: (0, 0), theirs: (0, 0) },
        code::CONFIG_MISMATCH => RefusedReason::ConfigMismatch { differ: String::new() },
        code::CLOCK_SKEW => RefusedReason::ClockSkew { offset_ms: 0, max_ms: 0 },
        code::IDENTITY_CLASH => RefusedReason::IdentityClash,
        code::NAME_TAKEN => RefusedReason::NameTaken,
        code::LIFE_OVER => RefusedReason::LifeOver { ours: true },
        code::KEPT_OUT => RefusedReason::KeptOut { ours: true },
        code::PROTOCOL => RefusedReason::Protocol(format!("it says we did: {text}")),
        code::WRONG_CLUSTER => RefusedReason::WrongCluster,
        other => RefusedReason::Other(other.into_inner()),
    })
}

/// What is told of those who do not get in: a stranger that dials without end must not fill the disk.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    state: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    /// Per address with its port and reason, when it was told to the floor above.
    events: HashMap<(SocketAddr, &'static str), Instant>,
    /// Per address without its port and reason, when a line was told, and how many were not since.
    lines: HashMap<(IpAddr, &'static str), (Instant, u64)>,
    /// Per reason, since when lines are counted, how many were told and how many left out.
    budgets: HashMap<&'static str, (Instant, u32, u64)>,
}

impl Limiter {
    /// Whether this is news to the floor above: once an address and reason in ten seconds.
    pub(super) fn news(&self, addr: SocketAddr, word: &'static str) -> bool {
        let now = Instant::now();
        let told = &mut self.state.lock().events;
        if told.get(&(addr, word)).is_some_and(|at| now.duration_since(*at) < QUIET) {
            return false;
        }
        if told.len() >= MAX_REMEMBERED {
            told.clear();
        }
        told.insert((addr, word), now);
        true
    }

    /// Whether a line may tell of this, and how many were not told of the same address and reason before it; and how
    /// many found no room in the ten seconds before, when those are over.
    pub(super) fn line(&self, ip: IpAddr, word: &'static str) -> (Option<u64>, u64) {
        let now = Instant::now();
        let state = &mut *self.state.lock();
        let (since, told, left_out) = state.budgets.entry(word).or_insert((now, 0, 0));
        let mut summary = 0;
        if now.duration_since(*since) >= QUIET {
            (summary, *since, *told, *left_out) = (*left_out, now, 0, 0);
        }
        if let Some((at, swallowed)) = state.lines.get_mut(&(ip, word))
            && now.duration_since(*at) < QUIET
        {
            *swallowed += 1;
            return (None, summary);
        }
        if *told >= MAX_LINES_PER_CAUSE {
            *left_out += 1;
            return (None, summary);
        }
        *told += 1;
        if state.lines.len() >= MAX_REMEMBERED {
            state.lines.clear();
        }
        let swallowed = state.lines.insert((ip, word), (now, 0)).map_or(0, |before| before.1);
        (Some(swallowed), summary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_become_reasons() {
        let refused = |alert: u64| match of_quic_code(0x100 + alert, String::new()) {
            Failure::Refused(reason) => reason.word(),
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(120), "wrong_cluster");
        assert_eq!(refused(48), "wrong_secret");
        assert_eq!(refused(116), "wrong_secret");
        assert_eq!(refused(40), "protocol");
        assert!(matches!(of_quic_code(2, String::new()), Failure::Unreachable(_)));
    }

    #[test]
    fn the_second_of_two_equal_lines_is_swallowed() {
        let limiter = Limiter::default();
        let addr = SocketAddr::from(([127, 0, 0, 1], 1));
        assert!(limiter.news(addr, "clock_skew"));
        assert!(!limiter.news(addr, "clock_skew"));
        assert!(limiter.news(addr, "wrong_secret"));
    }

    #[test]
    fn lines_go_by_the_address_without_its_port_and_by_a_budget() {
        let limiter = Limiter::default();
        let told =
            (1..3_000u16).filter(|_| limiter.line([10, 0, 0, 1].into(), "wrong_secret").0.is_some()).count();
        assert_eq!(told, 1, "3,000 attempts of one stranger, from as many ports");
        let from = |n: u32| IpAddr::from(n.to_be_bytes());
        let told =
            (0..3_000).filter(|n| limiter.line(from(0x0b00_0000 + n), "wrong_secret").0.is_some()).count();
        assert_eq!(told, MAX_LINES_PER_CAUSE as usize - 1, "from as many addresses");
        assert!(limiter.line([10, 0, 0, 1].into(), "clock_skew").0.is_some(), "another cause has its own");
    }
}
