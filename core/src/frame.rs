//! The two bytes that every frame and packet begins with: `version u8 · kind u8`, then the body.
//!
//! This is the one place that knows where they stand. Both families of messages share the kinds, since both take the
//! same streams: `wire/` has what nodes say of sessions, `membership/message.rs` what detectors say of each other.

/// Declares the kinds, each with its byte on the wire.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $byte:literal,)*) => {
        /// What a frame holds.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Kind {
            $($(#[$doc])* $name = $byte,)*
        }

        impl Kind {
            /// The kind of this byte; `None` if this code has none.
            pub const fn from_byte(byte: u8) -> Option<Self> {
                match byte {
                    $($byte => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    /// [`Digest`](crate::wire::Digest).
    Digest = 1,
    /// [`Equal`](crate::wire::Equal).
    Equal = 2,
    /// [`Unequal`](crate::wire::Unequal).
    Unequal = 3,
    /// [`Sync`](crate::wire::Sync).
    Sync = 4,
    /// [`Page`](crate::wire::Page).
    Page = 5,
    /// [`Adopted`](crate::wire::Adopted).
    Adopted = 6,
    /// [`Push`](crate::wire::Push).
    Push = 7,
    /// [`PushAck`](crate::wire::PushAck).
    PushAck = 8,
    /// [`Ask`](crate::wire::Ask).
    Ask = 9,
    /// [`Tell`](crate::wire::Tell).
    Tell = 10,
    /// [`Audit`](crate::wire::Audit) or [`Compare`](crate::wire::Compare).
    Audit = 11,
    /// [`AuditDiff`](crate::wire::AuditDiff) or [`Compared`](crate::wire::Compared).
    AuditDiff = 12,
    /// A detector's [`Ping`](crate::membership::message::Message::Ping).
    Ping = 0x40,
    /// A detector's [`Ack`](crate::membership::message::Message::Ack).
    Ack = 0x41,
    /// A detector's [`PingReq`](crate::membership::message::Message::PingReq).
    PingReq = 0x42,
    /// A detector's [`Relayed`](crate::membership::message::Message::Relayed).
    Relayed = 0x43,
    /// A detector's [`Nack`](crate::membership::message::Message::Nack).
    Nack = 0x44,
    /// A detector's [`Gossip`](crate::membership::message::Message::Gossip).
    Gossip = 0x45,
}

impl Kind {
    /// Its byte on the wire.
    pub const fn byte(self) -> u8 {
        self as u8
    }

    /// The kind of a frame; `None` if the frame is too short to have one, or of a kind this code does not know.
    pub fn of(frame: &[u8]) -> Option<Self> {
        Self::from_byte(split(frame)?.kind)
    }

    /// Whether it is a detector's, and not of sessions.
    pub fn is_detectors(self) -> bool {
        self >= Self::Ping
    }
}

/// A frame in its parts: nothing of them is believed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split<'a> {
    /// The wire version it was written in.
    pub version: u8,
    /// The kind's byte.
    pub kind: u8,
    /// The rest.
    pub body: &'a [u8],
}

/// Takes a frame apart; `None` if it is shorter than what each begins with.
pub fn split(frame: &[u8]) -> Option<Split<'_>> {
    match frame {
        &[version, kind, ref body @ ..] => Some(Split { version, kind, body }),
        _ => None,
    }
}

/// The byte of a frame's kind, known here or not; 0, which no kind has, if it is too short for one.
pub fn kind_byte(frame: &[u8]) -> u8 {
    split(frame).map_or(0, |parts| parts.kind)
}

/// Begins a frame for which there will be room for `body_bytes` more.
pub fn begin(version: u8, kind: Kind, body_bytes: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 + body_bytes);
    out.extend([version, kind.byte()]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_was_begun_is_of_its_kind_and_no_other_byte_names_one() {
        let known: Vec<Kind> = (0..=255).filter_map(Kind::from_byte).collect();
        assert_eq!(known.len(), 18);
        for kind in known {
            let frame = begin(2, kind, 0);
            assert_eq!((Kind::of(&frame), kind_byte(&frame)), (Some(kind), kind.byte()));
            assert_eq!(kind.is_detectors(), kind.byte() >= 0x40, "{kind:?}");
        }
        assert_eq!((Kind::of(&[2]), Kind::of(&[2, 13]), kind_byte(&[2])), (None, None, 0));
        assert_eq!(split(&[2, 13, 7]), Some(Split { version: 2, kind: 13, body: &[7] }));
    }
}
