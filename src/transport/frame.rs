//! Frames on a stream: a big-endian `u32` length, then that many bytes. And the first byte of every stream.

use bytes::{BufMut, Bytes, BytesMut};
use quinn::{ReadError, ReadExactError, RecvStream, SendStream, WriteError};

/// Which of a link's ordered streams a frame takes. Frames of one class arrive in order; classes do not wait
/// for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Small and urgent: pushes, digests, verdicts. Goes first when both classes have something.
    Control,
    /// Large and patient: pages of bootstrap and anti-entropy.
    Bulk,
}

impl Class {
    pub(super) const ALL: [Self; 2] = [Self::Control, Self::Bulk];

    pub(super) fn index(self) -> usize {
        match self {
            Self::Control => 0,
            Self::Bulk => 1,
        }
    }

    /// First byte of the class's stream.
    pub(super) fn tag(self) -> u8 {
        self.index() as u8
    }

    /// QUIC priority of the class's stream: higher goes first.
    pub(super) fn priority(self) -> i32 {
        match self {
            Self::Control => 1,
            Self::Bulk => 0,
        }
    }
}

/// First byte of a stream that carries one gossip packet and ends, and of a datagram that is one.
pub(super) const GOSSIP_TAG: u8 = 2;
/// First byte of a datagram for the floor above.
pub(super) const DATAGRAM_TAG: u8 = 3;

/// A datagram with its tag.
pub(super) fn tagged(tag: u8, bytes: &[u8]) -> Bytes {
    let mut datagram = BytesMut::with_capacity(1 + bytes.len());
    datagram.put_u8(tag);
    datagram.put_slice(bytes);
    datagram.freeze()
}

/// What a stream turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Frames(Class),
    Gossip,
}

/// Why reading from a stream ended.
#[derive(Debug)]
pub(super) enum Broken {
    /// The connection or the stream is gone; the connection knows why.
    Gone,
    /// The peer's fault.
    Protocol(String),
}

impl From<ReadExactError> for Broken {
    fn from(err: ReadExactError) -> Self {
        match err {
            ReadExactError::FinishedEarly(read_bytes) => {
                Self::Protocol(format!("stream ended {read_bytes} bytes into a message"))
            }
            ReadExactError::ReadError(ReadError::Reset(code)) => {
                Self::Protocol(format!("stream reset with code {code}"))
            }
            ReadExactError::ReadError(_) => Self::Gone,
        }
    }
}

/// Reads the first byte of a stream.
pub(super) async fn read_kind(stream: &mut RecvStream) -> Result<Kind, Broken> {
    let mut tag = [0u8];
    stream.read_exact(&mut tag).await?;
    match tag[0] {
        GOSSIP_TAG => Ok(Kind::Gossip),
        other => Class::ALL
            .into_iter()
            .find(|class| class.tag() == other)
            .map(Kind::Frames)
            .ok_or_else(|| Broken::Protocol(format!("stream of unknown kind {other}"))),
    }
}

/// Allocated for a frame before any of it has come (bytes): an ordinary page fits.
const FIRST_BYTES: usize = 512 << 10;

/// Reads one frame; `None` when the peer ended the stream between two frames.
pub(super) async fn read_frame(stream: &mut RecvStream, max_bytes: usize) -> Result<Option<Bytes>, Broken> {
    let mut head = [0u8; 4];
    match stream.read_exact(&mut head).await {
        Err(ReadExactError::FinishedEarly(0)) => return Ok(None),
        other => other?,
    }
    let frame_bytes = u32::from_be_bytes(head) as usize;
    // A length is the peer's word: what is allocated follows what has come, never by more than that again.
    if frame_bytes > max_bytes {
        return Err(Broken::Protocol(format!("frame of {frame_bytes} bytes, the limit is {max_bytes}")));
    }
    let mut frame = BytesMut::zeroed(frame_bytes.min(FIRST_BYTES));
    stream.read_exact(&mut frame).await?;
    while frame.len() < frame_bytes {
        let come = frame.len();
        frame.resize(frame_bytes.min(2 * come), 0);
        stream.read_exact(&mut frame[come..]).await?;
    }
    Ok(Some(frame.freeze()))
}

/// Frames up to this size are copied together, so that a burst of small ones costs one write.
const COPY_BYTES: usize = 4 << 10;

/// Writes frames with their length prefixes. The caller has checked that each length fits 32 bits.
pub(super) async fn write_frames(stream: &mut SendStream, frames: Vec<Bytes>) -> Result<(), WriteError> {
    let mut chunks = Vec::with_capacity(1);
    let mut small = BytesMut::new();
    for frame in frames {
        small.put_u32(frame.len() as u32);
        if frame.len() <= COPY_BYTES {
            small.put_slice(&frame);
        } else {
            chunks.push(small.split().freeze());
            chunks.push(frame);
        }
    }
    if !small.is_empty() {
        chunks.push(small.freeze());
    }
    stream.write_all_chunks(&mut chunks).await
}
