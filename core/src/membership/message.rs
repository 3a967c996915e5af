//! What detectors say to each other, and how it looks on the wire.
//!
//! The protocol's story. Every probe interval a node sends one member a [`Message::Ping`], going through all of them
//! in an order shuffled anew each time round (SWIM §4.3). An [`Message::Ack`] ends the probe. Without one in time the
//! node pings again, asks a few others to ping on its behalf ([`Message::PingReq`]; their answer is a
//! [`Message::Relayed`], or a [`Message::Nack`] that says "I am here, and I hear nothing of it either"), and pings over
//! the link's stream, which resends what is lost. If all of that brings no answer, the member is suspected: a
//! [`Rumour::Suspect`] goes to a few others at once ([`Message::Gossip`]) and rides on pings and acks to the rest.
//! Whoever hears it probes the suspect too. Whoever has heard of the suspect since, contradicts with
//! [`Rumour::Alive`]; the suspect itself refutes by raising its incarnation, which nobody else may do. Only a member
//! whom a node's own probe found silent, and of whom it heard nothing produced since the suspicion began, dies there.
//!
//! Frames are `version u8 · kind u8 · one MessagePack value`, as those of sessions, with kinds of their own
//! (`frame.rs`), so that both can take the same streams. A ping is about 13 bytes.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::causality::Origin;
use crate::frame::{Kind, Split, begin, split};
use crate::limits::{MAX_BEAT_MS, MAX_INCARNATION, MAX_PACKET_BYTES, MAX_RUMOURS_PER_PACKET};

/// The wire version of all messages here.
pub const MEMBERSHIP_WIRE: u8 = 1;
/// What a ping takes (bytes), without rumours.
const BODY_BYTES: usize = 14;

/// Who speaks, and when: part of every packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// The speaker's incarnation.
    pub incarnation: u32,
    /// The speaker's own clock when it spoke: milliseconds since its detector began. It is a heartbeat
    /// with an interval of one millisecond: what a node tells of another can be dated by it.
    pub beat_ms: u64,
}

/// A message and its sender's pulse: every packet is a life sign that can be dated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The sender's.
    pub pulse: Pulse,
    /// What it says.
    pub message: Message,
}

/// What one detector says to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Are you there?
    Ping {
        /// Echoed in the answer.
        seq: u16,
        /// News that rides along; the suspicion of the receiver itself first (Lifeguard's buddy notice).
        rumours: Vec<Rumour>,
    },
    /// I am.
    Ack {
        /// The ping's.
        seq: u16,
        /// News that rides along.
        rumours: Vec<Rumour>,
    },
    /// Ping this member for me.
    PingReq {
        /// Echoed in the answer.
        seq: u16,
        /// Whom.
        target: Origin,
    },
    /// The target of a [`Message::PingReq`] answered.
    Relayed {
        /// The request's.
        seq: u16,
        /// The target's.
        target: Pulse,
    },
    /// The target of a [`Message::PingReq`] has not answered so far.
    Nack {
        /// The request's.
        seq: u16,
    },
    /// News.
    Gossip {
        /// The news.
        rumours: Vec<Rumour>,
    },
}

impl Message {
    /// Whether a packet of this member says that it leaves.
    pub fn says_goodbye(&self, from: Origin) -> bool {
        let (Self::Ping { rumours, .. } | Self::Ack { rumours, .. } | Self::Gossip { rumours }) = self else {
            return false;
        };
        rumours.iter().any(|r| matches!(r, Rumour::Left { subject, .. } if *subject == from))
    }
}

/// News about a member. Made by one node, passed on unchanged by the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rumour {
    /// The member spoke at this time of its own clock. With a greater incarnation it refutes every suspicion of
    /// smaller ones, and death.
    Alive {
        /// Who.
        subject: Origin,
        /// What it said.
        pulse: Pulse,
    },
    /// The accuser's probe of the member failed.
    Suspect {
        /// Who.
        subject: Origin,
        /// Its incarnation as the accuser knew it.
        incarnation: u32,
        /// By whom.
        accuser: Origin,
        /// When, by the accuser's own clock.
        began_beat_ms: u64,
    },
    /// The member has said goodbye.
    Left {
        /// Who.
        subject: Origin,
        /// Its last incarnation.
        incarnation: u32,
    },
}

impl Rumour {
    /// Whom it is about.
    pub fn subject(&self) -> Origin {
        match self {
            Self::Alive { subject, .. } | Self::Suspect { subject, .. } | Self::Left { subject, .. } => {
                *subject
            }
        }
    }
}

/// A rumour on the wire: kind, subject, incarnation, beat, accuser.
type Wire = (u8, Origin, u32, u64, Option<Origin>);

impl Serialize for Rumour {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let wire: Wire = match *self {
            Self::Alive { subject, pulse } => (0, subject, pulse.incarnation, pulse.beat_ms, None),
            Self::Suspect { subject, incarnation, accuser, began_beat_ms } => {
                (1, subject, incarnation, began_beat_ms, Some(accuser))
            }
            Self::Left { subject, incarnation } => (2, subject, incarnation, 0, None),
        };
        wire.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Rumour {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (kind, subject, incarnation, beat_ms, accuser) = Wire::deserialize(deserializer)?;
        if incarnation > MAX_INCARNATION || beat_ms > MAX_BEAT_MS {
            return Err(de::Error::custom("an incarnation or a beat out of bounds"));
        }
        match (kind, accuser) {
            (0, None) => Ok(Self::Alive { subject, pulse: Pulse { incarnation, beat_ms } }),
            (1, Some(accuser)) => Ok(Self::Suspect { subject, incarnation, accuser, began_beat_ms: beat_ms }),
            (2, None) => Ok(Self::Left { subject, incarnation }),
            _ => Err(de::Error::custom(format!("a rumour of kind {kind}"))),
        }
    }
}

/// A bounded list of rumours.
struct Rumours(Vec<Rumour>);

impl<'de> Deserialize<'de> for Rumours {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Few;
        impl<'de> Visitor<'de> for Few {
            type Value = Rumours;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {MAX_RUMOURS_PER_PACKET} rumours")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Rumours, A::Error> {
                let mut out = Vec::new();
                while let Some(rumour) = seq.next_element()? {
                    if out.len() == MAX_RUMOURS_PER_PACKET {
                        return Err(de::Error::invalid_length(out.len() + 1, &self));
                    }
                    out.push(rumour);
                }
                Ok(Rumours(out))
            }
        }
        deserializer.deserialize_seq(Few)
    }
}

/// Encodes a packet.
pub fn encode(packet: &Packet) -> Vec<u8> {
    let Pulse { incarnation: inc, beat_ms: beat } = packet.pulse;
    match &packet.message {
        Message::Ping { seq, rumours } => written(Kind::Ping, &(inc, beat, seq, rumours)),
        Message::Ack { seq, rumours } => written(Kind::Ack, &(inc, beat, seq, rumours)),
        Message::PingReq { seq, target } => written(Kind::PingReq, &(inc, beat, seq, target)),
        Message::Relayed { seq, target } => {
            written(Kind::Relayed, &(inc, beat, seq, target.incarnation, target.beat_ms))
        }
        Message::Nack { seq } => written(Kind::Nack, &(inc, beat, seq)),
        Message::Gossip { rumours } => written(Kind::Gossip, &(inc, beat, rumours)),
    }
}

fn written(kind: Kind, body: &impl Serialize) -> Vec<u8> {
    let mut out = begin(MEMBERSHIP_WIRE, kind, BODY_BYTES);
    // Writing to memory fails only for types that cannot be encoded, which these are not.
    let _ = rmp_serde::encode::write(&mut out, body);
    out
}

/// Decodes a packet.
///
/// # Errors
/// What is wrong with it. Nothing was changed.
pub fn decode(bytes: &[u8]) -> Result<Packet, String> {
    if bytes.len() > MAX_PACKET_BYTES {
        return Err(format!("a packet of {} bytes: at most {MAX_PACKET_BYTES}", bytes.len()));
    }
    let Split { version, kind, body } =
        split(bytes).ok_or_else(|| format!("a packet of {} bytes", bytes.len()))?;
    if version != MEMBERSHIP_WIRE {
        return Err(format!("membership wire version {version}: this node speaks {MEMBERSHIP_WIRE}"));
    }
    let (inc, beat, message) = match Kind::from_byte(kind) {
        Some(Kind::Ping) => {
            let (inc, beat, seq, Rumours(rumours)) = read::<(u32, u64, u16, Rumours)>(body)?;
            (inc, beat, Message::Ping { seq, rumours })
        }
        Some(Kind::Ack) => {
            let (inc, beat, seq, Rumours(rumours)) = read::<(u32, u64, u16, Rumours)>(body)?;
            (inc, beat, Message::Ack { seq, rumours })
        }
        Some(Kind::PingReq) => {
            let (inc, beat, seq, target) = read(body)?;
            (inc, beat, Message::PingReq { seq, target })
        }
        Some(Kind::Relayed) => {
            let (inc, beat, seq, incarnation, beat_ms) = read(body)?;
            (inc, beat, Message::Relayed { seq, target: pulse(incarnation, beat_ms)? })
        }
        Some(Kind::Nack) => {
            let (inc, beat, seq) = read(body)?;
            (inc, beat, Message::Nack { seq })
        }
        Some(Kind::Gossip) => {
            let (inc, beat, Rumours(rumours)) = read::<(u32, u64, Rumours)>(body)?;
            (inc, beat, Message::Gossip { rumours })
        }
        _ => return Err(format!("unknown membership message kind {kind}")),
    };
    Ok(Packet { pulse: pulse(inc, beat)?, message })
}

fn pulse(incarnation: u32, beat_ms: u64) -> Result<Pulse, String> {
    if incarnation > MAX_INCARNATION || beat_ms > MAX_BEAT_MS {
        return Err(format!("incarnation {incarnation} or beat {beat_ms} ms out of bounds"));
    }
    Ok(Pulse { incarnation, beat_ms })
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    let mut de = rmp_serde::Deserializer::from_read_ref(body);
    // The deepest shape is a message's list's rumour's origin.
    de.set_max_depth(8);
    T::deserialize(&mut de).map_err(|e| e.to_string())
}
